// `rate_limit`: how often a caller may ask, counted exactly across all workers.
#pragma once

#include <string>
#include <vector>

#include "config/document_types.h"
#include "gateway/policy_types.h"
#include "policies/traffic/limit_set.h"

namespace sluice::policies {

/// Who shares one counter: a part of the exchange.
struct RateKeyPart {
  enum class Kind : uint8_t { kConsumer, kCredential, kAddress, kApi, kRoute, kGateway, kHeader };
  Kind kind = Kind::kConsumer;
  std::string header;  // of kHeader
  friend bool operator==(const RateKeyPart&, const RateKeyPart&) = default;
};

/// What a request counts: a number, or what a field of the request or of its answer says.
struct RateCost {
  static constexpr uint32_t kMost = 1'000'000;
  enum class Kind : uint8_t { kFixed, kRequest, kResponse };
  Kind kind = Kind::kFixed;
  uint32_t fixed = 1;
  std::string field;  // of kRequest and kResponse
  friend bool operator==(const RateCost&, const RateCost&) = default;
};

/// Who is not limited.
struct RateExemptions {
  std::vector<config::IpPrefix> addresses;
  std::vector<std::string> consumers;
  std::vector<std::string> groups;
  static const config::Struct<RateExemptions>& schema();
};

struct RateLimitConfig {
  config::Limit limit;                // one, or
  std::vector<config::Limit> limits;  // several
  std::vector<RateKeyPart> key{RateKeyPart{}};
  uint32_t ipv6_prefix = 64;
  RateCost cost;
  RateExemptions exempt;
  bool legacy_fields = false;
  config::Sharing sharing;
  static const config::Struct<RateLimitConfig>& schema();
  std::vector<config::Limit> all_limits() const { return limits.empty() ? std::vector{limit} : limits; }
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
  bool is_exempt(const gateway::Exchange& exchange) const;
  std::string_view address_of(gateway::Exchange& exchange) const;
  std::string_view text_of(const RateKeyPart& part, gateway::Exchange& exchange) const;
  std::string_view key_of(gateway::Exchange& exchange) const;
  uint32_t cost_of(const gateway::Exchange& exchange) const;

  const LimitSet limits_;
  const RateCost cost_;
  const std::vector<RateKeyPart> parts_;
  const uint32_t ipv6_prefix_;
  const RateExemptions exempt_;
  const bool exempts_;  // anybody
  const bool legacy_fields_;
  const telemetry::Counter limited_;
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

template <>
struct sluice::config::ScalarTraits<sluice::policies::RateCost> {
  static constexpr std::string_view kName = "cost";
  static constexpr std::string_view kExpected =
      "a number from 1 to 1000000, `header:NAME` or `response:NAME`";
  static constexpr std::string_view kPattern = "^([0-9]{1,7}|header:.+|response:.+)$";
  static constexpr bool kPlainNumber = true;
  static Parsed<policies::RateCost> parse(std::string_view text);
  static std::string text(const policies::RateCost& cost);
};
