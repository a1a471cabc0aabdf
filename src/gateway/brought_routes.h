// Routes of an API that the document does not write out: a policy brings ways in, and each belongs to the
// route that its call would take.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "config/document.h"
#include "gateway/policy_types.h"
#include "gateway/router/route_spec.h"

namespace sluice::gateway {

/// One route as the router and the compiler see it.
struct PlannedRoute {
  RouteSpec spec;
  const config::Route* route = nullptr;        // null: it has the API's settings alone
  const config::PolicyEntry* entry = nullptr;  // who brought it; null: it is written in the document
  uint32_t number = BroughtRoute::kNoNumber;   // for `entry`

  /// What a brought one takes, for people.
  std::string way() const;
};

/// The routes of an API: those of the document first, in its order. Empty: none are written or brought.
std::vector<PlannedRoute> plan_routes(const config::Api& api, std::span<const config::PolicyEntry> gateway,
                                      const PolicyTypes& policies);

/// Those routes of an API that a POST to the path `call` below it can take, by path and method alone: all of
/// the most specific path that fits.
std::vector<const config::Route*> routes_of_call(std::span<const config::Route> routes,
                                                 std::string_view call);

}  // namespace sluice::gateway
