// The field-list machinery, on a struct with one field of every kind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/docs_table.h"
#include "config/json_schema.h"
#include "config/testing.h"
#include "config/types.h"

namespace sluice::config {
namespace {

enum class Color : uint8_t { kRed, kGreen };

struct Inner {
  std::string url;
  uint32_t weight = 1;
  Origin origin;
  static const Struct<Inner>& schema() {
    static const auto schema = Struct<Inner>("inner", "Something inside.")
                                   .field("url", &Inner::url, "Where it is.")
                                   .required()
                                   .field("weight", &Inner::weight, "How much.")
                                   .shorthand("url");
    return schema;
  }
};

struct Everything {
  bool flag = false;
  uint8_t small = 1;
  int64_t large = 0;
  double share = 0.5;
  std::string text = "default";
  Duration wait = std::chrono::seconds(2);
  ByteSize size = kibibytes(4);
  Rate rate;
  std::optional<std::string> maybe;
  std::vector<std::string> list;
  Map<uint32_t> map;
  std::vector<Inner> inners;
  Map<Inner> named;
  std::optional<Inner> inner;
  std::string password;
  std::vector<Everything> again;
  Origin origin;
  static const Struct<Everything>& schema();
};

}  // namespace

template <>
struct EnumTraits<Color> {
  static constexpr EnumName<Color> kNames[] = {
      {"red", Color::kRed}, {"green", Color::kGreen}, {"ultraviolet", {}, true}};
};

namespace {

struct Colored {
  Color color = Color::kRed;
  static const Struct<Colored>& schema() {
    static const auto schema =
        Struct<Colored>("colored", "Has a colour.").field("color", &Colored::color, "Which.");
    return schema;
  }
};

const Struct<Everything>& Everything::schema() {
  static const auto schema = Struct<Everything>("everything", "One field of every kind.")
                                 .field("flag", &Everything::flag, "A switch.")
                                 .field("small", &Everything::small, "A byte.")
                                 .field("large", &Everything::large, "A number.")
                                 .range(-5, 5)
                                 .unit("apples")
                                 .field("share", &Everything::share, "A part.")
                                 .range(0, 1)
                                 .field("text", &Everything::text, "A text.")
                                 .field("wait", &Everything::wait, "A time.")
                                 .range(std::chrono::milliseconds(1), std::chrono::minutes(1))
                                 .field("size", &Everything::size, "A size.")
                                 .at_least(1024)
                                 .field("rate", &Everything::rate, "A rate.")
                                 .required()
                                 .field("maybe", &Everything::maybe, "Perhaps.")
                                 .field("list", &Everything::list, "Several | many.")
                                 .one_or_many()
                                 .field("map", &Everything::map, "By name.")
                                 .names()
                                 .field("inners", &Everything::inners, "Several inside.")
                                 .min_items(2)
                                 .field("named", &Everything::named, "Several by name.")
                                 .field("inner", &Everything::inner, "One inside.")
                                 .field("password", &Everything::password, "Not shown.")
                                 .secret()
                                 .field("again", &Everything::again, "More of it.")
                                 .check([](const Everything& value, const Node& node, Reader& reader) {
                                   if (value.text == "forbidden")
                                     reader.error(*node.find("text"), "forbidden", "not this text");
                                 });
  return schema;
}

template <class T>
struct Reading {
  explicit Reading(std::string text) {
    const uint32_t file = diagnostics.sources().add("a.yaml", std::move(text));
    const Node* root = parse_yaml(diagnostics.sources().text(file), file, arena, diagnostics);
    Reader reader(diagnostics);
    good = T::schema().read(*root, &value, reader);
  }
  Arena arena;
  Diagnostics diagnostics;
  T value;
  bool good = false;
};
using ReadEverything = Reading<Everything>;

TEST(FieldList, ValuesOfEveryKindAreRead) {
  ReadEverything read(
      "{ flag: true, small: 0xff, large: -5, share: 0.25, text: x, wait: 1s, size: 2048, rate: 5/1s, maybe: "
      "m,\n"
      "  list: one, map: { b: 2, a: 1 }, inners: [ u, { url: v, weight: 3 } ], named: { n: w },\n"
      "  inner: { url: z }, password: p, again: [ { rate: 1/1s } ] }");
  EXPECT_EQ(read.diagnostics.render_text(), "");
  EXPECT_TRUE(read.good);
  const Everything& value = read.value;
  EXPECT_TRUE(value.flag);
  EXPECT_EQ(value.small, 255);
  EXPECT_EQ(value.large, -5);
  EXPECT_EQ(value.share, 0.25);
  EXPECT_EQ(value.wait, std::chrono::seconds(1));
  EXPECT_EQ(value.size.bytes, 2048u);
  EXPECT_EQ(value.rate, (Rate{5, std::chrono::seconds(1)}));
  EXPECT_EQ(value.maybe, "m");
  EXPECT_EQ(value.list, std::vector<std::string>{"one"});
  EXPECT_EQ(value.map, (Map<uint32_t>{{"b", 2}, {"a", 1}}));
  ASSERT_EQ(value.inners.size(), 2u);
  EXPECT_EQ(value.inners[0].url, "u");
  EXPECT_EQ(value.inners[0].origin, (Position{0, 2, 45}));
  EXPECT_EQ(value.inners[1].weight, 3u);
  EXPECT_EQ(value.named[0].second.origin, (Position{0, 2, 82}));  // that of the name
  EXPECT_EQ(value.inner->url, "z");
  EXPECT_EQ(value.again[0].rate.count, 1u);
}

TEST(FieldList, WhatIsNotWrittenHasItsDefault) {
  ReadEverything read("rate: 1/1s");
  EXPECT_TRUE(read.good);
  EXPECT_EQ(read.value.text, "default");
  EXPECT_EQ(read.value.wait, std::chrono::seconds(2));
  EXPECT_FALSE(read.value.maybe);
}

TEST(FieldList, EveryProblemIsSaidInOneRun) {
  ReadEverything read(
      "flag: yes\nsmall: 256\nlarge: 6\nshare: 1.5\ntext: 5\nwait: 2m\nsize: 1KB\nlist: [a, {}]\nmap: { 'a "
      "b': 1 }\n"
      "inners: [x]\ninner: [1]\nwidth: 1\n");
  EXPECT_FALSE(read.good);
  read.diagnostics.sort();
  EXPECT_EQ(testing::summary(read.diagnostics),
            "1:1 missing-key\n1:7 wrong-type\n2:8 out-of-range\n3:8 out-of-range\n4:8 out-of-range\n5:7 "
            "wrong-type\n"
            "6:7 out-of-range\n7:7 out-of-range\n8:11 wrong-type\n9:8 invalid-name\n10:9 too-few-items\n"
            "11:8 wrong-type\n12:1 unknown-key\n");
}

TEST(FieldList, MessagesSayWhatWasExpectedAndFound) {
  const std::pair<std::string_view, std::string_view> kCases[] = {
      {"flag: yes", "expected `true` or `false`, found the string `yes`"},
      {"small: -1", "must be from 0 to 255"},
      {"small: 1.5", "expected an integer, found the number `1.5`"},
      {"small: '5'", "expected an integer, found the string `5`"},
      {"large: 99", "`large` must be from -5 to 5"},
      {"text: 5", "expected a string, found the number `5`; write it in quotes"},
      {"text:", "expected a string, found nothing"},
      {"wait: 5", "a duration needs a unit: ns, us, ms, s, m, h or d"},
      {"wait: soon", "expected a duration such as `150ms`, `2s` or `1h`, found the string `soon`"},
      {"wait: 1h", "`wait` must be from 1ms to 1m"},
      {"size: 1", "`size` must be at least 1KiB"},
      {"rate: [1]", "expected a rate such as `100/1m`, found a list"},
      {"map: 1", "expected a mapping to integers, found the number `1`"},
      {"inners: x", "expected a list of objects, found the string `x`"},
      {"txet: x", "unknown key `txet`; did you mean `text`?"},
      {"text: forbidden", "not this text"},
  };
  for (const auto& [text, message] : kCases) {
    ReadEverything read(text.starts_with("rate") ? std::string(text) : "rate: 1/1s\n" + std::string(text));
    ASSERT_EQ(read.diagnostics.problems().size(), 1u) << text;
    EXPECT_EQ(read.diagnostics.problems()[0].message, message);
  }
}

TEST(FieldList, EnumsAreReadByNameAndSayWhatThisBuildLacks) {
  EXPECT_EQ(Reading<Colored>("color: green").value.color, Color::kGreen);
  EXPECT_EQ(Reading<Colored>("color: gren").diagnostics.problems()[0].message,
            "expected one of `red`, `green`, found the string `gren`; did you mean `green`?");
  EXPECT_EQ(Reading<Colored>("color: ultraviolet").diagnostics.problems()[0].message,
            "`ultraviolet` is not supported in this version");
  EXPECT_EQ(Reading<Colored>("color: [red]").diagnostics.problems()[0].rule, "wrong-type");
}

TEST(FieldList, IntegersAreExactToTheirBounds) {
  Reading<Everything> read("{ rate: 1/1s, map: { a: 4294967295, b: 4294967296 } }");
  EXPECT_EQ(testing::summary(read.diagnostics), "1:40 out-of-range\n");
  EXPECT_EQ(read.value.map[0].second, 4294967295u);
}

TEST(FieldList, SecretsAreNeverWrittenBack) {
  ReadEverything read("{ rate: 1/1s, password: hunter2 }");
  const std::string json = to_json(Everything::schema(), &read.value);
  EXPECT_EQ(json.find("hunter2"), std::string::npos);
  EXPECT_THAT(json, ::testing::HasSubstr(R"("password": "***")"));
  EXPECT_THAT(json, ::testing::HasSubstr(R"("wait": "2s")"));
}

TEST(FieldList, JsonSchemaHasDescriptionsDefaultsAndBounds) {
  const std::string schema = json_schema(Everything::schema());
  for (std::string_view part :
       {R"("$schema": "http://json-schema.org/draft-07/schema#")", R"("additionalProperties": false)",
        R"("description": "A text.")", R"("default": "default")", R"("default": "2s")",
        R"("default": "4KiB")", R"("minimum": -5)", R"("maximum": 255)", R"("minItems": 2)",
        R"("$ref": "#/definitions/inner")", R"("$ref": "#/definitions/everything")",
        R"("pattern": "^[A-Za-z0-9._-]{1,253}$")"})
    EXPECT_THAT(schema, ::testing::HasSubstr(part));
  EXPECT_THAT(json_schema(Colored::schema()), ::testing::HasSubstr("\"enum\": [\n"));
  EXPECT_THAT(json_schema(Colored::schema()), ::testing::Not(::testing::HasSubstr("ultraviolet")));
}

TEST(FieldList, TheDocsTableHasARowAField) {
  const std::string table = docs_table(Everything::schema());
  for (std::string_view row : {"| `flag` | boolean | `false` | A switch. |\n",
                               "| `large` | integer | `0` | A number. From -5 to 5 apples. |\n",
                               "| `wait` | duration | `2s` | A time. From 1ms to 1m. |\n",
                               "| `rate` | rate | **required** | A rate. |\n",
                               "| `list` | list of strings, or one alone |  | Several \\| many. |\n",
                               "| `inners` | list of [inner](#inner)s |  | Several inside. |\n",
                               "| `maybe` | string |  | Perhaps. |\n"})
    EXPECT_THAT(table, ::testing::HasSubstr(row));
  EXPECT_THAT(docs_section(Everything::schema()),
              ::testing::HasSubstr("\n## inner\n\nSomething inside.\n\n| Field |"));
}

}  // namespace
}  // namespace sluice::config
