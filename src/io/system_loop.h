// SystemLoop: a loop on the system's clocks and sockets. What its back-ends (epoll, io_uring) have in common;
// they differ in how they wait and in what they are told.
#pragma once

#include <memory>

#include "io/loop.h"

namespace sluice::io {

class DatagramBatch;

class SystemLoop : public Loop {
 public:
  explicit SystemLoop(uint64_t seed);
  ~SystemLoop() override;

  /// Until `stop`, on the calling thread; always the same one.
  void run();
  /// From the loop's own thread: `run` returns after this turn.
  void stop() { stopped_ = true; }
  /// On the loop's thread, after the last stream and listener is gone: waits until the kernel has let go of
  /// the loop's memory.
  virtual void let_go() {}

  /// For sockets; made by the first.
  DatagramBatch& datagram_batch();

 protected:
  static constexpr Duration kForever = Duration::max();

  /// `run` begins.
  virtual void begin() {}
  /// Asks for what is submitted and at hand; true when something is. Counts as work, not as waiting.
  virtual bool has_events() { return false; }
  /// Until something happens, at most for `timeout`: zero only looks.
  virtual void wait(Duration timeout) = 0;
  /// Tells everybody what has happened.
  virtual void dispatch() = 0;

  void update_time();

 private:
  Duration time_to_wait();
  void wait_and_dispatch();

  std::unique_ptr<DatagramBatch> datagram_batch_;
  bool stopped_ = false;
  Instant busy_since_{};  // when the last wait ended
  Instant wall_checked_{};
  Duration wall_offset_{};  // wall time minus loop time
};

}  // namespace sluice::io
