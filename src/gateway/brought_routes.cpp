#include "gateway/brought_routes.h"

#include <algorithm>

#include "gateway/router/path_pattern.h"

namespace sluice::gateway {

namespace {

RouteSpec spec_of(const config::Route& route) {
  RouteSpec spec;
  spec.name = route.name;
  spec.path = route.path.value_or("");
  spec.methods = route.methods;
  spec.priority = route.priority;
  for (const auto& [field, value] : route.match.headers)
    spec.conditions.push_back({ConditionSpec::Kind::kHeader, field, value});
  for (const auto& [parameter, value] : route.match.query)
    spec.conditions.push_back({ConditionSpec::Kind::kQuery, parameter, value});
  for (const auto& [path, value] : route.match.body)
    spec.conditions.push_back({ConditionSpec::Kind::kBody, path, value.text});
  return spec;
}

/// How specific a pattern is for a path that fits it, a letter a segment: the greater text is the more
/// specific. Empty: it does not fit.
std::string rank_for(const PathPattern& pattern, std::string_view path) {
  std::string rank;
  for (const PatternSegment& segment : pattern) {
    if (segment.kind == PatternSegment::Kind::kRest) return rank + 'a';
    if (path.empty()) return {};
    path.remove_prefix(1);
    std::string_view text = path.substr(0, path.find('/'));
    path.remove_prefix(text.size());
    if (segment.kind == PatternSegment::Kind::kLiteral && segment.text != text) return {};
    rank += segment.kind == PatternSegment::Kind::kLiteral ? 'c' : 'b';
  }
  return path.empty() ? rank + 'd' : std::string();
}

/// The routes that one policy brings.
class Bringing {
 public:
  Bringing(const config::Api& api, std::span<const config::PolicyEntry> gateway,
           const config::PolicyEntry& entry, std::vector<PlannedRoute>& planned)
      : api_(api), gateway_(gateway), entry_(entry), planned_(planned) {}

  void add(const BroughtRoute& brought) {
    if (calls_.emplace(brought.call, routes_.size()).second) add_call(brought);
    for (const config::Route* route : routes_[calls_[brought.call]])
      if (!brought.path.empty() && (!route || keeps_entry(*route))) plan(brought, route);
  }

 private:
  void add_call(const BroughtRoute& brought) {
    auto& routes = routes_.emplace_back(routes_of_call(api_.routes, brought.call));
    if (!routes.empty()) return;
    routes.push_back(nullptr);
    PlannedRoute& own = planned_.emplace_back();
    own.spec = {.name = brought.name, .path = brought.call, .methods = {"POST"}, .conditions = {}};
    own.entry = &entry_;
  }

  /// Whether the policy is still in the chain of that route.
  bool keeps_entry(const config::Route& route) const {
    return std::ranges::any_of(config::resolve_chain(gateway_, api_.policies, route.policies),
                               [&](const config::ChainLink& link) { return link.policy == &entry_; });
  }

  void plan(const BroughtRoute& brought, const config::Route* route) {
    PlannedRoute& planned = planned_.emplace_back();
    if (route) planned.spec = spec_of(*route);
    planned.spec.name = route ? route->name : brought.name;
    planned.spec.path = brought.path;
    planned.spec.methods.clear();
    if (!brought.method.empty()) planned.spec.methods.push_back(brought.method);
    if (!brought.suffix.empty()) {
      planned.spec.conditions.push_back({ConditionSpec::Kind::kSuffix, {}, brought.suffix});
      ++planned.spec.priority;  // before a route whose one condition is another one
    }
    planned.route = route;
    planned.entry = &entry_;
    planned.number = brought.number;
  }

  const config::Api& api_;
  std::span<const config::PolicyEntry> gateway_;
  const config::PolicyEntry& entry_;
  std::vector<PlannedRoute>& planned_;
  std::unordered_map<std::string, size_t> calls_;
  std::vector<std::vector<const config::Route*>> routes_;  // by call; one that is null: made for it
};

}  // namespace

std::string PlannedRoute::way() const {
  std::string text = spec.methods.empty() ? "any method" : spec.methods.front();
  text.append(" ").append(spec.path);
  for (const ConditionSpec& condition : spec.conditions)
    if (condition.kind == ConditionSpec::Kind::kSuffix) text += condition.value;
  return text;
}

std::vector<const config::Route*> routes_of_call(std::span<const config::Route> routes,
                                                 std::string_view call) {
  std::vector<const config::Route*> best;
  std::string best_rank;
  for (const config::Route& route : routes) {
    bool takes_post =
        route.methods.empty() || std::ranges::find(route.methods, "POST") != route.methods.end();
    auto pattern = parse_path_pattern(route.path.value_or("/**"), false);
    if (!takes_post || !pattern) continue;  // a bad pattern is reported by the router
    std::string rank = rank_for(*pattern, call);
    if (rank.empty() || rank < best_rank) continue;
    if (rank > best_rank) best.clear();
    best_rank = rank;
    best.push_back(&route);
  }
  return best;
}

std::vector<PlannedRoute> plan_routes(const config::Api& api, std::span<const config::PolicyEntry> gateway,
                                      const PolicyTypes& policies) {
  std::vector<PlannedRoute> planned;
  for (const config::Route& route : api.routes) planned.push_back({spec_of(route), &route});
  for (const config::PolicyEntry& entry : api.policies) {
    const PolicyType* type = policies.type(entry.type);
    if (!entry.enabled || entry.dry_run || !type || !type->brings) continue;
    Bringing bringing(api, gateway, entry, planned);
    for (const BroughtRoute& brought : type->brings(entry.config.get())) bringing.add(brought);
  }
  return planned;
}

}  // namespace sluice::gateway
