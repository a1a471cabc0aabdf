#include "http/message.h"

#include <gtest/gtest.h>

#include "http/cookie.h"
#include "http/date.h"
#include "http/problem.h"
#include "http/query.h"
#include "http/syntax.h"

namespace sluice::http {
namespace {

TEST(Method, HasCase) {
  for (int i = 0; i < static_cast<int>(Method::kOther); ++i)
    EXPECT_EQ(parse_method(method_text(static_cast<Method>(i))), static_cast<Method>(i));
  for (std::string_view text : {"get", "Get", "GETS", "PROPFIND", ""})
    EXPECT_EQ(parse_method(text), Method::kOther);
}

TEST(Query, ParameterIsFoundByItsDecodedName) {
  EXPECT_EQ(find_query_parameter("a=1&b=2&b=3", "b"), "2");
  EXPECT_EQ(find_query_parameter("%61pi+key=%20x", "api key"), "%20x");
  EXPECT_EQ(find_query_parameter("a&b", "a"), "");
  EXPECT_EQ(find_query_parameter("&&a==1", "a"), "=1");
  EXPECT_EQ(find_query_parameter("ab=1", "a"), std::nullopt);
  EXPECT_EQ(find_query_parameter("a=1", "ab"), std::nullopt);
  EXPECT_EQ(find_query_parameter("", "a"), std::nullopt);
  EXPECT_EQ(find_query_parameter("%=1", "%"), "1");
}

TEST(Query, ParameterIsRemovedAndTheRestUntouched) {
  Arena arena;
  EXPECT_EQ(remove_query_parameter("x=%41&key=1&&y&%6bey=2", "key", arena), "x=%41&&y");
  EXPECT_EQ(remove_query_parameter("key=1", "key", arena), "");
  std::string_view none = "a=1&b";
  EXPECT_EQ(remove_query_parameter(none, "key", arena).data(), none.data());
}

TEST(Query, TextIsDecodedOnce) {
  Arena arena;
  EXPECT_EQ(decode_query_text("a+b%2Bc%2525%zz%4", arena), "a b+c%25%zz%4");
}

TEST(Cookie, IsFoundByItsWholeName) {
  EXPECT_EQ(find_cookie("a=1; b=\"2\";c = 3 ", "b"), "2");
  EXPECT_EQ(find_cookie("a=1; b=2;c = 3 ", "c"), "3");
  EXPECT_EQ(find_cookie("ab=1; b=x=y", "b"), "x=y");
  EXPECT_EQ(find_cookie("a=1", "A"), std::nullopt);
  EXPECT_EQ(find_cookie("a", "a"), std::nullopt);
  Arena arena;
  Fields fields(arena);
  EXPECT_EQ(find_cookie(fields, "a"), std::nullopt);
  fields.add(FieldName::kCookie, "a=1");
  fields.add(FieldName::kCookie, "b=2");
  EXPECT_EQ(find_cookie(fields, "b"), "2");
}

// Names are compared without case (RFC 9110, section 5.1); the rest keeps its order.
TEST(Fields, RemoveAndSetTakeAllOfAName) {
  struct Case {
    std::string_view name, removed, set;
  };
  const Case cases[] = {{"x-a", "Via:1 b:2 Via:3 ", "x-a:9 Via:1 b:2 Via:3 "},
                        {"VIA", "X-A:a x-a:b b:2 ", "X-A:a VIA:9 x-a:b b:2 "},
                        {"b", "X-A:a Via:1 x-a:b Via:3 ", "X-A:a Via:1 x-a:b b:9 Via:3 "},
                        {"c", "X-A:a Via:1 x-a:b b:2 Via:3 ", "X-A:a Via:1 x-a:b b:2 Via:3 c:9 "}};
  for (const Case& each : cases) {
    auto changed = [](auto change) {
      Arena arena;
      Fields fields(arena);
      fields.add("X-A", "a");
      fields.add("Via", "1");
      fields.add("x-a", "b");
      fields.add("b", "2");
      fields.add("Via", "3");
      change(fields);
      std::string text;
      for (const Field& field : fields) text.append(field.name).append(":").append(field.value).append(" ");
      return text;
    };
    EXPECT_EQ(changed([&](Fields& fields) { fields.remove(each.name); }), each.removed);
    EXPECT_EQ(changed([&](Fields& fields) { fields.set(each.name, "9"); }), each.set);
  }
}

TEST(Fields, FindGoesOnBehindAField) {
  Arena arena;
  Fields fields(arena);
  for (std::string_view name : {"a", "X", "A", "Via", "via"}) fields.add(name, name);
  const Field* first = fields.find(FieldName::kUnknown, "a");
  ASSERT_TRUE(first);
  const Field* second = fields.find(FieldName::kUnknown, "a", first);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->value, "A");
  EXPECT_FALSE(fields.find(FieldName::kUnknown, "a", second));
  const Field* via = fields.find(FieldName::kVia, "via", second);
  ASSERT_TRUE(via);
  EXPECT_EQ(fields.find(FieldName::kVia, "via", via)->value, "via");
}

// RFC 9110, section 5.6.7.
TEST(Date, IsImfFixdate) {
  char text[kDateBytes];
  format_date(784111777, text);
  EXPECT_EQ(std::string_view(text, kDateBytes), "Sun, 06 Nov 1994 08:49:37 GMT");
  format_date(0, text);
  EXPECT_EQ(std::string_view(text, kDateBytes), "Thu, 01 Jan 1970 00:00:00 GMT");
  format_date(1709164799 + 60 * 60 * 24, text);
  EXPECT_EQ(std::string_view(text, kDateBytes), "Thu, 29 Feb 2024 23:59:59 GMT");
  DateCache cache;
  EXPECT_EQ(cache.at(WallTime(std::chrono::milliseconds(999))), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(cache.at(WallTime(std::chrono::milliseconds(1000))), "Thu, 01 Jan 1970 00:00:01 GMT");
}

// RFC 9457, section 3; RFC 8259, section 7.
TEST(Problem, IsJsonWhateverTheTexts) {
  Arena arena;
  EXPECT_EQ(write_problem({429, "rate_limited", "Too many.", "r1"}, arena),
            R"({"type":"about:blank","title":"Too Many Requests","status":429,"detail":"Too many.",)"
            R"("code":"rate_limited","request_id":"r1"})");
  EXPECT_EQ(write_problem({599, "x", "\"\\\n\x1f\xc3\xa9\xff\xed\xa0\x80", ""}, arena),
            "{\"type\":\"about:blank\",\"status\":599,\"detail\":\"\\\"\\\\\\u000a\\u001f\xc3\xa9\xef\xbf\xbd"
            "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\",\"code\":\"x\"}");
}

TEST(Syntax, ListsAndCharacters) {
  EXPECT_TRUE(list_has("a, Close ,,b", "close"));
  EXPECT_FALSE(list_has("closed", "close"));
  EXPECT_TRUE(is_token("x-A.1~"));
  for (std::string_view text : {"", "a b", "a:", "\xe9", "a\r"}) EXPECT_FALSE(is_token(text));
  EXPECT_TRUE(is_field_value(""));
  EXPECT_TRUE(is_field_value("a\tb \xe9"));
  for (std::string_view text : {" a", "a ", "a\r\nb", "\x7f", "a\n"}) EXPECT_FALSE(is_field_value(text));
}

}  // namespace
}  // namespace sluice::http
