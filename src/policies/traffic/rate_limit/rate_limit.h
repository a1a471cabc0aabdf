// `rate_limit`: how often a caller may ask, counted exactly across all workers.
#pragma once

#include <string>
#include <vector>

#include "config/types.h"
#include "gateway/policy_types.h"
#include "http/field_name.h"

namespace sluice::policies {

enum class RateAlgorithm : uint8_t { kGcra };

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
  RateAlgorithm algorithm = RateAlgorithm::kGcra;
  std::vector<RateKeyPart> key{RateKeyPart{}};
  uint32_t cost = 1;
  static const config::Struct<RateLimitConfig>& schema();
};

/// GCRA: a full burst at once, then evenly. What is refused costs nothing. Tells what is left in
/// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers-10), named by the policy's id,
/// never by the key.
class RateLimit final : public gateway::Policy {
 public:
  RateLimit(const RateLimitConfig& configured, const gateway::PolicyContext& context);
  Hooks hooks() const override { return {.request = true, .response = true}; }
  gateway::Step on_request(gateway::Exchange& exchange) const override;
  void on_response(gateway::Exchange& exchange) const override;

  static const gateway::PolicyType& type();

 private:
  std::string_view key_of(gateway::Exchange& exchange) const;

  store::RateTable& table_;
  store::GcraLimit limit_;
  uint64_t identity_;
  uint32_t cost_;
  std::vector<RateKeyPart> parts_;
  std::string quoted_id_;    // as a structured-field string
  std::string policy_text_;  // the item of RateLimit-Policy
  telemetry::Counter limited_;
};

}  // namespace sluice::policies

template <>
struct sluice::config::EnumTraits<sluice::policies::RateAlgorithm> {
  static constexpr EnumName<policies::RateAlgorithm> kNames[] = {
      {"gcra", policies::RateAlgorithm::kGcra},
      {"sliding_window", policies::RateAlgorithm::kGcra, true},
      {"fixed_window", policies::RateAlgorithm::kGcra, true}};
};

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
