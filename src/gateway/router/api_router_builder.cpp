#include "gateway/router/api_router_builder.h"

#include <algorithm>
#include <tuple>

#include "base/ascii.h"
#include "gateway/router/api_walk.h"

namespace sluice::gateway {
namespace {

constexpr uint16_t kEveryMethod = UINT16_MAX;

constexpr uint16_t bit_of(http::Method method) {
  return static_cast<uint16_t>(1u << static_cast<int>(method));
}

/// RFC 9110, section 5.6.2.
bool is_token(std::string_view text) {
  auto is_token_character = [](char c) {
    return ascii::is_alpha(c) || ascii::is_digit(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  };
  return !text.empty() && std::ranges::all_of(text, is_token_character);
}

std::string upper(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

std::string quoted(std::string_view name) { return "`" + std::string(name) + "`"; }

}  // namespace

ApiRouter::Built ApiRouter::build(std::span<const RouteSpec> routes, bool keep_repeated_slashes) {
  return ApiRouterBuilder(routes, keep_repeated_slashes).build();
}

ApiRouter::Built ApiRouterBuilder::build() {
  router_->keeps_repeated_slashes_ = keep_repeated_slashes_;
  router_->nodes_.emplace_back();
  router_->routes_.resize(specs_.size());
  placed_.reserve(specs_.size());
  for (uint32_t route = 0; route < specs_.size(); ++route) add_route(route);
  settle_head();
  settle_order();
  if (!errors_.empty()) return std::unexpected(std::move(errors_));
  router_->nodes_.shrink_to_fit();
  router_->conditions_.shrink_to_fit();
  router_->texts_.shrink_to_fit();
  return router_;
}

void ApiRouterBuilder::add_route(uint32_t route) {
  const RouteSpec& spec = specs_[route];
  auto pattern =
      parse_path_pattern(spec.path.empty() ? std::string_view("/**") : spec.path, keep_repeated_slashes_);
  if (!pattern)
    return fail(BuildError::Kind::kPath, route, "path " + quoted(spec.path) + " " + pattern.error());
  Candidate candidate;
  candidate.route = route;
  bool good = add_methods(route, candidate);
  good &= add_conditions(route, candidate);
  if (!good) return;
  add_parameter_names(*pattern, route);
  candidate.captures_rest =
      pattern->back().kind == PatternSegment::Kind::kRest && !pattern->back().text.empty();
  place(*pattern, candidate);
  // "/" is the API's own path, which a client writes with or without a slash at its end.
  if (pattern->size() == 1 && pattern->front().kind == PatternSegment::Kind::kLiteral &&
      pattern->front().text.empty())
    place({}, candidate);
}

bool ApiRouterBuilder::add_methods(uint32_t route, Candidate& candidate) {
  const auto& methods = specs_[route].methods;
  if (methods.empty()) candidate.methods = kEveryMethod;
  std::vector<std::string> custom;
  for (const std::string& text : methods) {
    http::Method method = http::parse_method(text);
    candidate.methods |= bit_of(method);
    if (method != http::Method::kOther) continue;
    bool misspelt = http::parse_method(upper(text)) != http::Method::kOther;
    if (misspelt || !is_token(text)) {
      fail(BuildError::Kind::kMethod, route,
           misspelt ? "method " + quoted(text) + " must be in capitals: methods have a case"
                    : quoted(text) + " is no method name");
      return false;
    }
    custom.push_back(text);
  }
  if (custom.empty()) return true;
  auto& lists = router_->custom_methods_;
  auto same = std::ranges::find(lists, custom);
  if (lists.size() == UINT16_MAX - 1 && same == lists.end()) {
    fail(BuildError::Kind::kLimit, route, "the API has too many different lists of methods of its own");
    return false;
  }
  if (same == lists.end()) same = lists.insert(same, std::move(custom));
  candidate.custom_methods = static_cast<uint16_t>(same - lists.begin() + 1);
  return true;
}

bool ApiRouterBuilder::add_conditions(uint32_t route, Candidate& candidate) {
  const auto& specs = specs_[route].conditions;
  if (specs.size() > kMaxConditions) {
    fail(BuildError::Kind::kLimit, route, "has too many conditions");
    return false;
  }
  candidate.conditions = static_cast<uint32_t>(router_->conditions_.size());
  for (bool body : {false, true}) {
    for (const ConditionSpec& spec : specs) {
      if ((spec.kind == ConditionSpec::Kind::kBody) != body) continue;
      if (!add_condition(route, spec)) return false;
      ++(body ? candidate.body_conditions : candidate.plain_conditions);
    }
  }
  return true;
}

bool ApiRouterBuilder::add_condition(uint32_t route, const ConditionSpec& spec) {
  Condition condition;
  condition.kind = spec.kind;
  std::string_view problem;
  if (spec.kind == ConditionSpec::Kind::kHeader) {
    condition.field = http::intern_field_name(spec.name);
    if (!is_token(spec.name)) problem = "is no field name";
    if (ascii::trim(spec.value) != spec.value)
      problem = "has a value with spaces around it, which no field has";
  } else if (spec.kind == ConditionSpec::Kind::kBody) {
    auto path = router_->body_paths_.add(spec.name);
    if (path) condition.body_path = *path;
    if (!path) problem = path.error();
  }
  if (problem.empty() && !ties_.add_condition(route, spec)) problem = "is named twice";
  if (!problem.empty()) {
    fail(BuildError::Kind::kCondition, route, "condition " + quoted(spec.name) + ": " + std::string(problem));
    return false;
  }
  // The name of a body condition is in body_paths_; explaining wants its text too.
  condition.name = add_text(spec.name);
  condition.name_size = static_cast<uint32_t>(spec.name.size());
  condition.value = add_text(spec.value);
  condition.value_size = static_cast<uint32_t>(spec.value.size());
  router_->conditions_.push_back(condition);
  return true;
}

void ApiRouterBuilder::add_parameter_names(const PathPattern& pattern, uint32_t route) {
  ApiRouter::Route& compiled = router_->routes_[route];
  compiled.names = static_cast<uint32_t>(router_->texts_.size());
  for (const PatternSegment& segment : pattern) {
    if (segment.kind == PatternSegment::Kind::kLiteral || segment.text.empty()) continue;
    router_->texts_ += static_cast<char>(segment.text.size());
    router_->texts_ += segment.text;
    ++compiled.parameters;
  }
}

void ApiRouterBuilder::place(const PathPattern& pattern, const Candidate& candidate) {
  uint32_t node = 0;
  bool rest = false;
  for (const PatternSegment& segment : pattern) {
    rest = segment.kind == PatternSegment::Kind::kRest;
    if (!rest) node = descend(node, segment);
  }
  Placed placed;
  placed.end = uint64_t{node} * 2 + (rest ? 1 : 0);
  placed.conditions = size_t{candidate.plain_conditions} + candidate.body_conditions;
  placed.tier = candidate.methods == kEveryMethod ? MethodTier::kAny : MethodTier::kNamed;
  placed.priority = specs_[candidate.route].priority;
  placed.candidate = candidate;
  placed_.push_back(placed);
}

uint32_t ApiRouterBuilder::descend(uint32_t node, const PatternSegment& segment) {
  auto& nodes = router_->nodes_;
  if (segment.kind == PatternSegment::Kind::kParameter) {
    if (nodes[node].parameter == ApiRouter::kNone) {
      uint32_t child = new_node({});
      nodes[node].parameter = child;
    }
    return nodes[node].parameter;
  }
  uint64_t hash = scan_segment(segment.text).hash;
  uint32_t child = router_->literal_child(node, segment.text, hash);
  if (child != ApiRouter::kNone) return child;
  child = new_node(segment.text);
  ApiRouter::Node& parent = nodes[node];
  if (parent.literal == ApiRouter::kNone) {
    parent.literal = child;
    return child;
  }
  if (!parent.has_many_literals) {
    const ApiRouter::Node& only = nodes[parent.literal];
    std::string_view text(router_->texts_.data() + only.text, only.text_size);
    router_->edges_.insert(node, scan_segment(text).hash, parent.literal);
    parent.has_many_literals = true;
  }
  router_->edges_.insert(node, hash, child);
  return child;
}

uint32_t ApiRouterBuilder::new_node(std::string_view text) {
  ApiRouter::Node node;
  node.text = add_text(text);
  node.text_size = static_cast<uint16_t>(text.size());
  router_->nodes_.push_back(node);
  return static_cast<uint32_t>(router_->nodes_.size() - 1);
}

uint32_t ApiRouterBuilder::add_text(std::string_view text) {
  auto at = static_cast<uint32_t>(router_->texts_.size());
  router_->texts_ += text;
  return at;
}

/// A GET route takes HEAD (contract: "Matching"), behind those of its path that name HEAD. Where there are
/// none the same entry does; else a second one, so that matching need not look twice.
void ApiRouterBuilder::settle_head() {
  constexpr uint16_t kGet = bit_of(http::Method::kGet);
  constexpr uint16_t kHead = bit_of(http::Method::kHead);
  std::vector<bool> names_head(router_->nodes_.size() * 2);
  for (const Placed& placed : placed_)
    if (placed.tier == MethodTier::kNamed && placed.candidate.methods & kHead) names_head[placed.end] = true;
  size_t count = placed_.size();
  for (size_t i = 0; i < count; ++i) {
    Placed& placed = placed_[i];
    if ((placed.candidate.methods & (kGet | kHead)) != kGet) continue;
    if (!names_head[placed.end]) {
      placed.candidate.methods |= kHead;
      continue;
    }
    Placed second = placed;
    second.tier = MethodTier::kHeadByGet;
    second.candidate.methods = kHead;
    second.candidate.custom_methods = 0;
    placed_.push_back(second);
  }
}

void ApiRouterBuilder::settle_order() {
  auto rank = [](const Placed& p) {
    return std::tuple(p.end, -static_cast<int64_t>(p.conditions), -static_cast<int>(p.tier),
                      -static_cast<int64_t>(p.priority));
  };
  // By route last: the order written decides where a repeated field meets conditions that otherwise exclude
  // each other.
  std::ranges::sort(placed_, {},
                    [&](const Placed& p) { return std::tuple_cat(rank(p), std::tuple(p.candidate.route)); });
  ties_.sort_conditions();
  router_->candidates_.reserve(placed_.size());
  for (size_t i = 0, equals = 0; i < placed_.size(); ++i) {
    Placed& placed = placed_[i];
    if (i == 0 || placed_[i - 1].end != placed.end) {
      ApiRouter::Node& node = router_->nodes_[placed.end / 2];
      (placed.end % 2 ? node.rest : node.exact) = static_cast<uint32_t>(i);
    }
    placed.candidate.last = i + 1 == placed_.size() || placed_[i + 1].end != placed.end;
    router_->candidates_.push_back(placed.candidate);
    if (i + 1 < placed_.size() && rank(placed_[i + 1]) == rank(placed)) continue;
    find_ties(std::span(placed_).subspan(equals, i + 1 - equals));
    equals = i + 1;
  }
}

void ApiRouterBuilder::find_ties(std::span<const Placed> equals) {
  if (equals.size() < 2) return;
  std::vector<TieFinder::Member> members;
  for (const Placed& placed : equals) {
    const Candidate& c = placed.candidate;
    members.push_back(
        {c.route, c.methods, c.custom_methods ? &router_->custom_methods_[c.custom_methods - 1u] : nullptr});
  }
  ties_.find(members, [&](uint32_t a, uint32_t b) {
    auto [first, second] = std::minmax(a, b);
    auto known = [&](const BuildError& error) {
      return error.kind == BuildError::Kind::kTie && error.first == first && error.second == second;
    };
    if (errors_.size() < kMaxBuildErrors && std::ranges::none_of(errors_, known))
      errors_.push_back({BuildError::Kind::kTie, first, second,
                         "routes " + quoted(specs_[first].name) + " and " + quoted(specs_[second].name) +
                             " fit the same requests and nothing ranks them; give one a priority"});
    return errors_.size() < kMaxBuildErrors;
  });
}

void ApiRouterBuilder::fail(BuildError::Kind kind, uint32_t route, std::string_view problem) {
  if (errors_.size() == kMaxBuildErrors) return;
  errors_.push_back(
      {kind, route, route, "route " + quoted(specs_[route].name) + ": " + std::string(problem)});
}

}  // namespace sluice::gateway
