// Why a request takes the route it takes: every API and every route looked at, in order, with the first thing
// that did not fit. For `sluice explain`; slow, allocates.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "gateway/router/root_router.h"

namespace sluice::gateway {

enum class Verdict : uint8_t {
  kChosen,
  kListener,   // the API is not on this listener
  kHost,       // the API is not for this host
  kPath,       // the API's prefix or the route's path does not fit
  kMethod,     // path and conditions that need no body fit, the method does not
  kCondition,  // `detail` says which one
  kUndecided,  // a body condition, and no body was given
  kOutranked,  // fits too, but a more specific one is chosen
};

struct Consideration {
  static constexpr uint32_t kWholeApi = UINT32_MAX;
  uint32_t api = 0;
  uint32_t route = kWholeApi;
  Verdict verdict = Verdict::kPath;
  std::string detail;  // a sentence for people
};

struct Explanation {
  Match match;
  /// APIs first, the most specific first, and those that do not fit in the order given; then the routes of
  /// the chosen API in the order in which they are tried, and those whose path does not fit in the order
  /// given.
  std::vector<Consideration> considered;
};

/// `apis` is what `router` was built from.
Explanation explain(const RootRouter& router, std::span<const ApiEntry> apis, const RequestView& request,
                    const BodyPrefix* body = nullptr);

}  // namespace sluice::gateway
