// How the compiler gets a route's handler without knowing any by name; the table is above, in handlers/.
#pragma once

#include <expected>
#include <memory>
#include <string>

#include "config/document.h"
#include "gateway/balance/traffic_shift.h"
#include "gateway/handler.h"
#include "gateway/upstream.h"
#include "telemetry/families.h"

namespace sluice::gateway {

/// Where a proxied route's requests go: one upstream, or several by weight.
struct UpstreamChoice {
  std::shared_ptr<const Upstream> upstream;
  uint32_t weight = 1;
};

/// Where they go by and by instead.
struct ShiftChoice {
  std::shared_ptr<const Upstream> upstream;  // null: nowhere
  std::shared_ptr<TrafficShift> state;
  telemetry::ShiftMetrics metrics;
};

/// Where copies of a proxied route's requests go.
struct MirrorChoice {
  std::shared_ptr<const Upstream> upstream;
  double share = 1;       // of the requests
  uint64_t max_body = 0;  // bytes
  telemetry::Group<telemetry::Counter, telemetry::MirrorResult> metrics;
};

/// What a handler is built from.
struct RouteAction {
  const config::Route* route;             // null for an API without routes
  std::vector<UpstreamChoice> upstreams;  // empty when the action needs none
  std::vector<std::string> parameters;    // names of the path's parameters
  ShiftChoice shift = {};
  std::vector<MirrorChoice> mirrors = {};
};

class HandlerTypes {
 public:
  virtual ~HandlerTypes() = default;
  /// The error is a sentence about the route.
  virtual std::expected<std::unique_ptr<const Handler>, std::string> build(
      const RouteAction& action) const = 0;
};

}  // namespace sluice::gateway
