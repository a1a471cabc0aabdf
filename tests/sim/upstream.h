// A simulated upstream: answers the calls that reach it as their draw says, well or badly, and looks at what
// the gateway has made of them.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/random.h"
#include "call.h"
#include "document.h"
#include "draw_calls.h"
#include "gateway.h"
#include "io/scope.h"
#include "io/sim/sim_world.h"
#include "violations.h"
#include "wait.h"

namespace sluice::sim {

/// How an upstream answers one try of one call.
struct ServingPlan {
  UpstreamDeed deed = UpstreamDeed::kAnswer;
  int status = 200;
  size_t size = 0;
  Framing framing = Framing::kLength;
  size_t chunk = 1000;
  bool early = false;
  bool closes = false;
  bool says_close = false;
  bool trailers = false;
  bool http10 = false;        // speaks HTTP/1.0, and does not say that it keeps the connection
  bool twice_length = false;  // says its length two times, or one where there is no body
  bool odd_204 = false;       // says a length where there can be no body
  int interim = 0;
  Duration delay{};
  Duration body_pause{};  // between pieces
  size_t piece = 0;
  size_t read_pause_after = 0;
  uint64_t cut = 0;  // where a deed in the body happens
  // After the answer, while the connection idles:
  enum class After : uint8_t { kKeep, kEnd, kReset, kNoise, kGlued } after = After::kKeep;
  Duration after_pause{};
};
ServingPlan draw_serving(const Call& call, size_t attempt, const Profile& profile);
/// The head of its answer; notes in `serving` what is answered.
std::string serve_head(Serving& serving, const ServingPlan& plan);
/// The body that follows, framed.
std::string serving_wire(const Serving& serving, const ServingPlan& plan);

class UpstreamServer {
 public:
  UpstreamServer(io::SimLoop& loop, const Backend& backend, const Profile& profile, Ledger& ledger,
                 Violations& violations)
      : loop_(loop), backend_(backend), profile_(profile), ledger_(ledger), violations_(violations) {}

  /// Its name does not lead here any more: no new connection is used from then on.
  void retire(Instant at) { retired_ = at; }
  bool listen();
  /// When which configuration was active; outlives the server.
  void know(const std::vector<RevisionTimes>& revisions) { revisions_ = &revisions; }
  /// Accepts no more; what is connected goes on.
  void stop() { accepting_.cancel(io::CancelReason::kDrain); }
  /// Ends what is left.
  void cancel_all() { all_.cancel(io::CancelReason::kShed); }
  size_t open() const { return open_; }
  /// Connections that wait for a request.
  size_t resting() const { return resting_; }
  size_t accepted() const { return accepted_; }
  size_t active() const { return scope_.active(); }
  const Backend& backend() const { return backend_; }
  size_t requests() const { return requests_; }
  /// Of a connection that the gateway kept and did not use.
  Duration longest_idle() const { return longest_idle_; }

 private:
  struct Connection;
  io::Task<> accept_all();
  io::Task<> serve(std::unique_ptr<io::Stream> stream);
  io::Task<bool> serve_one(Connection& connection);
  io::Task<bool> read_more(Connection& connection);
  io::Task<bool> read_body(Connection& connection, Serving& serving, BodyDecoder& decoder, std::string& body);
  io::Task<bool> answer(Connection& connection, Serving& serving, const ServingPlan& plan);
  io::Task<bool> answer_badly(Connection& connection, Serving& serving, const ServingPlan& plan);
  io::Task<bool> write(Connection& connection, std::string_view bytes, size_t piece, Duration pause_between);
  io::Task<> wait_for_end(Connection& connection);
  io::Task<bool> idle(Connection& connection, const ServingPlan& plan);
  Serving* begin(Connection& connection, const Head& head);
  void check_request(const Serving& serving, const Head& head);
  void check_generation(const Call& call);
  void check_turn(const Call& call, std::string_view parity);
  void check_body(const Serving& serving, const std::string& body, bool whole, const Fields& trailers);

  io::SimLoop& loop_;
  Backend backend_;
  const Profile& profile_;
  Ledger& ledger_;
  Violations& violations_;
  const std::vector<RevisionTimes>* revisions_ = nullptr;
  io::CancelToken accepting_;
  io::CancelToken all_;
  std::unique_ptr<io::Listener> listener_;
  io::TaskScope scope_;
  size_t open_ = 0;
  size_t resting_ = 0;
  size_t accepted_ = 0;
  size_t requests_ = 0;
  Duration longest_idle_{};
  Instant retired_ = kNever;
};

}  // namespace sluice::sim
