// `grpc_transcode`: a gRPC service as a JSON API, as its google.api.http bindings say. The bindings are
// routes of the API that it stands on; a request that comes by one goes to the upstream as a gRPC call, and
// the call's answer back as JSON.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/types.h"
#include "gateway/policy_types.h"
#include "http/body.h"
#include "policies/transform/grpc_transcode/binding.h"
#include "policies/transform/grpc_transcode/proto_files.h"

namespace sluice::policies {

struct GrpcTranscodeConfig {
  grpc::ProtoFiles descriptors;
  std::vector<std::string> services;  // empty: all
  bool auto_mapping = false;
  std::vector<std::string> ignored_query_parameters;
  bool ignore_unknown_query_parameters = false;
  bool ignore_unknown_fields = false;
  config::ByteSize max_message = config::mebibytes(4);
  grpc::PrintOptions print;
  static const config::Struct<GrpcTranscodeConfig>& schema();
};

class GrpcTranscode final : public gateway::Policy {
 public:
  GrpcTranscode(const GrpcTranscodeConfig& config, std::vector<grpc::Binding> bindings);

  Hooks hooks() const override { return {.request = true, .end = true, .response_waits = true}; }
  gateway::Step on_request(gateway::Exchange& exchange) const override;
  io::Task<> wait_response(gateway::Exchange& exchange) const override;
  void on_end(const gateway::Exchange& exchange) const noexcept override;

  static const gateway::PolicyType& type();

 private:
  struct Call;
  struct CallPointer {
    Call* call;
  };

  const grpc::Binding* binding_of(const gateway::Exchange& exchange) const;
  gateway::Step begin_body(gateway::Exchange& exchange, Call& call) const;
  io::Task<gateway::Step> wait_body(gateway::Exchange& exchange, Call& call) const;
  bool take_body(gateway::Exchange& exchange, Call& call, const http::ChunkResult& chunk) const;
  gateway::Step finish_body(gateway::Exchange& exchange, Call& call) const;
  void send_as_call(gateway::Exchange& exchange, Call& call) const;

  io::Task<> wait_message(gateway::Exchange& exchange, Call& call) const;
  bool take_answer(gateway::Exchange& exchange, Call& call, const http::ChunkResult& chunk) const;
  void answer_message(gateway::Exchange& exchange, Call& call) const;
  void answer_status(gateway::Exchange& exchange, const http::Fields& fields) const;
  void begin_stream(gateway::Exchange& exchange, Call& call) const;

  std::shared_ptr<const grpc::Schema> schema_;
  grpc::MessageCodec codec_;
  grpc::MessageCodec line_codec_;  // without white space: for streams
  grpc::QueryRules query_;
  size_t max_message_;
  std::vector<grpc::Binding> bindings_;                         // by RoutePlan::brought
  std::unordered_map<std::string_view, uint32_t> auto_mapped_;  // by the method's path
};

}  // namespace sluice::policies
