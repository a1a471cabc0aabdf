// Where a route's requests go: from the document to what its handler is built from.
#pragma once

#include "config/document.h"
#include "gateway/balance/traffic_shift.h"
#include "gateway/digest.h"
#include "gateway/handler_types.h"

namespace sluice::gateway {

/// The upstreams of a document, and their digests.
struct CompiledUpstreams {
  std::unordered_map<std::string_view, std::shared_ptr<const Upstream>> by_name;
  std::unordered_map<std::string_view, ContentDigest> digests;
};

/// Of an API, or of a route alone: `digest` with those of the upstreams that it names.
template <class ApiOrRoute>
ContentDigest with_upstreams(ContentDigest digest, const ApiOrRoute& place, CompiledUpstreams& upstreams) {
  if (place.upstream) digest = combine(digest, upstreams.digests[*place.upstream]);
  for (const config::SplitPart& part : place.split)
    digest = combine(digest, upstreams.digests[part.upstream]);
  if (place.shift) digest = combine(digest, upstreams.digests[place.shift->to]);
  for (const config::Mirror& mirror : place.mirror)
    digest = combine(digest, upstreams.digests[mirror.upstream]);
  return digest;
}

/// For what is said of a route.
struct RouteName {
  std::string_view api;
  std::string_view route;  // empty: the API has none
};

/// What `route`, null for an API without routes, says of them, or else its API. Of the action these are
/// filled in: `upstreams`, `shift`, `mirrors`.
void add_destinations(RouteAction& action, const RouteName& name, const config::Api& api,
                      const CompiledUpstreams& upstreams, telemetry::Families& metrics,
                      TrafficShifts& shifts);

}  // namespace sluice::gateway
