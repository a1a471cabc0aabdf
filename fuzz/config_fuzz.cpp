// The configuration loader on any text: with no files, no environment and one policy; it must return, with a
// document or with problems that can be rendered.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "config/json_schema.h"
#include "config/loader.h"

namespace {

using namespace sluice::config;

struct Anything {
  bool flag = false;
  std::vector<std::string> list;
  Rate rate;
  static const Struct<Anything>& schema() {
    static const auto schema = Struct<Anything>("anything", "A policy for the fuzzer.")
                                   .field("flag", &Anything::flag, "A switch.")
                                   .field("list", &Anything::list, "Texts.")
                                   .one_or_many()
                                   .field("rate", &Anything::rate, "A rate.");
    return schema;
  }
};

class Catalog final : public PolicyCatalog {
 public:
  const StructBase* find(std::string_view type) const override {
    return type == "anything" ? &Anything::schema() : nullptr;
  }
  std::span<const std::string_view> names() const override {
    static constexpr std::string_view kNames[] = {"anything"};
    return kNames;
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Catalog catalog;
  LoadOptions options;
  options.catalog = &catalog;
  options.environment = Environment::empty();
  const auto result = load_text({reinterpret_cast<const char*>(data), size}, options);
  const auto& diagnostics = result.diagnostics;
  if (diagnostics.render_text().empty() != diagnostics.problems().empty()) std::abort();
  diagnostics.render_json();
  diagnostics.render_sarif();
  if (!result.ok()) return 0;
  // What was accepted can be written back, and is accepted again as it was written.
  const std::string text = to_json(Document::schema(), &result.document);
  const auto again = load_text(text, options);
  for (const Problem& problem : again.diagnostics.problems())
    if (problem.rule == "syntax") std::abort();
  return 0;
}
