// Exchange: one request on its walk, the one object that policies and handlers see.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "gateway/plan.h"
#include "gateway/policy.h"
#include "gateway/router/match.h"
#include "http/grpc_status.h"
#include "http/server.h"
#include "http/websocket/relay_rules.h"
#include "store/credentials.h"
#include "telemetry/access_log.h"

namespace sluice::gateway {

struct Target;
class Tunnel;
class Worker;

/// An error that the gateway makes itself; it becomes problem details (RFC 9457). Static texts.
struct Refusal {
  uint16_t status;
  std::string_view code;
  std::string_view detail;
  telemetry::ErrorBy by = telemetry::ErrorBy::kGateway;
};

/// What a policy demands of a WebSocket.
struct WebSocketRules {
  http::websocket::RelayRules rules;
  telemetry::Counter limited;  // one was ended for them; in a dry run: would have been
};

/// How a client speaks: errors of ours must be what it understands.
enum class Speech : uint8_t { kHttp, kGrpc, kGrpcWeb };

/// What the upstream's part of an exchange was, for log and metrics.
struct UpstreamRecord {
  std::string_view upstream;
  std::shared_ptr<const Target> target;  // the last one tried
  uint32_t tries = 0;
  Duration time{};  // from the first byte sent to the last one received, less what the client kept it waiting
};

class Exchange {
 public:
  Exchange(http::ServerExchange& server, Worker& worker);
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  http::ServerExchange& server;
  Worker& worker;
  Arena& arena;
  http::Request& request;
  http::Response response;
  http::Body response_body;

  /// The request's body, or null. A policy may wrap it.
  http::BodyReader* request_body;

  /// Set once the route is known.
  const RoutePlan* plan = nullptr;
  Match match;
  /// Who is calling, once a policy has found out; null: nobody known.
  const store::Identity* identity = nullptr;
  /// Under which plan, once a policy has found out; lives as long as the exchange's route plan.
  std::string_view plan_name;
  UpstreamRecord upstream;
  const Speech speech;
  /// How the gRPC call that this is, for the client or towards the upstream, has ended; nothing: it is none,
  /// or nobody knows.
  std::optional<http::GrpcStatus> grpc_status;
  /// When the exchange must have ended.
  Instant deadline = kNever;
  /// The path as it was matched; `request.path` is what is sent on.
  std::string_view received_path;

  /// A request's field that policies see and the upstream does not. `name` outlives the exchange or is in its
  /// arena.
  void hide_field(http::FieldName id, std::string_view name) {
    hidden_ = arena.make<HiddenField>(id, name, hidden_);
  }
  /// Takes the hidden fields out; for the handler that sends the request on.
  void remove_hidden_fields() {
    for (const HiddenField* field = hidden_; field; field = field->next)
      request.fields.remove(field->id, field->name);
    hidden_ = nullptr;
  }

  io::Loop& loop() const { return server.loop; }
  Instant now() const { return server.loop.now(); }

  /// This exchange's id: made when first asked for, or taken over from a trusted proxy by `set_request_id`.
  std::string_view request_id();
  void set_request_id(std::string_view id) { request_id_ = id; }
  /// What the client called it, when that was not taken over; for the log only.
  std::string_view client_request_id;

  /// Whether the peer is one of `gateway.trusted_proxies`.
  bool peer_trusted() const { return peer_trusted_; }
  /// The client's address as text: the peer's, or the first untrusted one from the right of X-Forwarded-For.
  std::string_view client_address() const { return client_address_; }
  std::string_view peer_address() const { return peer_address_; }
  void set_client(std::string_view peer, bool peer_trusted, std::string_view client) {
    peer_address_ = peer;
    peer_trusted_ = peer_trusted;
    client_address_ = client;
  }

  /// The value of a path parameter of the route by name; empty when there is none.
  std::string_view parameter(std::string_view name) const;

  /// A policy's own memory in this exchange: null until it is set; in the arena.
  template <class T>
  T*& state() {
    static_assert(std::is_trivially_destructible_v<T>);
    return reinterpret_cast<T*&>(states_[link_]);
  }
  template <class T>
  const T* state() const {
    return static_cast<const T*>(states_[link_]);
  }

  /// Puts problem details in place of the response, for a client that speaks gRPC the status of its call.
  /// `return exchange.refuse({...});` ends a request phase.
  Step refuse(const Refusal& refusal);
  /// The same for one whose response has begun, and whose last part says the status: for log and metrics.
  void fail_call(const Refusal& refusal, http::GrpcStatus status);
  /// Why the response is an error of the gateway's making, or null.
  const Refusal* refusal() const { return refusal_ ? &*refusal_ : nullptr; }
  /// An error of somebody else's: for the log.
  /// The code of the last refusal that a dry run did not enforce; empty: none.
  std::string_view dry_run;
  telemetry::ErrorBy error_by = telemetry::ErrorBy::kNobody;

  /// The response phase, then the response to the client. Exactly once.
  io::Task<http::SendOutcome> respond();
  /// Instead, for a 101: the stream of what follows. Null: the client is gone, or a policy has put another
  /// response in its place, which has been sent.
  io::Task<io::Stream*> accept_tunnel();
  /// After that: what the connection carries from now on.
  void begin_tunnel(std::unique_ptr<Tunnel> tunnel);
  /// What `begin_tunnel` was given; its owner is the connection.
  Tunnel* tunnel = nullptr;
  /// What policies demand of the WebSocket that this may become; null: nothing. Theirs, or in the arena.
  const WebSocketRules* websocket = nullptr;

  // --- for the worker: the chain of `plan` ---

  /// Begins the request phase. kNext: every policy let it pass; kAnswer: `response` is the answer; kWait:
  /// await the task and hand what it yields to `continue_request_phase`.
  Step start_request_phase();
  Step continue_request_phase(Step decided);
  void run_end_phase() noexcept;
  /// Whether a policy waits for the end phase.
  bool has_end_phase() const;

 private:
  Step run_links();
  bool accept_decision(Step::Kind kind);
  bool run_response_phase();
  io::Task<> finish_response_phase();
  io::Task<http::SendOutcome> respond_waiting();
  void fault_in_response(std::string_view what);

  struct HiddenField {
    http::FieldName id;
    std::string_view name;
    const HiddenField* next;
  };

  const HiddenField* hidden_ = nullptr;
  std::string_view request_id_;
  std::string_view peer_address_;
  std::string_view client_address_;
  bool peer_trusted_ = false;
  std::optional<Refusal> refusal_;
  std::span<void*> states_;  // by link of the chain
  size_t link_ = 0;          // the policy that runs now
  size_t began_ = 0;         // links whose request phase has begun
  size_t to_respond_ = 0;    // links whose response phase is to come
};

}  // namespace sluice::gateway
