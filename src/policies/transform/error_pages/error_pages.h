// `error_pages`: errors are answered with pages of one's own, or with something else in their place.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/document_types.h"
#include "gateway/policy_types.h"
#include "http/fields.h"
#include "policies/transform/error_pages/page_template.h"

namespace sluice::policies {

/// Whose errors.
enum class ErrorsOf : uint8_t { kGateway, kUpstream, kBoth };

struct ErrorPage {
  std::vector<config::StatusRange> statuses{{400, 599}};
  std::vector<std::string> codes;  // of the gateway's errors; empty: any
  ErrorsOf of = ErrorsOf::kGateway;
  bool accepted = false;  // only for who accepts its type
  std::optional<uint16_t> status;
  std::string content_type = "text/html; charset=utf-8";
  config::Map<std::string> headers;
  std::string body;
  static const config::Struct<ErrorPage>& schema();
};

struct ErrorPagesConfig {
  std::vector<ErrorPage> pages;
  static const config::Struct<ErrorPagesConfig>& schema();
};

/// The first page that fits takes the answer's place.
class ErrorPages final : public gateway::Policy {
 public:
  explicit ErrorPages(const ErrorPagesConfig& configured);
  Hooks hooks() const override { return {.response = true}; }
  void on_response(gateway::Exchange& exchange) const override;

  static const gateway::PolicyType& type();

 private:
  struct Field {
    std::string name;
    std::string value;
  };
  struct Page {
    ErrorPage rules;
    std::string media_type;  // of its content type, without parameters
    std::vector<Field> fields;
    PageTemplate body;
  };
  static bool fits(const Page& page, const gateway::Exchange& exchange);

  std::vector<Page> pages_;
};

}  // namespace sluice::policies

template <>
struct sluice::config::EnumTraits<sluice::policies::ErrorsOf> {
  using Of = sluice::policies::ErrorsOf;
  static constexpr EnumName<Of> kNames[] = {
      {"gateway", Of::kGateway}, {"upstream", Of::kUpstream}, {"both", Of::kBoth}};
};
