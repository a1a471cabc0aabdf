// What was found wrong in a run: which invariant, and what happened.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <vector>

namespace sluice::sim {

/// The invariants of docs/simulation.md, by number.
enum class Invariant : uint8_t {
  kOneAnswer = 1,  // each request one whole answer, or its connection is closed
  kIdentity,       // no byte of another exchange
  kRateLimit,      // as the model says
  kGivenBack,      // nothing is left over
  kAtMostOnce,     // what is not idempotent
  kNoEndlessWait,  // every wait has an end
  kRepeatable,     // the same seed, the same trace
  kUndisturbed,    // who meets no fault gets the answer
};
std::string_view invariant_text(Invariant invariant);

struct Violation {
  Invariant invariant;
  std::string what;
};

class Violations {
 public:
  template <class... A>
  void add(Invariant invariant, fmt::format_string<A...> format, A&&... arguments) {
    if (found_.size() < kKept)
      found_.push_back({invariant, fmt::format(format, std::forward<A>(arguments)...)});
  }
  const std::vector<Violation>& found() const { return found_; }

 private:
  static constexpr size_t kKept = 20;
  std::vector<Violation> found_;
};

}  // namespace sluice::sim
