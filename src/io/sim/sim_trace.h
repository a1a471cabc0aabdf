// What happened in a SimWorld, one event after the other: a running hash always, the text when asked for. Two
// runs with one seed have the same hash; addresses of memory have no part in it.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "base/time.h"
#include "io/sim/sim_faults.h"

namespace sluice::io {

class SimTrace {
 public:
  enum class Event : uint8_t {
    kConnect,   // a connection was begun
    kAccept,    // and taken
    kWrite,     // bytes left
    kArrive,    // they are at the other side
    kRead,      // and were read
    kEnd,       // a direction was ended
    kReset,     // a connection was broken
    kClose,     // one end is gone
    kMessages,  // a loop took what was posted to it
    kAsk,       // a name was asked for
    kFault,     // `detail` is its kind
  };
  static constexpr size_t kKept = 1'000'000;  // entries; older ones are forgotten

  explicit SimTrace(bool keep_text = false) : keep_text_(keep_text) {}

  /// `detail`: a number of bytes, a port, a kind of fault.
  void add(Instant at, uint32_t loop, uint32_t connection, Event event, uint64_t detail) {
    uint64_t where = static_cast<uint64_t>(loop) << 40 ^ static_cast<uint64_t>(connection) << 8 ^
                     static_cast<uint64_t>(event);
    hash_ = mix64(hash_ ^ mix64(where ^ mix64(static_cast<uint64_t>(at.time_since_epoch().count()) ^
                                              detail * 0x9e3779b97f4a7c15ULL)));
    ++count_;
    if (keep_text_) keep({at, loop, connection, event, detail});
  }

  /// What was written counts too, in the hash alone.
  void add_bytes(std::string_view bytes) { hash_ = mix64(hash_ ^ hash64(bytes)); }
  /// A loop had its turn: in the hash alone.
  void add_turn(uint32_t loop) { hash_ = mix64(hash_ ^ (loop + 1)); }

  uint64_t hash() const { return hash_; }
  /// Events so far.
  uint64_t count() const { return count_; }
  /// A line an event: seconds, loop, connection, what, detail. Empty unless it was to be kept.
  std::string text() const;

 private:
  struct Entry {
    Instant at;
    uint32_t loop;
    uint32_t connection;
    Event event;
    uint64_t detail;
  };
  void keep(const Entry& entry);

  bool keep_text_;
  uint64_t hash_ = 0;
  uint64_t count_ = 0;
  std::deque<Entry> entries_;
};

}  // namespace sluice::io
