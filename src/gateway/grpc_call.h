// What a gRPC call is to the gateway itself, wherever it goes: errors of ours as its status, and the time
// that its caller gives it (gRPC over HTTP/2).
#pragma once

#include "gateway/exchange.h"

namespace sluice::gateway {

/// By what the client has sent, before a policy changes it.
Speech speech_of(const http::ServerExchange& server);
/// Puts an answer that is a status alone, all in one head ("Trailers-Only"), in place of the response.
/// `message` lives as long as the exchange.
void answer_call(Exchange& exchange, http::GrpcStatus status, std::string_view message);
/// Sets the exchange's deadline: the plan's, or that of `grpc-timeout` where it is earlier. Null, or what is
/// wrong with the field.
const Refusal* set_deadline(Exchange& exchange, const RoutePlan& plan);

}  // namespace sluice::gateway
