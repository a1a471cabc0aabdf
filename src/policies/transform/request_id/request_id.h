// `request_id`: one id for a request, in what the upstream sees, in the answer and in the log.
#pragma once

#include "config/types.h"
#include "gateway/policy_types.h"

namespace sluice::policies {

struct RequestIdConfig {
  static const config::Struct<RequestIdConfig>& schema();
};

/// An id that comes along is taken over from a trusted proxy only; from anybody else it is logged as the
/// client's.
class RequestId final : public gateway::Policy {
 public:
  Hooks hooks() const override { return {.request = true, .response = true}; }
  gateway::Step on_request(gateway::Exchange& exchange) const override;
  void on_response(gateway::Exchange& exchange) const override;

  static const gateway::PolicyType& type();
};

}  // namespace sluice::policies
