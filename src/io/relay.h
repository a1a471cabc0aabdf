// Relays bytes between two streams in both directions, each with its own back-pressure and its own end: what
// a TCP proxy does for a connection, and a gateway for an upgraded one.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/time.h"
#include "io/cancel.h"
#include "io/error.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/task.h"

namespace sluice::io {

/// Looks at the bytes of one direction before they are passed on.
class RelayTap {
 public:
  /// How many of `bytes`, from the first, may pass. Fewer than all: the relay ends once these are written.
  virtual size_t pass(std::string_view bytes) = 0;

 protected:
  ~RelayTap() = default;
};

struct RelayOptions {
  /// Ends after so long without a byte in either direction, and before half as long again; zero: never.
  Duration idle{};
  RelayTap* from_client = nullptr;  // null: nobody looks
  RelayTap* from_server = nullptr;
};

struct RelayResult {
  enum class End : uint8_t {
    kComplete,      // each side has ended what it sent
    kClientFailed,  // it was reset, or took nothing any more
    kServerFailed,
    kStopped,    // by a tap
    kIdle,       // nothing came or went for `RelayOptions::idle`
    kCancelled,  // by the caller's token
  };
  End end = End::kComplete;
  Error error{};             // of kClientFailed and kServerFailed
  uint64_t from_client = 0;  // bytes that were read from it and taken by the other side
  uint64_t from_server = 0;
  bool client_ended = false;  // what it sent is whole: its end has come and was passed on
  bool server_ended = false;
};

/// Until both sides have ended, or one of the other things in `RelayResult::End` has happened. An end that
/// one side sends is passed on, the other direction goes on. Neither stream is aborted: the caller knows from
/// the result whether what was sent is whole. Meanwhile both streams are bound to a token of the relay's own,
/// and observed by it; afterwards to nothing and by nobody.
Task<RelayResult> relay(Loop& loop, Stream& client, Stream& server, CancelToken& token, RelayOptions options);

}  // namespace sluice::io
