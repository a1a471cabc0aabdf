// `rewrite`: another path for the upstream. The route was chosen before and stays.
#pragma once

#include <string>

#include "config/types.h"
#include "gateway/path_template.h"
#include "gateway/policy_types.h"

namespace sluice::policies {

struct RewriteConfig {
  std::string path;
  static const config::Struct<RewriteConfig>& schema();
};

class Rewrite final : public gateway::Policy {
 public:
  explicit Rewrite(gateway::PathTemplate path) : path_(std::move(path)) {}
  Hooks hooks() const override { return {.request = true}; }
  gateway::Step on_request(gateway::Exchange& exchange) const override;

  static const gateway::PolicyType& type();

 private:
  gateway::PathTemplate path_;
};

}  // namespace sluice::policies
