// A simulated client: one connection after another, on each some calls, one by one or pipelined.
#pragma once

#include <vector>

#include "call.h"
#include "io/scope.h"
#include "io/sim/sim_world.h"
#include "tls/client_context.h"
#include "violations.h"
#include "wait.h"

namespace sluice::sim {

/// What a client does, drawn beforehand.
struct ClientPlan {
  std::vector<Call*> calls;
  io::Address to;
  bool tls = false;
  Duration start{};
  bool pipelined = false;
  bool half_closes = false;  // after its last request; it still reads
  bool stays = false;        // after its last answer: until the gateway ends the connection
  size_t read_after = 0;     // bytes after which it pauses, 0: it never does
  Duration read_pause{};
};

class Client {
 public:
  Client(io::SimLoop& loop, const ClientPlan& plan, Duration patience, Violations& violations)
      : loop_(loop), plan_(plan), patience_(patience), violations_(violations) {}

  io::Task<> run();
  io::SimLoop& loop() { return loop_; }
  bool done() const { return done_; }
  /// When connecting was refused.
  const std::vector<Instant>& refusals() const { return refusals_; }
  /// When the gateway ended the last connection that stayed; zero: it did not.
  Instant let_go_at() const { return let_go_at_; }
  bool idle() const { return idle_; }
  bool connected() const { return stream_ != nullptr; }
  /// It has its last answer, and still sends the request.
  bool still_sends() const { return connected() && !plan_.calls.back()->written; }
  /// Since when the last connection was; and whether it might have gone on being used.
  Instant idle_since() const { return std::max(idle_since_, plan_.calls.back()->sent); }
  bool finished_well() const;
  std::string describe() const;

 private:
  io::Task<> use_connection();
  io::Task<bool> connect(io::CancelToken& token);
  void pass_over_call();
  io::Task<> send_calls();
  io::Task<bool> send_call(Call& call);
  io::Task<bool> send_bytes(Call& call, std::string_view bytes);
  io::Task<> act_deed(Call& call);
  io::Task<> read_answers();
  bool parse();
  bool begin_answer(Call& call);
  void end_answer(Call& call);
  void close_outstanding(bool reset);

  io::SimLoop& loop_;
  const ClientPlan& plan_;
  Duration patience_;
  Violations& violations_;

  std::unique_ptr<io::Stream> stream_;
  uint32_t connection_ = 0;  // the world's number of it
  tls::SessionSlot sessions_;
  io::CancelToken* token_ = nullptr;  // of the connection
  Signal progress_;
  std::string buffer_;
  BodyDecoder decoder_;
  bool in_body_ = false;
  bool ended_ = false;        // the connection, as far as we read
  bool last_answer_ = false;  // it said that it closes
  bool deaf_ = false;         // reads no more
  bool done_ = false;
  bool idle_ = false;
  size_t next_ = 0;         // the call to send next
  size_t outstanding_ = 0;  // calls begun on any connection: plan_.calls[finished_, outstanding_) are open
  size_t finished_ = 0;
  size_t received_ = 0;
  size_t written_ = 0;  // bytes of the call in hand
  std::vector<Instant> refusals_;
  Instant let_go_at_{};
  Instant idle_since_{};
};

}  // namespace sluice::sim
