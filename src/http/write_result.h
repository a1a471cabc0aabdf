// How the writing of a message to a peer ended.
#pragma once

#include <cstdint>

#include "http/error.h"
#include "io/error.h"

namespace sluice::http {

struct WriteResult {
  enum class Outcome : uint8_t {
    kComplete,
    kSinkFailed,    // `sink_error`
    kSourceFailed,  // `source_error`; the message on the sink is broken off
  };
  Outcome outcome = Outcome::kComplete;
  io::Error sink_error;
  Error source_error;
  bool anything_written = false;  // a byte may have reached the peer
};

}  // namespace sluice::http
