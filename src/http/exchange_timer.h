// The one timer of a connection (or HTTP/2 stream): deadlines belong to phases, not to operations.
#pragma once

#include <cstdint>

#include "io/cancel.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/timer.h"

namespace sluice::http {

enum class Phase : uint8_t {
  kNone,
  kKeepAlive,     // between requests
  kHead,          // from the first byte of a head to its end
  kUpload,        // the client sends its body, the upstream takes it
  kUpstreamHead,  // the upstream has the request, its head is awaited
  kDownload,      // the upstream sends its body, the client takes it
  kTotal,         // the whole exchange
};

/// A transfer that is looked at from time to time: it must have moved since the last look.
class TransferWatch {
 public:
  enum class Waiting : uint8_t { kNobody, kSource, kSink };

  /// Bounds of one transfer; zero means none.
  struct Bounds {
    Duration interval{};        // between looks
    Duration source_idle{};     // the longest time without a byte from the source
    uint64_t source_bytes = 0;  // that a source must give in each interval while it is waited for
    Duration sink_idle{};       // the longest time in which the sink takes nothing
  };

  /// A sink that is a part of a stream, as an HTTP/2 stream is of its connection.
  class Sink {
   public:
    /// Another number whenever it has taken something since the last look.
    virtual uint64_t moved() const = 0;

   protected:
    ~Sink() = default;
  };

  /// `to->bytes_written()` shows what the sink takes; null: no sink is watched.
  TransferWatch(const Bounds& bounds, const io::Stream* to) : stream_(to), bounds_(bounds) {}
  TransferWatch(const Bounds& bounds, const Sink* to) : sink_(to), bounds_(bounds) {}
  TransferWatch(const Bounds& bounds, std::nullptr_t) : bounds_(bounds) {}

  /// Kept by whoever moves the bytes.
  Waiting waiting = Waiting::kNobody;
  uint64_t source_moved = 0;  // bytes so far

  /// Whose fault it is when `look` says that the transfer stands still.
  Waiting stalled() const { return stalled_; }

 private:
  friend class ExchangeTimer;
  void start(Instant now);
  uint64_t sink_moved() const { return stream_ ? stream_->bytes_written() : sink_ ? sink_->moved() : 0; }
  bool look(Instant now);

  const io::Stream* stream_ = nullptr;
  const Sink* sink_ = nullptr;
  Bounds bounds_;
  Instant next_look_{};
  Instant source_since_{};
  Instant sink_since_{};
  uint64_t source_seen_ = 0;
  uint64_t sink_seen_ = 0;
  bool source_waited_ = false;  // it was waited for at the last look too
  Waiting stalled_ = Waiting::kNobody;
};

/// Cancels the connection's token with kDeadline when a phase takes too long. Re-arming is a store in most
/// cases: the timer runs out early, sees the new deadline and goes on.
class ExchangeTimer final : private io::Timer {
 public:
  ExchangeTimer(io::Loop& loop, io::CancelToken& token) : loop_(loop), token_(token) {}
  ~ExchangeTimer() { disarm(); }
  io::Loop& loop() const { return loop_; }

  /// Starts a phase with `limit` from now; zero: without a limit.
  void begin(Phase phase, Duration limit) { begin(phase, limit, token_); }
  /// The same for a phase whose end is the end of `part` alone, which lives at least as long as the phase.
  void begin(Phase phase, Duration limit, io::CancelToken& part) {
    phase_ = phase;
    phase_token_ = &part;
    phase_deadline_ = limit > Duration::zero() ? loop_.now() + limit : kNever;
    arm_for(phase_deadline_);
  }
  void end_phase() {
    phase_ = Phase::kNone;
    phase_token_ = &token_;
    phase_deadline_ = kNever;
  }
  /// The whole exchange must end by then.
  void set_total(Instant deadline) {
    total_deadline_ = deadline;
    arm_for(deadline);
  }
  /// Watches a transfer of either direction until `unwatch`; null bounds nothing.
  void watch_upload(TransferWatch& watch) { start(upload_, watch); }
  void watch_download(TransferWatch& watch) { start(download_, watch); }
  void unwatch_upload() { upload_ = nullptr; }
  void unwatch_download() { download_ = nullptr; }
  /// The client has all there is of its answer, and waits with us for more.
  bool awaits_source() const { return download_ && download_->waiting == TransferWatch::Waiting::kSource; }

  /// Nothing is timed until the next `begin`; `expired` is forgotten.
  void reset() {
    end_phase();
    total_deadline_ = kNever;
    upload_ = download_ = nullptr;
    expired_ = Phase::kNone;
  }
  /// The phase that cancelled its token, or kNone.
  Phase expired() const { return expired_; }

 private:
  void start(TransferWatch*& slot, TransferWatch& watch);
  void arm_for(Instant deadline) {
    if (deadline != kNever && (!armed() || deadline < io::Timer::deadline()))
      loop_.timers().arm(*this, deadline);
  }
  void expire(Phase phase, io::CancelToken& token);
  void on_timer() override;

  io::Loop& loop_;
  io::CancelToken& token_;
  io::CancelToken* phase_token_ = &token_;
  Instant phase_deadline_ = kNever;
  Instant total_deadline_ = kNever;
  TransferWatch* upload_ = nullptr;
  TransferWatch* download_ = nullptr;
  Phase phase_ = Phase::kNone;
  Phase expired_ = Phase::kNone;
};

}  // namespace sluice::http
