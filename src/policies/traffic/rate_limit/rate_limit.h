// `rate_limit`: how often a caller may ask, counted exactly across all workers.
#pragma once

#include <string>
#include <vector>

#include "config/document_types.h"
#include "gateway/policy_types.h"
#include "policies/traffic/limiter.h"

namespace sluice::policies {

/// Who shares one counter: a part of the exchange.
struct RateKeyPart {
  enum class Kind : uint8_t { kConsumer, kCredential, kAddress, kApi, kRoute, kGateway, kHeader };
  Kind kind = Kind::kConsumer;
  std::string header;  // of kHeader
  friend bool operator==(const RateKeyPart&, const RateKeyPart&) = default;
};

struct RateLimitConfig {
  config::Rate rate;
  std::optional<uint64_t> burst;
  config::RateAlgorithm algorithm = config::RateAlgorithm::kGcra;
  std::vector<RateKeyPart> key{RateKeyPart{}};
  uint32_t cost = 1;
  static const config::Struct<RateLimitConfig>& schema();
};

/// What is refused costs nothing. Fields name it by the policy's id, never by the key.
class RateLimit final : public gateway::Policy {
 public:
  RateLimit(const RateLimitConfig& configured, const gateway::PolicyContext& context);
  Hooks hooks() const override { return {.request = true, .response = true}; }
  gateway::Step on_request(gateway::Exchange& exchange) const override;
  void on_response(gateway::Exchange& exchange) const override;

  static const gateway::PolicyType& type();

 private:
  std::string_view key_of(gateway::Exchange& exchange) const;

  Limiter limiter_;
  uint32_t cost_;
  std::vector<RateKeyPart> parts_;
  telemetry::Counter limited_;
};

}  // namespace sluice::policies

template <>
struct sluice::config::ScalarTraits<sluice::policies::RateKeyPart> {
  static constexpr std::string_view kName = "rate key";
  static constexpr std::string_view kExpected =
      "`consumer`, `credential`, `address`, `api`, `route`, `gateway` or `header:NAME`";
  static constexpr std::string_view kPattern = "^(consumer|credential|address|api|route|gateway|header:.+)$";
  static constexpr bool kPlainNumber = false;
  static Parsed<policies::RateKeyPart> parse(std::string_view text);
  static std::string text(const policies::RateKeyPart& part);
};
