// For tests of policies around gRPC: a service in place of the upstream that notes what it was called with
// and answers as told.
#pragma once

#include <gtest/gtest.h>

#include <map>

#include "gateway/gateway_fixture.h"
#include "http/grpc_frame.h"
#include "policies/registry.h"

namespace sluice::policies::testing {

using namespace std::chrono_literals;
using gateway::testing::Answer;
using gateway::testing::Client;

inline std::string framed(std::string_view message, uint8_t flags = 0) {
  auto prefix = http::grpc_prefix(static_cast<uint32_t>(message.size()), flags);
  return std::string(prefix.data(), prefix.size()).append(message);
}

/// What the service saw and what it says.
struct Service {
  std::string seen;                   // "POST /pkg.S/M\nname: value\n..."
  std::vector<std::string> messages;  // of the request
  std::string fault;                  // why the request could not be read

  uint16_t status = 200;
  std::string content_type = "application/grpc";
  std::map<std::string, std::string> head;  // more fields
  std::vector<std::string> pieces;          // of the body
  std::map<std::string, std::string> trailers{{"grpc-status", "0"}};
  bool breaks = false;  // the body does not come to its end
};
inline Service service;

class ServiceHandler final : public gateway::Handler {
 public:
  io::Task<> handle(gateway::Exchange& exchange) const override {
    const http::Request& request = exchange.request;
    service.seen.assign(request.method_text).append(" ").append(request.path);
    if (request.has_query) service.seen.append("?").append(request.query);
    service.seen += '\n';
    for (const http::Field& field : request.fields)
      service.seen.append(field.name).append(": ").append(field.value).append("\n");
    if (exchange.server.te_trailers) service.seen += "te_trailers\n";
    http::GrpcFrameReader frames(1 << 20);
    while (exchange.request_body) {
      auto chunk = co_await exchange.request_body->read();
      if (!chunk) {
        service.fault = chunk.error().detail;
        std::ignore = exchange.refuse({chunk.error().status, chunk.error().code, chunk.error().detail});
        co_await exchange.respond();
        co_return;
      }
      std::string_view bytes = chunk->bytes;
      while (!bytes.empty()) {
        auto frame = frames.next(bytes);
        if (frame && *frame) service.messages.emplace_back((*frame)->message);
      }
      if (chunk->end) break;
    }
    exchange.response.status = service.status;
    exchange.response.fields.add(http::FieldName::kContentType, service.content_type);
    for (const auto& [name, value] : service.head) exchange.response.fields.add(name, value);
    http::Fields trailers(exchange.arena);
    for (const auto& [name, value] : service.trailers) trailers.add(name, value);
    http::h1::testing::PieceBody body(exchange.loop(), service.pieces, service.breaks);
    body.trailers = &trailers;
    exchange.response.body = http::BodyLength::unknown();
    exchange.response_body = http::Body::of(body);
    co_await exchange.respond();
  }
};

class ServiceHandlers final : public gateway::HandlerTypes {
 public:
  std::expected<std::unique_ptr<const gateway::Handler>, std::string> build(
      const gateway::RouteAction&) const override {
    return std::make_unique<ServiceHandler>();
  }
};

class GrpcPolicyTest : public gateway::testing::GatewayTest {
 protected:
  GrpcPolicyTest() : GatewayTest(kPolicies, kHandlers) { service = {}; }

  Answer post(std::string_view target, std::string_view type, std::string_view body,
              std::string_view fields = {}) {
    std::string more(fields);
    if (!type.empty()) more.append("Content-Type: ").append(type).append("\r\n");
    more.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n");
    return ask(request("POST", target, more) + std::string(body));
  }

 private:
  static inline const Registry kPolicies;
  static inline const ServiceHandlers kHandlers;
};

}  // namespace sluice::policies::testing
