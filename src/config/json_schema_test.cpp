#include "config/json_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/docs_table.h"
#include "config/testing.h"

namespace sluice::config {
namespace {

using ::testing::HasSubstr;

// JSON, read with our own reader, as a tree to look into.
struct SchemaTree {
  explicit SchemaTree(std::string text) {
    const uint32_t file = diagnostics.sources().add("schema.json", std::move(text));
    root = parse_yaml(diagnostics.sources().text(file), file, arena, diagnostics);
  }
  Arena arena;
  Diagnostics diagnostics;
  Node* root = nullptr;
};

/// Every `$ref` below a node.
void collect_references(const Node& node, std::vector<std::string>& out) {
  for (const Node& item : node.items()) collect_references(item, out);
  for (uint32_t i = 0; i < node.member_count(); ++i) {
    if (node.key(i).text == "$ref") out.emplace_back(node.value(i).text);
    collect_references(node.value(i), out);
  }
}

TEST(DocumentSchema, EveryReferenceHasItsDefinition) {
  SchemaTree schema(document_schema(&testing::kCatalog));
  ASSERT_TRUE(schema.root) << schema.diagnostics.render_text();
  const Node* definitions = schema.root->find("definitions");
  ASSERT_TRUE(definitions);
  std::vector<std::string> references;
  collect_references(*schema.root, references);
  EXPECT_GT(references.size(), 30u);
  for (const std::string& reference : references) {
    ASSERT_TRUE(reference.starts_with("#/definitions/")) << reference;
    EXPECT_TRUE(definitions->find(reference.substr(14))) << reference;
  }
}

TEST(DocumentSchema, PoliciesAreAlternativesWithTheCommonFieldsMergedIn) {
  SchemaTree schema(document_schema(&testing::kCatalog));
  const Node* policy = schema.root->find("definitions")->find("policy");
  ASSERT_TRUE(policy);
  const auto choices = policy->find("oneOf")->items();
  ASSERT_EQ(choices.size(), 3u);  // use, api_key, rate_limit
  const Node* limit = choices[2].find("properties")->find("rate_limit");
  ASSERT_TRUE(limit);
  for (std::string_view field : {"id", "enabled", "dry_run", "locked", "rate", "burst", "key"})
    EXPECT_TRUE(limit->find("properties")->find(field)) << field;
  // Its required field may be missing where the policy is only switched off.
  EXPECT_EQ(limit->find("anyOf")->items().size(), 2u);
}

TEST(DocumentSchema, RootRefusesUnknownKeys) {
  SchemaTree schema(document_schema(nullptr));
  EXPECT_EQ(schema.root->find("additionalProperties")->text, "false");
  EXPECT_EQ(schema.root->find("required")->items()[0].text, "version");
}

TEST(ReferencePages, OnePageForTheDocumentAndOneAPolicy) {
  const auto pages = reference_pages(testing::kCatalog);
  ASSERT_EQ(pages.size(), 3u);
  EXPECT_EQ(pages[0].first, "configuration.md");
  EXPECT_THAT(pages[0].second,
              HasSubstr("| `targets` | list of [target](#target)s | **required** | The servers. |"));
  EXPECT_EQ(pages[2].first, "policy-rate_limit.md");
  EXPECT_THAT(pages[2].second, HasSubstr("| `rate` | rate | **required** |"));
  EXPECT_THAT(pages[2].second, HasSubstr("| `locked` | boolean | `false` |"));
}

TEST(Written, WhatWasLoadedCanBeLoadedAgain) {
  const auto first = testing::load_sample(
      "version: 1\nupstreams: { u: { targets: [http://h] } }\npolicies: [ { rate_limit: { rate: 1/1s } } ]\n"
      "apis: { a: { path: /a, routes: [ { name: r, match: { body: { $.a: '5', $.b: 5 } }, upstream: u } ] } "
      "}\n");
  ASSERT_TRUE(first.ok()) << first.diagnostics.render_text();
  const std::string text = to_json(Document::schema(), &first.document);
  EXPECT_THAT(text, HasSubstr("\"$.a\": \"5\""));
  EXPECT_THAT(text, HasSubstr("\"$.b\": 5"));
  const auto again = testing::load_sample(text);
  ASSERT_TRUE(again.ok()) << again.diagnostics.render_text();
  EXPECT_EQ(to_json(Document::schema(), &again.document), text);
}

}  // namespace
}  // namespace sluice::config
