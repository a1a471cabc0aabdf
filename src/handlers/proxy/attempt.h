// One try at a target: a connection, the request on it, the head of the answer. The upload of a body runs
// beside.
#pragma once

#include <optional>

#include "gateway/connection_pool.h"
#include "gateway/exchange.h"
#include "gateway/upstream.h"
#include "gateway/worker.h"
#include "http/client.h"
#include "io/linked_token.h"
#include "io/scope.h"
#include "io/sleep.h"

namespace sluice::handlers {

/// Why a try gave no answer.
struct Failure {
  telemetry::UpstreamResult result;
  gateway::Refusal refusal;    // what the client gets when it is the last try
  bool sent = true;            // a byte of the request may have reached the target
  bool stale = false;          // a pooled connection that had been closed meanwhile
  bool unprocessed = false;    // the target has said that it has done nothing with it
  bool upstream_fault = true;  // false: the client's, or nobody's
};

class Attempt {
 public:
  /// `target`: null when none takes requests. `is_call`: a gRPC call, whose request may pause for as long as
  /// other streams may.
  Attempt(gateway::Exchange& exchange, const gateway::Upstream& upstream, gateway::TargetPointer target,
          bool is_call);
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;
  ~Attempt();

  /// Sends the request and reads the head of the final response into the exchange's. `fresh`: not on a
  /// connection that has been used before. Interim responses are passed on.
  io::Task<std::optional<Failure>> run(bool fresh);
  /// Before `run`: another attempt runs beside it, so that what belongs to the exchange is left alone until
  /// `win`. Interim responses are not passed on.
  void race() { own_answer_.emplace(exchange_.arena); }
  /// The other one is taken: what waits here ends.
  void abandon() { token_.cancel(io::CancelReason::kShed); }
  /// This one is taken.
  void win();
  /// After `run` succeeded: the response, the exchange's unless it is in a race.
  http::Response& answer() { return own_answer_ ? *own_answer_ : exchange_.response; }
  /// After `run` succeeded: the response's body; null when none comes.
  http::BodyReader* body() const { return body_; }
  const gateway::TargetPointer& target() const { return target_; }
  /// Whether nothing of the request's body was taken, so that it can be sent again.
  bool body_untouched() const { return !upload_began_ || (client_ && !client_->body_begun()); }
  /// Whether the request is still being sent; it must be ended then before the connection is given back.
  bool uploading() const { return scope_.active() > 0; }
  io::Task<> end_upload();
  /// Once the head is there: the exchange's deadline ends this try and not the exchange, so that the client
  /// can be told. Until `give_back`.
  void take_deadline();
  bool cancelled() const { return token_.cancelled(); }
  /// The answer goes on: a request that pauses meanwhile is not idle.
  void show_life() {
    if (upload_watch_) ++upload_watch_->source_moved;
  }
  /// Why the response's body has failed.
  gateway::Refusal refusal_of(const http::Error& error) { return failure_of(error).refusal; }
  /// Before the destructor, always.
  void give_back();
  /// Instead, once `run` has brought a 101: outlives the attempt.
  http::ClientTunnel& become_tunnel() { return std::exchange(client_, nullptr)->become_tunnel(); }
  /// With it: the tunnel counts among the target's requests, which it leaves when it ends. Null: it does not.
  std::shared_ptr<gateway::TargetIdentity> hand_over_count() {
    return std::exchange(counted_, false) ? target_->identity : nullptr;
  }

 private:
  io::Task<std::optional<Failure>> connect(gateway::ConnectionPool& pool);
  io::Task<std::optional<Failure>> read_head();
  std::optional<Failure> accept_upgrade();
  io::Task<> upload();
  io::Task<bool> wait_for_continue();
  Failure failure_of(const http::Error& error);
  Failure failure_of(const io::Error& error);
  Failure failure_of_cancellation();
  void begin();
  void await_head();
  void head_awaited();

  gateway::Exchange& exchange_;
  const gateway::Upstream& upstream_;
  const gateway::TargetPointer target_;
  http::ClientExchange* client_ = nullptr;
  io::LinkedToken token_;  // of this try; ends with the exchange's
  const http::ExchangePlace place_;
  io::CancelToken continue_token_;  // wakes an upload that waits for 100
  io::TaskScope scope_;
  http::TransferWatch* upload_watch_ = nullptr;
  http::BodyReader* body_ = nullptr;
  std::optional<http::Response> own_answer_;  // in a race
  std::optional<io::Deadline> own_deadline_;  // likewise, of its head
  std::optional<http::Error> client_error_;   // the upload found the client's body wanting
  const bool is_call_;
  bool upload_began_ = false;
  bool upload_done_ = false;  // the whole request is out
  bool head_received_ = false;
  bool proceed_ = false;         // the target said 100
  bool has_deadline_ = false;    // the timer holds `token_`
  bool counted_ = false;         // among the target's requests
  bool source_stalled_ = false;  // the client's body stood still
};

}  // namespace sluice::handlers
