// Load shedding by queue delay: how late one worker begins its requests, and which ones are then refused so
// that the others are still worth answering. Modelled on CoDel (RFC 8289): a burst is no overload, a queue
// that stands is.
#pragma once

#include <cstdint>

#include "base/time.h"

namespace sluice::gateway {

/// A worker whose requests were mostly late throughout an interval is behind. While it is, each request that
/// waited longer than the target is shed. What was late is refused and never what came just now, so the queue
/// shrinks to the target, and stays there for as long as more comes than can be done: the worker does not run
/// dry, and whoever is served is served in time.
class QueueDelay {
 public:
  /// Of each judgement. Longer than a pause of the machine should be, short against a client's patience.
  static constexpr Duration kInterval = std::chrono::milliseconds(500);

  /// Whether the delay of the request that begins is to be measured: now and then, or always while behind.
  bool wants_sample(Instant now) {
    if (behind_) return true;
    if (++since_sample_ < kSampleEvery && now - sampled_at_ < kSampleInterval) return false;
    since_sample_ = 0;
    sampled_at_ = now;
    return true;
  }

  /// A request whose delay was measured begins. True: it is to be shed.
  bool sheds(Duration delay, Duration target, Instant now);

  bool behind() const { return behind_; }

 private:
  /// A measurement is a system call: so seldom it costs less than a thousandth of a request.
  static constexpr uint32_t kSampleEvery = 16;
  static constexpr Duration kSampleInterval = std::chrono::milliseconds(1);
  /// Fewer late requests in an interval are chance, not a queue.
  static constexpr uint32_t kLeastLate = 4;

  /// What was seen so long ago says nothing any more. Longer than any turn: within one `now` stands still.
  static constexpr Duration kForgotten = std::chrono::seconds(10);

  void judge(Instant now);

  uint32_t since_sample_ = 0;
  Instant sampled_at_{};
  Instant interval_began_{};
  uint32_t seen_ = 0;  // measured in this interval
  uint32_t late_ = 0;  // those of them that waited longer than the target
  bool behind_ = false;
};

}  // namespace sluice::gateway
