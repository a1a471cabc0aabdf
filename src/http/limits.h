// Bounds on what a peer may send (contract: `limits`).
#pragma once

#include <cstdint>

namespace sluice::http {

struct Limits {
  uint32_t request_target = 8 * 1024;  // bytes; 414
  uint32_t request_head = 32 * 1024;   // bytes, request line included; 431
  uint32_t request_fields = 100;       // 431
  uint64_t request_body = 16 << 20;    // bytes; 413
  uint32_t response_head = 64 * 1024;  // bytes; 502
  uint32_t response_fields = 200;      // 502
  uint32_t trailer_bytes = 16 * 1024;  // of either direction; 431 or 502
  uint32_t chunk_line = 256;           // bytes of a chunk-size line with its extensions; 400 or 502
};

}  // namespace sluice::http
