// What a world of traffic features is made of: calls, what upstreams did with them, and what became of each.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "message.h"

namespace sluice::sim {

enum class TrafficDeed : uint8_t {
  kAnswer,
  kUnavailable,  // 503
  kReset,        // instead of an answer
  kSilence,
  kTruncated,  // ends in the body
  kCloses,     // right behind its answer, which did not say so
};
inline constexpr uint64_t kTrafficDeeds = 6;

struct TrafficCall;

/// One request as an upstream saw it.
struct TrafficServing {
  uint32_t number = 0;
  TrafficCall* call = nullptr;
  size_t target = 0;  // which of the upstream's
  TrafficDeed deed = TrafficDeed::kAnswer;
  int status = 200;
  std::string body;
  Instant begun{};
  Instant answered = kNever;
  bool sent_whole = false;
};

/// What the models say of a call that came to a limit.
struct LimitVerdict {
  bool allowed = false;
  std::vector<uint64_t> rooms;  // afterwards, limit by limit
  uint64_t again_in = 0;        // seconds, when it was refused
  bool is_quota = false;        // that refused it
};

struct TrafficCall {
  uint32_t number = 0;
  std::string api;  // the first segment of its path
  std::string method = "GET";
  std::string path;
  std::string body;
  std::string caller;    // whom it is counted for
  bool behaves = false;  // nothing is done to it: made when all faults are over
  bool first = false;    // goes before others that wait
  uint64_t seed = 0;     // of what upstreams do
  Duration pause{};
  Duration leaves_after{};  // its client resets then; zero: it does not

  // --- what became of it ---
  enum class Outcome : uint8_t { kUnsent, kAnswered, kBroken } outcome = Outcome::kUnsent;
  Instant begun{};
  Instant ended{};
  int status = 0;
  Fields head;
  std::string answer;
  bool harmed = false;  // its client's connection drew a fault
  bool left = false;    // its client went away
  std::vector<TrafficServing*> servings;

  // At a limit or a throttle:
  Instant asked = kNever;
  Instant passed = kNever;
  Instant over = kNever;  // its exchange has ended
  std::optional<LimitVerdict> verdict;
  Instant reserved{};               // its moment, of a throttle's rate
  bool refused_by_rate = false;     // that would have been too far away
  size_t before_it = 0;             // inside a throttle, or waiting, when it came
  std::optional<size_t> sticks_to;  // the target whose cookie it had

  bool idempotent() const { return method != "POST"; }
};

struct TrafficLedger {
  std::deque<TrafficCall> calls;
  std::deque<TrafficServing> servings;

  TrafficCall* find(std::string_view number);
  TrafficServing& serve(TrafficCall& call);
};

}  // namespace sluice::sim
