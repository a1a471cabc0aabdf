// Writes a head and its body to a stream: the head and what is at hand of the body leave together, the rest
// is pulled.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/arena.h"
#include "http/body.h"
#include "http/exchange_timer.h"
#include "http/h1/framing.h"
#include "http/write_result.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/task.h"

namespace sluice::http::h1 {

/// How the body is marked off on the sink. For kLength exactly `length` bytes are written: a body of another
/// length is a source failure.
struct OutgoingFraming {
  Framing framing = Framing::kNone;
  uint64_t length = 0;
};

/// `head` may be empty when it has been sent. `arena` takes the trailers' text. `watch` is told who is waited
/// for.
io::Task<WriteResult> write_message(io::Loop& loop, io::Stream& sink, std::string_view head,
                                    OutgoingFraming framing, Body body, TransferWatch& watch, Arena& arena);

}  // namespace sluice::http::h1
