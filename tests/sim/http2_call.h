// What a world of HTTP/2 is made of: calls, what upstreams did with them, and what became of each.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "base/random.h"
#include "http2_session.h"
#include "violations.h"

namespace sluice::sim {

enum class Http2Deed : uint8_t {
  kAnswer,
  kEarly,        // answers before it has the body, and wants no more of it (RFC 9113, section 8.1)
  kGoodbye,      // takes this one, and none behind it
  kRefuse,       // REFUSED_STREAM
  kReset,        // instead of an answer
  kResetInBody,  // in the middle of its answer
  kSilence,
  kShort,     // less than the length it said
  kBreakOff,  // ends the connection
  kSwitch,    // 101, which HTTP/2 has not
};
inline constexpr uint64_t kHttp2Deeds = 10;

struct Http2Call;

/// One request as an upstream saw it.
struct Http2Serving {
  uint32_t number = 0;
  Http2Call* call = nullptr;
  Http2Deed deed = Http2Deed::kAnswer;
  uint32_t connection = 0;
  int status = 200;
  std::string body;
  bool trailers = false;
  bool sent_whole = false;
};

struct Http2Call {
  uint32_t number = 0;
  std::string method = "GET";
  std::string path;
  std::string body;
  bool http1 = false;      // its client speaks HTTP/1.1
  bool websocket = false;  // RFC 8441: what it sends comes back
  bool length = false;     // its body's is said
  bool trailers = false;
  uint64_t seed = 0;  // of what upstreams do
  Duration pause{};
  Duration leaves_after{};  // takes it back then; zero: it does not
  size_t piece = 0;         // of the body at a time; 0: all at once
  // What became of it:
  enum class Outcome : uint8_t { kUnsent, kAnswered, kBroken } outcome = Outcome::kUnsent;
  Instant begun{};
  Instant ended{};
  int status = 0;
  Fields head;
  std::string answer;
  Fields answer_trailers;
  bool harmed = false;   // its client's connection drew a fault
  bool left = false;     // its client took it back
  bool excused = false;  // the gateway had said goodbye
  std::vector<Http2Serving*> servings;

  bool idempotent() const { return method != "POST"; }
};

struct Http2Ledger {
  std::deque<Http2Call> calls;
  std::deque<Http2Serving> servings;
  std::vector<Instant> losses;  // when a connection of an upstream ended, or was said to
};

/// The binary messages of a WebSocket, masked with zeros: identity bytes in frames.
std::string websocket_frames(std::string_view bytes);
/// Whether it is the beginning of what was sent, or that and the gateway's goodbye.
bool is_of_websocket(std::string_view received, std::string_view sent);

}  // namespace sluice::sim
