// Scanning a head whole and in pieces, for the two head fuzzers.
#pragma once

#include <optional>
#include <string_view>

#include "check.h"
#include "http/h1/head_scanner.h"

namespace sluice::fuzz {

struct ScanOutcome {
  bool complete = false;
  size_t used = 0;
  size_t skip = 0;
  std::string_view code = {};
  bool operator==(const ScanOutcome&) const = default;
};

inline ScanOutcome scan(std::string_view bytes, http::h1::Side side, const http::Limits& limits,
                        size_t piece_size) {
  http::h1::HeadScanner scanner(side, limits);
  ScanOutcome outcome;
  while (!bytes.empty()) {
    std::string_view piece = bytes.substr(0, piece_size);
    auto progress = scanner.feed(piece);
    if (!progress) return {false, 0, 0, progress.error().code};
    outcome.used += progress->used;
    outcome.skip = progress->skip;
    outcome.complete = progress->complete;
    if (outcome.complete) break;
    bytes.remove_prefix(piece.size());
  }
  return outcome;
}

/// The head at the start of `bytes`, if the scanner finds one; checks that splitting changes nothing.
inline std::optional<std::string_view> find_head(std::string_view bytes, http::h1::Side side,
                                                 const http::Limits& limits) {
  ScanOutcome whole = scan(bytes, side, limits, bytes.size());
  for (size_t piece_size : {1, 3, 63, 65}) SLUICE_FUZZ_CHECK(scan(bytes, side, limits, piece_size) == whole);
  if (!whole.complete) return std::nullopt;
  std::string_view head = bytes.substr(whole.skip, whole.used - whole.skip);
  SLUICE_FUZZ_CHECK(head.ends_with("\r\n\r\n") && head.find("\r\n\r\n") == head.size() - 4);
  return head;
}

}  // namespace sluice::fuzz
