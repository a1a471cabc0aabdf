// Clients of a world of HTTP/2: many calls at once on a connection, or, of HTTP/1.1, one after another.
#pragma once

#include <vector>

#include "http2_call.h"
#include "io/scope.h"
#include "io/sim/sim_world.h"

namespace sluice::sim {

struct Http2ClientPlan {
  std::vector<Http2Call*> calls;
  io::Address to;
  Duration start{};
  bool http1 = false;
  uint32_t window = 65'535;
};

class Http2Client {
 public:
  Http2Client(io::SimLoop& loop, const Http2ClientPlan& plan, Duration patience, Violations& violations)
      : loop_(loop), plan_(plan), patience_(patience), violations_(violations) {}

  io::Task<> run();
  bool done() const { return done_; }
  io::SimLoop& loop() { return loop_; }

 private:
  io::Task<> use_http2();
  io::Task<> make(Http2Session& session, Http2Call& call, io::CancelToken& token);
  io::Task<> send_pieces(Http2Session& session, Http2Call& call, Http2Stream& stream, io::CancelToken& token);
  io::Task<> make_http1(Http2Call& call);
  io::Task<> read_http1(Http2Call& call, io::Stream& stream);
  void note(Http2Call& call, const Http2Session& session, const Http2Stream& stream, bool late);

  io::SimLoop& loop_;
  const Http2ClientPlan& plan_;
  Duration patience_;
  Violations& violations_;
  bool done_ = false;
};

}  // namespace sluice::sim
