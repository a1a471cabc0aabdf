// The compiled router against a naive one that is written down from the contract (section 2, "Matching") and
// shares no code with it: random configurations, random requests, the same answers. Ties are compared as
// well.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <tuple>

#include "base/random.h"
#include "gateway/router/explain.h"
#include "gateway/router/router_fixture.h"

namespace sluice::gateway::testing {
namespace {

struct Api {
  ApiSpec spec;
  std::vector<RouteSpec> routes;
};

/// What a request is made of, where the naive router can read it.
struct Call {
  uint16_t listener = 0;
  std::string method, host, path;
  std::vector<std::pair<std::string, std::string>> headers, query;
  std::optional<std::string> kind;  // the body is {"k": kind}

  std::string body_text() const { return kind ? R"({"k":")" + *kind + R"("})" : "{}"; }
  std::string text() const {
    std::ostringstream out;
    out << listener << " " << method << " " << host << " " << path;
    for (const auto& [name, value] : headers) out << " " << name << ":" << value;
    for (const auto& [name, value] : query) out << " ?" << name << "=" << value;
    return out.str() + " " + body_text();
  }
};

using Segments = std::vector<std::string>;
Segments split(std::string_view path) {
  Segments segments;
  while (!path.empty()) {
    path.remove_prefix(1);
    segments.emplace_back(path.substr(0, path.find('/')));
    path.remove_prefix(segments.back().size());
  }
  return segments;
}

// ---- The naive router.

/// 0: does not fit; else the greater the more specific.
int host_rank(const ApiSpec& spec, const std::string& host) {
  int best = spec.hosts.empty() ? 1 : 0;
  for (const std::string& pattern : spec.hosts) {
    if (pattern == host) best = std::max(best, 1000);
    if (pattern.starts_with("*.") && host.size() >= pattern.size() && host.ends_with(pattern.substr(1)))
      best = std::max(best, static_cast<int>(pattern.size()));
  }
  return best;
}

bool is_prefix(const Segments& prefix, const Segments& path) {
  return prefix.size() <= path.size() && std::equal(prefix.begin(), prefix.end(), path.begin());
}

/// How specific a path is, segment by segment: 4 literal or exact end, 3 parameter, 2 rest. Empty: does not
/// fit.
std::vector<int> path_rank(const std::string& pattern_text, const Segments& path) {
  Segments pattern = split(pattern_text.empty() ? "/**" : pattern_text);
  if (pattern == Segments{""} && path.empty()) return {4};
  std::vector<int> rank;
  for (size_t i = 0; i < pattern.size(); ++i) {
    if (pattern[i].ends_with("**") || pattern[i].ends_with("**}")) {
      rank.push_back(2);
      return rank;
    }
    bool parameter = pattern[i].starts_with('{');
    if (i == path.size() || (parameter ? path[i].empty() : path[i] != pattern[i])) return {};
    rank.push_back(parameter ? 3 : 4);
  }
  if (path.size() != pattern.size()) return {};
  rank.push_back(4);
  return rank;
}

bool names(const RouteSpec& route, const std::string& method) {
  return std::ranges::count(route.methods, method) > 0;
}
/// 0: not taken; 1: any method; 2: HEAD as GET; 3: named.
int method_rank(const RouteSpec& route, const std::string& method) {
  if (route.methods.empty()) return 1;
  if (names(route, method)) return 3;
  return method == "HEAD" && names(route, "GET") ? 2 : 0;
}

bool holds(const ConditionSpec& condition, const Call& call) {
  if (condition.kind == ConditionSpec::Kind::kBody) return call.kind == condition.value;
  const auto& from = condition.kind == ConditionSpec::Kind::kHeader ? call.headers : call.query;
  return std::ranges::count(from, std::pair(condition.name, condition.value)) > 0;
}
bool all_hold(const RouteSpec& route, const Call& call, bool body) {
  return std::ranges::all_of(route.conditions, [&](const ConditionSpec& c) {
    return (c.kind == ConditionSpec::Kind::kBody) != body || holds(c, call);
  });
}
bool has_body_condition(const RouteSpec& route) {
  return std::ranges::any_of(route.conditions, [](auto& c) { return c.kind == ConditionSpec::Kind::kBody; });
}

std::optional<size_t> naive_owner(const std::vector<Api>& apis, const Call& call) {
  std::optional<size_t> owner;
  std::pair<int, size_t> best;
  for (size_t i = 0; i < apis.size(); ++i) {
    const ApiSpec& spec = apis[i].spec;
    bool listens = spec.listeners.empty() || std::ranges::count(spec.listeners, call.listener) > 0;
    Segments prefix = spec.path == "/" ? Segments{} : split(spec.path);
    std::pair<int, size_t> rank(host_rank(spec, call.host), prefix.size());
    if (!listens || rank.first == 0 || !is_prefix(prefix, split(call.path)) || (owner && rank <= best))
      continue;
    owner = i;
    best = rank;
  }
  return owner;
}

/// In the notation of `answer`, behind the API's number.
std::string naive_answer(const std::vector<Api>& apis, const Call& call, bool body_known) {
  auto owner = naive_owner(apis, call);
  if (!owner) return "404 no api";
  const Api& api = apis[*owner];
  Segments below = split(call.path);
  below.erase(below.begin(),
              below.begin() + static_cast<long>(api.spec.path == "/" ? 0 : split(api.spec.path).size()));

  using Rank = std::tuple<std::vector<int>, size_t, int, int32_t, int>;
  std::vector<std::pair<Rank, const RouteSpec*>> candidates;
  std::set<std::string> allowed;
  for (size_t i = 0; i < api.routes.size(); ++i) {
    const RouteSpec& route = api.routes[i];
    std::vector<int> path = path_rank(route.path, below);
    if (path.empty() || !all_hold(route, call, false)) continue;
    int method = method_rank(route, call.method);
    if (method == 0) {
      if (body_known && !all_hold(route, call, true)) continue;
      allowed.insert(route.methods.begin(), route.methods.end());
      if (names(route, "GET")) allowed.insert("HEAD");
    } else {
      candidates.emplace_back(
          Rank(path, route.conditions.size(), method, route.priority, -static_cast<int>(i)), &route);
    }
  }
  std::ranges::sort(candidates, std::greater{});
  for (const auto& [rank, route] : candidates) {
    if (!body_known && has_body_condition(*route)) return "body";
    if (all_hold(*route, call, true)) return std::to_string(route - api.routes.data());
  }
  if (allowed.empty()) return "404";
  std::string list;
  for (const std::string& method : allowed) list += (list.empty() ? "" : ", ") + method;
  return "405: " + list;
}

/// Parameters' names do not tell paths apart.
std::string shape(const std::string& path) {
  std::string out;
  for (const std::string& segment : split(path.empty() ? "/**" : path))
    out += segment.ends_with("**") || segment.ends_with("**}") ? "/**"
           : segment.starts_with('{')                          ? "/{}"
                                                               : "/" + segment;
  return out;
}

bool naive_tie(const RouteSpec& a, const RouteSpec& b) {
  if (shape(a.path) != shape(b.path) || a.priority != b.priority ||
      a.conditions.size() != b.conditions.size())
    return false;
  for (const ConditionSpec& left : a.conditions)
    for (const ConditionSpec& right : b.conditions)
      if (left.kind == right.kind && left.name == right.name && left.value != right.value) return false;
  for (const char* method : {"GET", "HEAD", "POST", "PURGE", "OTHER"})
    if (int rank = method_rank(a, method); rank != 0 && rank == method_rank(b, method)) return true;
  return false;
}

// ---- Random configurations and requests, from small alphabets so that much collides.

class World {
 public:
  explicit World(uint64_t seed) : random_(seed) {}

  std::vector<Api> apis() {
    std::vector<Api> all(1 + random_.below(6));
    for (Api& api : all) {
      api.spec.path = pick({"/", "/a", "/a/b", "/b", "/a%2Fb"});
      for (size_t n = random_.below(3); n > 0; --n)
        api.spec.hosts.push_back(pick({"x.test", "a.x.test", "*.x.test", "*.test", "*.b.x.test"}));
      if (random_.below(3) == 0) api.spec.listeners = {static_cast<uint16_t>(random_.below(2))};
      api.routes.resize(random_.below(12));
      for (RouteSpec& route : api.routes) fill(route);
    }
    return all;
  }
  Call call() {
    Call call;
    call.listener = static_cast<uint16_t>(random_.below(3));
    call.method = pick({"GET", "GET", "HEAD", "POST", "PURGE", "OTHER"});
    call.host = pick({"", "x.test", "a.x.test", "b.x.test", "c.b.x.test", "test", "ax.test", "y"});
    for (size_t n = 1 + random_.below(5); n > 0; --n)
      call.path +=
          "/" + pick({"a", "a", "b", "c", "ab", "a%2Fb", "segment-longer-than-a-word", n == 1 ? "" : "a"});
    for (size_t n = random_.below(3); n > 0; --n)
      call.headers.emplace_back(pick({"h", "accept"}), pick({"1", "2"}));
    for (size_t n = random_.below(3); n > 0; --n) call.query.emplace_back(pick({"q", "r"}), pick({"1", "2"}));
    if (random_.below(3) > 0) call.kind = pick({"1", "2"});
    return call;
  }

 private:
  std::string pick(std::initializer_list<const char*> from) {
    return from.begin()[random_.below(from.size())];
  }
  void fill(RouteSpec& route) {
    for (size_t n = random_.below(4); n > 0; --n)
      route.path += "/" + pick({"a", "b", "a%2Fb", "segment-longer-than-a-word", "{"});
    for (size_t at = 0, n = 0; (at = route.path.find('{', at)) != std::string::npos; at += 2)
      route.path.insert(at + 1, "p" + std::to_string(n++) + "}");
    if (random_.below(4) == 0) route.path += pick({"/**", "/{rest**}", "/"});
    for (size_t n = random_.below(3); n > 0; --n)
      route.methods.push_back(pick({"GET", "HEAD", "POST", "PURGE"}));
    std::set<std::string> subjects;
    for (size_t n = random_.below(4); n > 1; --n) {
      auto kind = static_cast<ConditionSpec::Kind>(random_.below(3));
      std::string name = kind == ConditionSpec::Kind::kHeader  ? pick({"h", "accept"})
                         : kind == ConditionSpec::Kind::kQuery ? pick({"q", "r"})
                                                               : "$.k";
      if (subjects.insert(name).second) route.conditions.push_back({kind, name, pick({"1", "2"})});
    }
    route.priority = static_cast<int32_t>(random_.below(6));
  }

  Random random_;
};

/// Compiles every API, dropping routes and APIs that tie until none does. Each tie must be one by the naive
/// rule, and once there is none, no pair may be.
std::vector<ApiEntry> compile(std::vector<Api>& apis) {
  std::vector<ApiEntry> entries;
  for (Api& api : apis) {
    auto built = ApiRouter::build(api.routes);
    while (!built) {
      const BuildError& error = built.error()[0];
      EXPECT_EQ(error.kind, BuildError::Kind::kTie) << error.message;
      EXPECT_TRUE(naive_tie(api.routes[error.first], api.routes[error.second]))
          << api.routes[error.first].path << " " << api.routes[error.second].path;
      api.routes.erase(api.routes.begin() + error.second);
      built = ApiRouter::build(api.routes);
    }
    for (size_t i = 0; i < api.routes.size(); ++i)
      for (size_t j = i + 1; j < api.routes.size(); ++j)
        EXPECT_FALSE(naive_tie(api.routes[i], api.routes[j]))
            << api.routes[i].path << " " << api.routes[j].path;
    entries.push_back({api.spec, *built});
  }
  return entries;
}

std::shared_ptr<const RootRouter> build_root(std::vector<Api>& apis, std::vector<ApiEntry>& entries) {
  auto root = RootRouter::build(entries);
  while (!root) {
    EXPECT_EQ(root.error()[0].kind, BuildError::Kind::kTie) << root.error()[0].message;
    apis.erase(apis.begin() + root.error()[0].second);
    entries.erase(entries.begin() + root.error()[0].second);
    root = RootRouter::build(entries);
  }
  return *root;
}

void compare(const std::vector<Api>& apis, const std::vector<ApiEntry>& entries, const RootRouter& root,
             const Call& call) {
  TestRequest request(call.method, call.path, call.host);
  request.listener(call.listener);
  for (const auto& [name, value] : call.headers) request.header(name, value);
  std::string query;
  for (const auto& [name, value] : call.query) query += "&" + name + "=" + value;
  request.query(query);

  auto owner = naive_owner(apis, call);
  std::string expected = naive_answer(apis, call, false);
  ASSERT_EQ(answer(root, request.view()), expected);
  std::string text = call.body_text();
  BodyPrefix body{text, true};
  const BodyPrefix* known = expected == "body" ? &body : nullptr;
  if (known) {
    expected = naive_answer(apis, call, true);
    ASSERT_EQ(answer(root, request.view(), known), expected);
  }

  Match match = root.match(request.view(), known);
  if (owner) ASSERT_EQ(match.api, *owner);
  // An explanation names what was chosen, and every API and every route of the chosen one once.
  Explanation explanation = explain(root, entries, request.view(), known);
  size_t chosen = 0;
  for (const Consideration& c : explanation.considered) {
    if (c.verdict != Verdict::kChosen) continue;
    ++chosen;
    ASSERT_EQ(c.api, match.api);
    if (c.route != Consideration::kWholeApi) ASSERT_EQ(c.route, match.route);
  }
  ASSERT_EQ(chosen, (owner ? 1u : 0u) + (match.outcome == Outcome::kMatched ? 1u : 0u));
  ASSERT_EQ(explanation.considered.size(), apis.size() + (owner ? apis[*owner].routes.size() : 0));
}

TEST(RouterProperty, CompiledAnswersAsNaive) {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    World world(seed);
    std::vector<Api> apis = world.apis();
    std::vector<ApiEntry> entries = compile(apis);
    auto root = build_root(apis, entries);
    for (int i = 0; i < 60; ++i) {
      Call call = world.call();
      SCOPED_TRACE("seed " + std::to_string(seed) + ": " + call.text());
      compare(apis, entries, *root, call);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace sluice::gateway::testing
