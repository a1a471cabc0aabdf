// `api_key`: who is calling, by a key that stands in a header field, a query parameter or a cookie.
#pragma once

#include <string>

#include "config/types.h"
#include "gateway/policy_types.h"
#include "http/field_name.h"

namespace sluice::policies {

enum class KeyPlace : uint8_t { kHeader, kQuery, kCookie };

struct ApiKeyConfig {
  KeyPlace in = KeyPlace::kHeader;
  std::string name = "X-API-Key";
  bool hide = true;
  static const config::Struct<ApiKeyConfig>& schema();
};

/// Refuses with 401 what has no key, several keys, or one that is nobody's; else sets the exchange's
/// identity. One look into the process-wide table, by the key's digest: no secret is compared byte by byte,
/// none is kept.
class ApiKey final : public gateway::Policy {
 public:
  ApiKey(const ApiKeyConfig& configured, const gateway::PolicyContext& context);
  Hooks hooks() const override { return {.request = true}; }
  gateway::Step on_request(gateway::Exchange& exchange) const override;

  static const gateway::PolicyType& type();

 private:
  /// The upstream gets the consumer's name, not its secret.
  void hide(gateway::Exchange& exchange) const;

  KeyPlace place_;
  bool hides_;
  std::string name_;
  http::FieldName field_;  // of `name_`
  const store::KeyedHasher& hasher_;
  const store::CredentialTable& credentials_;
};

}  // namespace sluice::policies

template <>
struct sluice::config::EnumTraits<sluice::policies::KeyPlace> {
  static constexpr EnumName<policies::KeyPlace> kNames[] = {{"header", policies::KeyPlace::kHeader},
                                                            {"query", policies::KeyPlace::kQuery},
                                                            {"cookie", policies::KeyPlace::kCookie}};
};
