// What a scenario is made of: calls that clients make, servings that upstreams give, and what became of each.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "message.h"

namespace sluice::sim {

struct Serving;

/// What must become of a call when nobody disturbs it; as written down when the call was drawn, without
/// asking the gateway.
struct Expected {
  // An answer of the gateway's own:
  int status = 0;              // 0: the upstream answers
  std::string code;            // of problem details; empty: the body is `body`
  std::string body;            // "{revision}" stands for the document's number
  Fields fields;               // that must be there
  bool outside_chain = false;  // refused before any policy saw it
  // Or what the upstream gets:
  std::vector<std::string> upstreams;  // one of these
  std::string target;                  // path and query, without a target's base path
  Fields forwarded;                    // all but framing, Host, x-request-id and x-config
  std::string host;                    // empty: the target's own
  std::string turned;                  // a field of these whose value is "even" or "odd": of the credentials
  Fields edits;                        // set on the answer
  std::vector<std::string> removed;    // taken from the answer
};

enum class ClientDeed : uint8_t {
  kNone,
  kResetRequest,  // after `deed_at` bytes of the request
  kEndRequest,    // likewise: a half-close in the middle
  kStallRequest,  // likewise: nothing more, for ever
  kResetAnswer,   // after `deed_at` bytes of the answer
  kStallAnswer,   // likewise: reads no more
  kLeave,         // resets while the answer is awaited
  kTrickle,       // from `deed_at` on sends its request in drops, without end as far as anybody can wait
};

enum class UpstreamDeed : uint8_t {
  kAnswer,           // nothing wrong
  kReset,            // instead of an answer
  kEnd,              // instead of an answer
  kHalfHead,         // ends in the head
  kGarbage,          // what is no HTTP
  kContradiction,    // a length and a coding
  kHugeHead,         // more than the gateway takes
  kTooManyInterim,   // 1xx without end
  kUpgrade,          // 101 unasked
  kSilence,          // never a byte
  kTruncated,        // ends in the body
  kResetInBody,      // resets in the body
  kBadChunk,         // a chunk that is none
  kStallInBody,      // no more, for ever
  kSwallowsNothing,  // does not read the request's body
};

enum class Outcome : uint8_t {
  kUnsent,    // its connection ended before
  kAnswered,  // a whole answer
  kClosed,    // its connection ended before an answer was whole
};

struct LimitDecision {
  bool allowed = false;
  uint64_t remaining = 0;
  // In seconds:
  uint64_t full_in = 0;   // until nothing counts any more
  uint64_t again_in = 0;  // until this one would be let through; 0: it can never be
  uint64_t count = 0;     // of the limit's rate
  uint64_t period = 0;
};

struct Call {
  uint32_t number = 0;
  std::string kind;
  std::string method = "GET";
  std::string head_wire;
  std::string body_wire;
  std::string body;
  Fields trailers;
  std::string own_id;      // the request id that it keeps; empty: it gets a new one
  std::string foreign_id;  // what it called itself, and must not be called
  std::string host;        // as the gateway must read it
  std::string path;
  std::string client_address;
  bool side = false;  // comes to kSidePort
  bool tls = false;   // comes to kSecurePort
  bool has_body = false;
  bool chunked = false;
  bool http10 = false;
  bool expects_continue = false;
  bool asks_close = false;              // the connection ends after its answer
  bool broken_frame = false;            // malformed: the connection ends after its answer
  bool body_refused = false;            // the gateway may answer before it has read the body
  std::array<Expected, 2> expected;     // for documents of even and of odd revisions
  std::string limit;                    // the rate limit that it meets; empty: none
  std::string limit_key;                // of whom
  bool unknown_key_may_change = false;  // its key comes and goes with reloads
  std::optional<Duration> total;        // the route's own time for all of it

  ClientDeed deed = ClientDeed::kNone;
  uint64_t deed_at = 0;
  size_t write_piece = 0;  // 0: all at once
  Duration write_pause{};
  Duration pause_before{};
  bool reads_slowly = false;
  uint64_t upstream_seed = 0;     // of what the upstream does, try by try
  bool upstream_behaves = false;  // whatever the profile says

  // --- what became of it ---
  Outcome outcome = Outcome::kUnsent;
  Instant begun{};     // the first byte of the request went out
  Instant turn{};      // the same, or when it was the first of its connection that had no answer
  Instant sent{};      // the last byte went out; zero: not all of it
  Instant left_at{};   // of kLeave
  Instant answered{};  // the head of the answer came
  Instant ended{};     // all was over
  Instant closed{};    // its answer was its connection's last, and this is when that ended
  bool closed_by_reset = false;
  bool head_sent = false;
  bool written = false;  // the client has nothing more to send
  bool continued = false;
  Instant continued_at{};
  bool harmed = false;         // its client's connection drew a fault that excuses a failure
  const Call* next = nullptr;  // on the same connection
  bool spoiled = false;        // its client ended the connection badly, in this call or a later one
  int interim = 0;
  Head head;
  std::string answer;
  Fields answer_trailers;
  bool answer_until_close = false;
  bool answer_begun = false;  // a byte of it came
  bool reset = false;         // ended by a reset
  bool answer_has_length = false;
  bool side_ended = false;  // its client had closed its sending side before all was over
  uint64_t answer_bytes = 0;
  bool excused_by_order = false;  // an answer before it ended the connection
  std::vector<Serving*> servings;
  std::optional<LimitDecision> decision;
  int probes = 0;

  /// What to expect from a document of this revision. A key that comes and goes does so at once everywhere,
  /// whatever document is active; check_answers looks at its times.
  const Expected& expected_of(uint64_t revision) const {
    return expected[unknown_key_may_change ? 0 : revision % 2];
  }
  bool idempotent() const { return method != "POST" && method != "PATCH" && method != "PURGE"; }
};

/// One request as an upstream saw it, and its answer.
struct Serving {
  uint32_t number = 0;
  Call* call = nullptr;
  std::string upstream;
  std::string target;  // the server that it came to
  uint32_t connection = 0;
  bool reused = false;  // not the first on its connection
  UpstreamDeed deed = UpstreamDeed::kAnswer;
  int status = 0;
  Fields fields;  // of its answer, without framing
  std::string body;
  Fields trailers;
  BodyRule rule;
  bool whole_request = false;  // the request's body came to its end
  bool answered = false;       // the whole answer was written
  bool head_sent = false;
  bool early = false;     // answered before the request's body was read
  bool confused = false;  // the connection had noise on it: nothing can be said
  bool last = false;      // its connection must not be used again
  bool http10 = false;    // it was answered in HTTP/1.0
  bool said_continue = false;
  bool harmed = false;  // its connection drew a fault that excuses a failure
  int interim = 0;
  std::string request_id;
  uint64_t revision = 0;
  Instant begun{};
  Instant answered_at{};
  Instant left_at{};  // its connection ended, if no other serving came after it
};

/// All calls and servings of a run.
struct Ledger {
  std::deque<Call> calls;
  std::deque<Serving> servings;
  /// An upstream's connection that ended otherwise than by the gateway's doing: who was about to use it may
  /// have failed for that.
  struct Loss {
    std::string upstream;
    Instant at;
  };
  std::vector<Loss> losses;

  Call* find(std::string_view number);
  Serving& serve(Call& call);
};

std::string_view client_deed_text(ClientDeed deed);
std::string_view upstream_deed_text(UpstreamDeed deed);

/// Bytes that say whose they are and where they stand.
std::string identity_bytes(uint64_t owner, size_t size);

}  // namespace sluice::sim
