// For the tests of this folder: a catalog of two policies and a loader that sees no files and no environment.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "config/loader.h"
#include "config/types.h"

namespace sluice::config::testing {

struct SampleLimit {
  Rate rate;
  std::optional<uint64_t> burst;
  std::vector<std::string> key{"consumer"};
  Origin origin;
  static const Struct<SampleLimit>& schema() {
    static const auto schema = Struct<SampleLimit>("rate_limit", "Limits how often a caller may ask.")
                                   .field("rate", &SampleLimit::rate, "How many requests in which time.")
                                   .required()
                                   .field("burst", &SampleLimit::burst, "How many at once.")
                                   .range(1, 1000)
                                   .unit("requests")
                                   .field("key", &SampleLimit::key, "Who is counted.")
                                   .one_or_many();
    return schema;
  }
};

enum class SampleIn : uint8_t { kHeader, kQuery };

struct SampleKey {
  SampleIn in = SampleIn::kHeader;
  std::string name = "X-API-Key";
  static const Struct<SampleKey>& schema();
};

class SampleCatalog final : public PolicyCatalog {
 public:
  const StructBase* find(std::string_view type) const override {
    if (type == "api_key") return &SampleKey::schema();
    if (type == "rate_limit") return &SampleLimit::schema();
    return nullptr;
  }
  std::span<const std::string_view> names() const override {
    static constexpr std::string_view kNames[] = {"api_key", "rate_limit"};
    return kNames;
  }
};

inline const SampleCatalog kCatalog;

/// An environment of the given variables and files.
inline Environment environment_of(std::map<std::string, std::string> variables,
                                  std::map<std::string, std::string> files = {}) {
  Environment out = Environment::empty();
  out.variable = [variables](const std::string& name) -> std::optional<std::string> {
    auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
  out.read_file = [files](const std::string& path, size_t limit) -> std::expected<std::string, std::string> {
    auto found = files.find(path);
    if (found == files.end()) return std::unexpected(std::string("No such file or directory"));
    if (found->second.size() > limit) return std::unexpected(std::string("it is too large"));
    return found->second;
  };
  out.glob = [files](const std::string& pattern) {
    std::vector<std::string> paths;
    const std::string front = pattern.substr(0, pattern.find('*'));
    const std::string back = pattern.substr(pattern.find('*') + 1);
    for (const auto& [path, text] : files)
      if (path.starts_with(front) && path.ends_with(back)) paths.push_back(path);
    return paths;
  };
  return out;
}

inline LoadOptions options_of(Environment environment = Environment::empty()) {
  LoadOptions options;
  options.catalog = &kCatalog;
  options.environment = std::move(environment);
  return options;
}

inline LoadResult load_sample(std::string_view text) { return load_text(text, options_of(), "a.yaml"); }

/// "line:column rule" of every problem, one a line.
inline std::string summary(const Diagnostics& diagnostics) {
  std::string out;
  for (const Problem& problem : diagnostics.problems())
    out +=
        std::to_string(problem.at.line) + ":" + std::to_string(problem.at.column) + " " + problem.rule + "\n";
  return out;
}

}  // namespace sluice::config::testing

namespace sluice::config {

template <>
struct EnumTraits<testing::SampleIn> {
  static constexpr EnumName<testing::SampleIn> kNames[] = {
      {"header", testing::SampleIn::kHeader}, {"query", testing::SampleIn::kQuery}, {"cookie", {}, true}};
};

inline const Struct<testing::SampleKey>& testing::SampleKey::schema() {
  static const auto schema = Struct<SampleKey>("api_key", "Takes a key from the request.")
                                 .field("in", &SampleKey::in, "Where the key is.")
                                 .field("name", &SampleKey::name, "What it is called there.");
  return schema;
}

}  // namespace sluice::config
