// The body of an error that the gateway makes itself: problem details (RFC 9457) as the contract shapes them.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/arena.h"

namespace sluice::http {

inline constexpr std::string_view kProblemContentType = "application/problem+json";

struct Problem {
  uint16_t status = 500;
  std::string_view code = {};        // stable, for programs: "bad_chunk_size"
  std::string_view detail = {};      // a sentence for people; left out when empty
  std::string_view request_id = {};  // left out when empty
};

/// {"type":"about:blank","title":...,"status":...,"detail":...,"code":...,"request_id":...}, in `arena`. The
/// title is the status's phrase, as RFC 9457, section 4.2.1 asks for with "about:blank".
std::string_view write_problem(const Problem& problem, Arena& arena);

}  // namespace sluice::http
