// HTTP/2 as simulated clients and upstreams speak it: nghttp2 used plainly, without the gateway's code around
// it, so that a mistake there is not made on both sides.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/scope.h"
#include "io/sim/sim_world.h"
#include "message.h"
#include "wait.h"

struct nghttp2_session;

namespace sluice::sim {

/// A request and its answer, as one side of it sees them.
struct Http2Stream {
  int32_t id = 0;
  Fields head;  // that came, with pseudo-header fields; of an answer the final one
  std::vector<int> interim;
  std::string body;
  Fields trailers;
  bool headed = false;
  bool ended = false;
  bool closed = false;
  uint32_t code = 0;  // closed: for this reason
  // What goes out:
  std::string out;
  size_t out_sent = 0;
  size_t released = 0;    // of `out`; the rest comes later
  bool out_whole = true;  // behind `out` is the end
  Fields out_trailers;
  Signal signal;  // something has come, or the end of it all

  int status() const;
};

class Http2Session {
 public:
  /// Who serves, if this is a server.
  class Owner {
   public:
    virtual void on_request(Http2Stream& stream) = 0;

   protected:
    ~Owner() = default;
  };
  struct Settings {
    uint32_t most_streams = 100;  // a server's
    uint32_t window = 65'535;     // of each stream
    bool extended_connect = true;
  };

  /// `owner`: null for a client.
  Http2Session(io::SimLoop& loop, std::unique_ptr<io::Stream> stream, Owner* owner, const Settings& settings);
  Http2Session(const Http2Session&) = delete;
  Http2Session& operator=(const Http2Session&) = delete;
  ~Http2Session();

  /// Until the connection ends, or `token` is cancelled.
  io::Task<> run(io::CancelToken& token);
  bool over() const { return over_; }
  /// The peer has broken the protocol; empty: it has not.
  const std::string& broken() const { return broken_; }
  /// The peer takes no more requests.
  bool told_to_go() const { return told_to_go_; }
  uint32_t connection() const;
  io::Stream& stream() { return *stream_; }
  size_t streams_begun() const { return streams_.size(); }

  /// Client: sends a request; what is in `out` follows. Null: no more may begin.
  Http2Stream* request(const Fields& head, std::string out, size_t released, const Fields& trailers,
                       bool body);
  void interim(Http2Stream& stream, int status);
  void answer(Http2Stream& stream, const Fields& head, bool body);
  /// More of `out` may go.
  void release(Http2Stream& stream, size_t released);
  void reset(Http2Stream& stream, uint32_t code);
  /// No stream behind those that have come is looked at.
  void say_goodbye();
  void break_off();

 private:
  friend struct Http2Callbacks;
  void kick();
  io::Task<> flush();
  Http2Stream& find_or_make(int32_t id);

  io::SimLoop& loop_;
  std::unique_ptr<io::Stream> stream_;
  Owner* owner_;
  nghttp2_session* session_ = nullptr;
  std::map<int32_t, std::unique_ptr<Http2Stream>> streams_;
  io::TaskScope scope_;
  std::string broken_;
  bool writing_ = false;
  bool over_ = false;
  bool told_to_go_ = false;
  int32_t last_served_ = INT32_MAX;  // as we have told
};

}  // namespace sluice::sim
