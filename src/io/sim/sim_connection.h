// What lies between the two ends of a simulated connection: bytes that are written, on their way, arrived and
// not yet read, in each direction, and the faults that were drawn for it when it was begun.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "io/address.h"
#include "io/sim/sim_faults.h"
#include "io/sim/sim_queue.h"
#include "io/sim/sim_trace.h"

namespace sluice::io {

class SimLoop;
class SimStream;
class SimWorld;

/// Sides: 0 is the end that connected, 1 the one that was accepted. It belongs to the world, which uses it
/// again once both ends are gone and nothing is on its way.
class SimConnection final : private SimDue {
 public:
  explicit SimConnection(SimWorld& world) : world_(world) {}

  /// A new connection from `from` to `to`, whose client's end is `client`. Draws its faults.
  void begin(uint32_t number, SimStream& client, const Address& from, const Address& to);
  /// The server's end has come into being.
  void attach(SimStream& server) { ends_[1] = &server; }
  /// An end goes: it ends its direction, or resets the connection when told so or when bytes are unread.
  void close(size_t side, bool abort);

  uint32_t number() const { return number_; }
  const Address& from() const { return from_; }
  const Address& to() const { return to_; }

  size_t readable(size_t side) const { return pipes_[1 - side].arrived; }
  bool end_arrived(size_t side) const { return pipes_[1 - side].end_arrived; }
  bool broken(size_t side) const { return broken_[side]; }
  bool refused() const { return refused_; }
  bool ended(size_t side) const { return pipes_[side].ended; }
  /// Since bytes arrived for this side last.
  Duration input_age(size_t side) const;

  /// Up to `room` bytes, of those that have arrived.
  size_t read(size_t side, char* to, size_t room);
  /// How many of them were taken.
  size_t write(size_t side, std::span<const iovec> pieces);
  void end(size_t side);

  /// Enters a fault of this connection into the world's log.
  void strike(FaultKind kind, Duration lasts = {});

 private:
  enum class Mark : uint8_t { kBytes, kEnd, kReset };
  enum Due : uint32_t { kDeliver0, kDeliver1, kArriveAtListener, kEstablished, kBreak, kBreak0, kBreak1 };
  struct Portion {
    Instant at;
    size_t bytes;
    Mark mark;
  };
  /// By the side that writes.
  struct Pipe {
    std::string bytes;
    size_t begin = 0;          // in `bytes`: what is before was read
    size_t arrived = 0;        // of what is unread
    std::vector<Portion> way;  // what is on its way
    size_t way_begin = 0;
    Instant last_arrival{};  // nothing overtakes
    Instant arrived_at{};    // the last bytes
    size_t capacity = 0;
    uint64_t written = 0;
    uint64_t fault_at = UINT64_MAX;  // strikes at this byte
    FaultKind fault = FaultKind::kReset;
    bool scheduled = false;    // the first portion is in the world's queue
    bool ended = false;        // the writer said so
    bool end_arrived = false;  // and the reader knows
    bool starved = false;      // the writer waits for room
    bool cut = false;          // what is written now is lost on the way

    size_t held() const { return bytes.size() - begin; }
    void clear();
  };

  void on_due(uint32_t what) override;
  void draw_faults();
  void draw_byte_fault(FaultKind kind);
  void arrive_at_listener();
  void refuse_later();
  void send(size_t side, size_t bytes, Mark mark);
  void send_bytes(size_t side, size_t count);
  void strike_at_byte(size_t side, size_t rest);
  void deliver(size_t side);
  void arrive(size_t side, const Portion& portion);
  void reset(size_t side);
  void schedule(Instant at, Due what);
  Duration delay();
  void trace(size_t side, SimTrace::Event event, uint64_t detail);
  void notify(size_t side, uint32_t events);
  void release_if_done();

  SimWorld& world_;
  uint32_t number_ = 0;
  uint32_t due_ = 0;  // entries in the world's queue
  std::array<Pipe, 2> pipes_;
  std::array<SimStream*, 2> ends_{};  // null when closed, or not yet there
  std::array<bool, 2> broken_{};      // this side knows of a reset
  bool refused_ = false;
  Duration latency_{};
  Duration slowest_{};  // bounds the way, so that small buffers do not make it a crawl
  Address from_;
  Address to_;
};

}  // namespace sluice::io
