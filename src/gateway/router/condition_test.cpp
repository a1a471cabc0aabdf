#include "gateway/router/condition.h"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

struct QueryCase {
  std::string_view query, name, value;
  bool holds;
};

// Decoding as in the URL standard's application/x-www-form-urlencoded parser.
TEST(Condition, QueryParameterIsComparedDecoded) {
  const QueryCase cases[] = {
      {"a=1", "a", "1", true},
      {"b=2&a=1", "a", "1", true},
      {"a=2&a=1", "a", "1", true},
      {"a=1", "a", "", false},
      {"a", "a", "", true},
      {"a=", "a", "", true},
      {"", "a", "", false},
      {"&&a=1&", "a", "1", true},
      {"A=1", "a", "1", false},
      {"a=x+y", "a", "x y", true},
      {"a=x%20y", "a", "x y", true},
      {"a=x%2By", "a", "x+y", true},
      {"%61=%31", "a", "1", true},
      {"a=1%", "a", "1%", true},
      {"a=%zz", "a", "%zz", true},
      {"a=b=c", "a", "b=c", true},
      {"a=12", "a", "1", false},
      {"a=1", "a", "12", false},
      {"ab=1", "a", "1", false},
      {"a=%26", "a", "&", true},
      {"a=%00", "a", std::string_view("\0", 1), true},
      {"a=%C3%A9", "a", "\xc3\xa9", true},
      {"=1", "", "1", true},
  };
  for (const QueryCase& c : cases)
    EXPECT_EQ(has_query_value(c.query, c.name, c.value), c.holds) << c.query << " " << c.value;
}

TEST(Condition, FieldIsComparedExactlyAndItsNameWithoutCase) {
  Arena arena;
  http::Fields fields(arena);
  fields.add("X-Channel", "beta");
  fields.add("X-Empty", "");
  auto holds = [&](std::string_view name, std::string_view value) {
    return has_field_value(&fields, http::intern_field_name(name), name, value);
  };
  EXPECT_TRUE(holds("x-channel", "beta"));
  EXPECT_FALSE(holds("x-channel", "BETA"));
  EXPECT_FALSE(holds("x-channel", "beta2"));
  EXPECT_FALSE(holds("x-channel", ""));
  EXPECT_TRUE(holds("x-empty", ""));
  EXPECT_FALSE(holds("x-absent", ""));
  EXPECT_FALSE(has_field_value(nullptr, http::FieldName::kUnknown, "x", ""));
}

}  // namespace
}  // namespace sluice::gateway
