#include "gateway/destinations.h"

#include <fmt/format.h>

namespace sluice::gateway {

namespace {

template <class ApiOrRoute>
std::vector<UpstreamChoice> choices_of(const ApiOrRoute& place, const CompiledUpstreams& upstreams) {
  std::vector<UpstreamChoice> choices;
  if (place.upstream) choices.push_back({upstreams.by_name.at(*place.upstream), 1});
  for (const config::SplitPart& part : place.split)
    choices.push_back({upstreams.by_name.at(part.upstream), part.weight});
  return choices;
}

}  // namespace

void add_destinations(RouteAction& action, const RouteName& name, const config::Api& api,
                      const CompiledUpstreams& upstreams, telemetry::Families& metrics,
                      TrafficShifts& shifts) {
  const config::Route* route = action.route;
  if (route) action.upstreams = choices_of(*route, upstreams);
  bool own = !action.upstreams.empty();
  if (!own) action.upstreams = choices_of(api, upstreams);

  // An API's shift is one for all its routes.
  if (const auto& shift = own ? route->shift : api.shift) {
    std::string_view of_route = own ? name.route : std::string_view();
    std::string place(name.api);
    if (own) place += fmt::format(" {}", of_route);
    ContentDigest digest = digest_of_struct(*shift);
    std::string key = fmt::format("{} {:x}.{:x}", place, digest.high, digest.low);
    action.shift = {.upstream = upstreams.by_name.at(shift->to),
                    .state = shifts.find_or_make(key, (own ? "route " : "API ") + place, *shift),
                    .metrics = metrics.shift(name.api, of_route)};
  }
  for (const config::Mirror& mirror : route && !route->mirror.empty() ? route->mirror : api.mirror)
    action.mirrors.push_back({upstreams.by_name.at(mirror.upstream), mirror.percent.share,
                              mirror.max_body.bytes, metrics.mirrored(mirror.upstream)});
}

}  // namespace sluice::gateway
