#include "gateway/router/api_router.h"

#include <algorithm>

#include "gateway/router/api_walk.h"

namespace sluice::gateway {
namespace {

constexpr uint16_t bit_of(http::Method method) {
  return static_cast<uint16_t>(1u << static_cast<int>(method));
}

}  // namespace

bool ApiRouter::takes_method(const Candidate& candidate, const RequestView& request) const {
  if (!(candidate.methods & bit_of(request.method))) return false;
  if (request.method != http::Method::kOther || candidate.custom_methods == 0) return true;
  const auto& texts = custom_methods_[candidate.custom_methods - 1u];
  return std::ranges::find(texts, request.method_text) != texts.end();
}

bool ApiRouter::condition_holds(const Condition& condition, const RequestView& request) const {
  std::string_view name(texts_.data() + condition.name, condition.name_size);
  std::string_view value(texts_.data() + condition.value, condition.value_size);
  if (condition.kind == ConditionSpec::Kind::kQuery) return has_query_value(request.query, name, value);
  if (condition.kind == ConditionSpec::Kind::kSuffix) return request.path.ends_with(value);
  return has_field_value(request.fields, condition.field, name, value);
}

bool ApiRouter::condition_holds(const Condition& condition, const BodyValues& values) const {
  const auto& found = values[condition.body_path];
  return found && *found == std::string_view(texts_.data() + condition.value, condition.value_size);
}

bool ApiRouter::plain_conditions_hold(const Candidate& candidate, const RequestView& request) const {
  const Condition* condition = conditions_.data() + candidate.conditions;
  for (uint32_t i = 0; i < candidate.plain_conditions; ++i)
    if (!condition_holds(condition[i], request)) return false;
  return true;
}

bool ApiRouter::body_conditions_hold(const Candidate& candidate, const BodyValues& values) const {
  const Condition* condition = conditions_.data() + candidate.conditions + candidate.plain_conditions;
  for (uint32_t i = 0; i < candidate.body_conditions; ++i)
    if (!condition_holds(condition[i], values)) return false;
  return true;
}

void ApiRouter::match(const RequestView& request, uint32_t prefix_size, const BodyPrefix* body,
                      Match& match) const {
  match.outcome = Outcome::kNoRoute;
  match.path = request.path;
  match.prefix_size = prefix_size;
  match.parameter_count = 0;
  Walk state(request.path, prefix_size);
  std::optional<BodyValues> values;
  bool method_alone_failed = false;
  bool method_failed_before_conditions = false;

  walk(state, [&](uint32_t first, uint32_t depth, bool) {
    for (const Candidate* candidate = &candidates_[first];; ++candidate) {
      if (!takes_method(*candidate, request)) {
        bool has_conditions = candidate->plain_conditions + candidate->body_conditions > 0;
        method_alone_failed |= !has_conditions;
        method_failed_before_conditions |= has_conditions;
      } else if (plain_conditions_hold(*candidate, request)) {
        if (candidate->body_conditions > 0) {
          if (!body) {
            match.outcome = Outcome::kNeedBody;
            return true;
          }
          if (!values) values = body_paths_.read(*body);
        }
        if (candidate->body_conditions == 0 || body_conditions_hold(*candidate, *values)) {
          match.outcome = Outcome::kMatched;
          match.route = candidate->route;
          capture(*candidate, state, depth, match);
          return true;
        }
      }
      if (candidate->last) return false;
    }
  });

  if (match.outcome != Outcome::kNoRoute) return;
  if (!method_alone_failed && method_failed_before_conditions)
    method_alone_failed = !allowed(request, prefix_size, body).empty();
  if (method_alone_failed) match.outcome = Outcome::kMethodNotAllowed;
}

void ApiRouter::capture(const Candidate& candidate, Walk& state, uint32_t depth, Match& match) const {
  uint8_t count = 0;
  uint32_t parameters = routes_[candidate.route].parameters - (candidate.captures_rest ? 1u : 0u);
  for (uint32_t i = 0; count < parameters; ++i) {
    if (nodes_[state.node(i)].parameter != state.node(i + 1)) continue;
    std::string_view value = state.segment(i);
    match.spans[count++] = {static_cast<uint32_t>(value.data() - match.path.data()),
                            static_cast<uint32_t>(value.size())};
  }
  if (candidate.captures_rest) {
    uint32_t begin = state.rest_begin(depth);
    match.spans[count++] = {begin, static_cast<uint32_t>(match.path.size()) - begin};
  }
  match.parameter_count = count;
}

/// The methods of the routes that fit but for the method. A body condition counts as holding while the body
/// is not known: a body is never read for the sake of a 405.
std::vector<std::string_view> ApiRouter::allowed(const RequestView& request, uint32_t prefix_size,
                                                 const BodyPrefix* body) const {
  Walk state(request.path, prefix_size);
  std::optional<BodyValues> values;
  uint16_t methods = 0;
  std::vector<std::string_view> texts;
  walk(state, [&](uint32_t first, uint32_t, bool) {
    for (const Candidate* candidate = &candidates_[first];; ++candidate) {
      bool fits = !takes_method(*candidate, request) && plain_conditions_hold(*candidate, request);
      if (fits && candidate->body_conditions > 0 && body) {
        if (!values) values = body_paths_.read(*body);
        fits = body_conditions_hold(*candidate, *values);
      }
      if (fits) {
        methods |= candidate->methods;
        if (candidate->custom_methods)
          for (const std::string& text : custom_methods_[candidate->custom_methods - 1u])
            texts.push_back(text);
      }
      if (candidate->last) return false;
    }
  });
  for (int i = 0; i < static_cast<int>(http::Method::kOther); ++i)
    if (auto method = static_cast<http::Method>(i); methods & bit_of(method))
      texts.push_back(http::method_text(method));
  std::ranges::sort(texts);
  auto repeated = std::ranges::unique(texts);
  texts.erase(repeated.begin(), repeated.end());
  return texts;
}

std::string ApiRouter::allow(const RequestView& request, uint32_t prefix_size, const BodyPrefix* body) const {
  std::string out;
  for (std::string_view text : allowed(request, prefix_size, body)) {
    if (!out.empty()) out += ", ";
    out += text;
  }
  return out;
}

std::vector<std::string_view> ApiRouter::parameter_names(uint32_t route) const {
  std::vector<std::string_view> names;
  const char* at = texts_.data() + routes_[route].names;
  for (uint32_t i = 0; i < routes_[route].parameters; ++i) {
    size_t size = static_cast<unsigned char>(*at);
    names.emplace_back(at + 1, size);
    at += 1 + size;
  }
  return names;
}

size_t ApiRouter::memory_bytes() const {
  size_t total = nodes_.capacity() * sizeof(Node) + edges_.memory_bytes() +
                 candidates_.capacity() * sizeof(Candidate) + conditions_.capacity() * sizeof(Condition) +
                 routes_.capacity() * sizeof(Route) + texts_.capacity() +
                 custom_methods_.capacity() * sizeof(custom_methods_[0]) + body_paths_.memory_bytes();
  for (const auto& texts : custom_methods_) {
    total += texts.capacity() * sizeof(std::string);
    for (const std::string& text : texts) total += text.size() > 15 ? text.capacity() + 1 : 0;
  }
  return total;
}

}  // namespace sluice::gateway
