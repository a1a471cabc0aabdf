#include "gateway/router/explain.h"

#include <algorithm>
#include <optional>

#include "gateway/router/api_walk.h"
#include "gateway/router/host_pattern.h"
#include "gateway/router/path_pattern.h"

namespace sluice::gateway {
namespace {

std::string quoted(std::string_view text) { return "`" + std::string(text) + "`"; }

/// An API that fits: how specific its host is, and the bytes of its prefix.
struct Fit {
  size_t host = 0;
  size_t prefix = 0;
  auto operator<=>(const Fit&) const = default;
};

/// 0: no host of the API fits; else the greater, the more specific.
size_t host_rank(const ApiSpec& spec, std::string_view host) {
  if (spec.hosts.empty()) return 1;
  size_t rank = 0;
  for (const std::string& text : spec.hosts) {
    auto pattern = parse_host_pattern(text);
    if (!pattern) continue;
    if (!pattern->wildcard && pattern->name == host) return SIZE_MAX;
    size_t name = pattern->name.size();
    bool below = pattern->wildcard && host.size() > name + 1 && host.ends_with(pattern->name) &&
                 host[host.size() - name - 1] == '.';
    if (below) rank = std::max(rank, name + 1);
  }
  return rank;
}

/// The bytes of `path` that the API's prefix takes; nullopt: it does not fit.
std::optional<size_t> prefix_size(const ApiSpec& spec, std::string_view path) {
  auto pattern = parse_path_pattern(spec.path, false);
  if (!pattern || !path.starts_with('/')) return std::nullopt;
  if (pattern->back().text.empty()) pattern->pop_back();
  std::string prefix;
  for (const PatternSegment& segment : *pattern) prefix.append("/").append(segment.text);
  bool whole = path.starts_with(prefix) && (path.size() == prefix.size() || path[prefix.size()] == '/');
  return whole ? std::optional(prefix.size()) : std::nullopt;
}

/// Says why the API does not fit, or how well it does.
std::optional<Fit> fit_api(const ApiSpec& spec, const RequestView& request, Consideration& consideration) {
  if (!spec.listeners.empty() &&
      std::ranges::find(spec.listeners, request.listener) == spec.listeners.end()) {
    consideration.verdict = Verdict::kListener;
    consideration.detail = "not on this listener";
    return std::nullopt;
  }
  size_t host = host_rank(spec, without_root_dot(request.host));
  if (host == 0) {
    consideration.verdict = Verdict::kHost;
    consideration.detail = "host " + quoted(request.host) + " is none of its hosts";
    return std::nullopt;
  }
  auto prefix = prefix_size(spec, request.path);
  if (!prefix) {
    consideration.verdict = Verdict::kPath;
    consideration.detail = "path is not below " + quoted(spec.path);
    return std::nullopt;
  }
  return Fit{host, *prefix};
}

std::vector<Consideration> consider_apis(std::span<const ApiEntry> apis, const RequestView& request) {
  std::vector<std::pair<Fit, Consideration>> fits;
  std::vector<Consideration> others;
  for (uint32_t api = 0; api < apis.size(); ++api) {
    Consideration consideration;
    consideration.api = api;
    auto fit = fit_api(apis[api].spec, request, consideration);
    if (fit)
      fits.emplace_back(*fit, std::move(consideration));
    else
      others.push_back(std::move(consideration));
  }
  std::ranges::sort(fits, [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second.api < b.second.api;
  });
  std::vector<Consideration> all;
  for (auto& [fit, consideration] : fits) {
    consideration.verdict = all.empty() ? Verdict::kChosen : Verdict::kOutranked;
    consideration.detail = all.empty()                     ? "owns the path"
                           : fit.host < fits[0].first.host ? "another API's host is more specific"
                                                           : "another API's path is longer";
    all.push_back(std::move(consideration));
  }
  std::ranges::move(others, std::back_inserter(all));
  return all;
}

}  // namespace

/// Looks into one API's router.
class Explainer {
 public:
  Explainer(const ApiRouter& router, const RequestView& request, const Match& match, const BodyPrefix* body)
      : router_(router), request_(request), match_(match) {
    if (body) values_ = router.body_paths_.read(*body);
  }

  void explain(std::vector<Consideration>& out) {
    std::vector<bool> reached(router_.route_count());
    ApiRouter::Walk walk(match_.path, match_.prefix_size);
    router_.walk(walk, [&](uint32_t first, uint32_t, bool) {
      for (uint32_t i = first;; ++i) {
        consider(router_.candidates_[i], reached, out);
        if (router_.candidates_[i].last) return false;
      }
    });
    for (uint32_t route = 0; route < reached.size(); ++route)
      if (!reached[route]) out.push_back({match_.api, route, Verdict::kPath, "the path does not fit"});
  }

 private:
  void consider(const ApiRouter::Candidate& candidate, std::vector<bool>& reached,
                std::vector<Consideration>& out) {
    // A GET route may stand in the table a second time, for HEAD: the entry that takes the method counts.
    if (reached[candidate.route]) {
      if (!router_.takes_method(candidate, request_)) return;
      std::erase_if(out, [&](const auto& c) { return c.api == match_.api && c.route == candidate.route; });
    }
    reached[candidate.route] = true;
    Consideration& consideration = out.emplace_back();
    consideration.api = match_.api;
    consideration.route = candidate.route;
    judge(candidate, consideration);
  }

  /// In the order in which matching needs them: what is cheap, the method, what needs the body.
  void judge(const ApiRouter::Candidate& candidate, Consideration& out) const {
    const Condition* condition = router_.conditions_.data() + candidate.conditions;
    uint32_t plain = candidate.plain_conditions;
    for (uint32_t i = 0; i < plain; ++i)
      if (!judge_condition(condition[i], out)) return;
    if (!router_.takes_method(candidate, request_)) {
      out.verdict = Verdict::kMethod;
      out.detail = "does not take the method";
      return;
    }
    for (uint32_t i = plain; i < plain + candidate.body_conditions; ++i)
      if (!judge_condition(condition[i], out)) return;
    bool chosen = match_.outcome == Outcome::kMatched && match_.route == candidate.route;
    out.verdict = chosen ? Verdict::kChosen : Verdict::kOutranked;
    out.detail = chosen ? "the most specific that fits" : "a more specific route goes first";
  }

  bool judge_condition(const Condition& condition, Consideration& out) const {
    bool body = condition.kind == ConditionSpec::Kind::kBody;
    if (body ? values_ && router_.condition_holds(condition, *values_)
             : router_.condition_holds(condition, request_))
      return true;
    std::string_view name(router_.texts_.data() + condition.name, condition.name_size);
    std::string_view value(router_.texts_.data() + condition.value, condition.value_size);
    if (condition.kind == ConditionSpec::Kind::kSuffix) {
      out.verdict = Verdict::kPath;
      out.detail = "the path does not end in " + quoted(value);
      return false;
    }
    constexpr std::string_view kKinds[] = {"header ", "query parameter ", "body "};
    bool unknown = body && !values_;
    out.verdict = unknown ? Verdict::kUndecided : Verdict::kCondition;
    out.detail = std::string(kKinds[static_cast<size_t>(condition.kind)]) + std::string(name) +
                 (unknown ? " decides, and there is no body" : " is not " + quoted(value));
    return false;
  }

  const ApiRouter& router_;
  const RequestView& request_;
  const Match& match_;
  std::optional<BodyValues> values_;
};

Explanation explain(const RootRouter& router, std::span<const ApiEntry> apis, const RequestView& request,
                    const BodyPrefix* body) {
  Explanation out;
  out.match = router.match(request, body);
  out.considered = consider_apis(apis, request);
  if (out.match.outcome != Outcome::kNoApi)
    Explainer(*router.api(out.match.api), request, out.match, body).explain(out.considered);
  return out;
}

}  // namespace sluice::gateway
