#include "gateway/path_template.h"

#include <gtest/gtest.h>

namespace sluice::gateway {
namespace {

TEST(PathTemplate, RefusesWhatIsNoTemplate) {
  EXPECT_FALSE(PathTemplate::parse("/a/{id"));
  EXPECT_FALSE(PathTemplate::parse("/a/{}"));
  EXPECT_TRUE(PathTemplate::parse(""));
  EXPECT_TRUE(PathTemplate::parse("/a/{id}/b"));
}

TEST(PathTemplate, TellsTheFirstParameterThatThePathHasNot) {
  auto parsed = PathTemplate::parse("/{a}/{b}");
  ASSERT_TRUE(parsed);
  const std::string both[] = {"b", "a"};
  const std::string one[] = {"a"};
  EXPECT_EQ(parsed->missing_from(both), "");
  EXPECT_EQ(parsed->missing_from(one), "b");
}

}  // namespace
}  // namespace sluice::gateway
