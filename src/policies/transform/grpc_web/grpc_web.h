// `grpc_web`: calls of browsers, which cannot speak gRPC itself, as calls that a gRPC service takes
// (gRPC-Web's protocol, PROTOCOL-WEB.md). What is no gRPC-Web passes untouched.
#pragma once

#include "config/types.h"
#include "gateway/policy_types.h"

namespace sluice::policies {

struct GrpcWebConfig {
  static const config::Struct<GrpcWebConfig>& schema();
};

class GrpcWeb final : public gateway::Policy {
 public:
  Hooks hooks() const override { return {.request = true, .response = true, .end = true}; }
  gateway::Step on_request(gateway::Exchange& exchange) const override;
  void on_response(gateway::Exchange& exchange) const override;
  void on_end(const gateway::Exchange& exchange) const noexcept override;

  static const gateway::PolicyType& type();

 private:
  struct Call;
  struct CallPointer {
    Call* call;
  };
  static void answer_refusal(gateway::Exchange& exchange);
};

}  // namespace sluice::policies
