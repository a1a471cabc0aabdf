// The answer of the router: indexes, and where in the path the parameters are. Plain data; holds no memory.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "gateway/router/route_spec.h"

namespace sluice::gateway {

enum class Outcome : uint8_t {
  kMatched,           // `api` and `route` are set
  kNeedBody,          // a body condition decides: ask again with the body's prefix
  kNoApi,             // 404; no API owns the path
  kNoRoute,           // 404; `api` owns the path, and none of its routes fits
  kMethodNotAllowed,  // 405; `api` owns the path, and a route fits but for the method: see RootRouter::allow
};

struct Match {
  Outcome outcome = Outcome::kNoApi;
  uint8_t parameter_count = 0;
  uint32_t prefix_size = 0;  // bytes of the path that are the API's own
  uint32_t api = 0;
  uint32_t route = 0;
  std::string_view
      path;  // what was matched and is to be sent: the request's `path`, or `unmerged` where the API wants it

  /// The value of the route's `index`-th parameter, still percent-encoded as in the path. See
  /// ApiRouter::parameter_names for which is which.
  std::string_view parameter(size_t index) const {
    return path.substr(spans[index].begin, spans[index].size);
  }

  struct Span {
    uint32_t begin;
    uint32_t size;
  };
  Span spans[kMaxParameters];  // the first `parameter_count` are set
};

}  // namespace sluice::gateway
