// The table of policies: one line each.
#pragma once

#include "gateway/policy_types.h"

namespace sluice::policies {

class Registry final : public gateway::PolicyTypes {
 public:
  const config::StructBase* find(std::string_view name) const override;
  std::span<const std::string_view> names() const override;
  const gateway::PolicyType* type(std::string_view name) const override;
};

}  // namespace sluice::policies
