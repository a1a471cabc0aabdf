// What went wrong with a message: one value that knows its face towards the client and towards the log.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::http {

/// An error of parsing or of the protocol. All texts are static: nothing of the peer's bytes is in them.
struct Error {
  uint16_t status = 400;    // the answer to a client; towards an upstream it becomes 502 or 504
  std::string_view code;    // stable, for programs: "bad_chunk_size"
  std::string_view detail;  // a sentence for people
  bool close = true;        // framing is in doubt or the rest cannot be read: answer, then close
};

}  // namespace sluice::http
