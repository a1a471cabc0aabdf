// `rewrite`: another path for the upstream. The route was chosen before and stays.
#pragma once

#include <string>
#include <vector>

#include "config/types.h"
#include "gateway/policy_types.h"

namespace sluice::policies {

struct RewriteConfig {
  std::string path;
  static const config::Struct<RewriteConfig>& schema();
};

class Rewrite final : public gateway::Policy {
 public:
  explicit Rewrite(const RewriteConfig& configured);
  Hooks hooks() const override { return {.request = true}; }
  gateway::Step on_request(gateway::Exchange& exchange) const override;

  static const gateway::PolicyType& type();

 private:
  /// A literal text, then perhaps a parameter of the route's path.
  struct Part {
    std::string literal;
    std::string parameter;  // empty: none
  };
  std::vector<Part> parts_;
};

}  // namespace sluice::policies
