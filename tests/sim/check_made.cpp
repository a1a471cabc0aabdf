// What answers look like that the gateway makes by itself.
#include <fmt/chrono.h>

#include <algorithm>

#include "run.h"

namespace sluice::sim {

namespace {

std::string_view member(std::string_view json, std::string_view key) {
  std::string start = fmt::format("\"{}\":\"", key);
  size_t at = json.find(start);
  if (at == std::string_view::npos) return {};
  json.remove_prefix(at + start.size());
  return json.substr(0, json.find('"'));
}

std::string wrong_problem(const Call& call) {
  const Fields& fields = call.head.fields;
  std::string_view text = call.answer;
  std::string_view title = std::string_view(call.head.start).substr(13);
  std::string start =
      fmt::format(R"({{"type":"about:blank","title":"{}","status":{},"detail":")", title, call.head.status());
  bool sound = text.starts_with(start) && text.ends_with("\"}") && !member(text, "detail").empty() &&
               !member(text, "code").empty() && fields.value("content-type") == "application/problem+json";
  std::string_view id = fields.value("x-request-id");
  if (member(text, "request_id").empty() || (!id.empty() && id != member(text, "request_id"))) sound = false;
  return sound ? "" : fmt::format("its problem details are \"{}\"", text);
}

}  // namespace

std::string problem_code(const Call& call) { return std::string(member(call.answer, "code")); }

std::string wrong_made_fields(const Call& call, const Fields* own) {
  int status = call.head.status();
  for (const Field& field : call.head.fields.all) {
    static constexpr std::string_view kAny[] = {
        "date", "x-config", "x-request-id", "connection", "content-length", "ratelimit-policy", "ratelimit"};
    bool known = std::ranges::find(kAny, field.name) != std::end(kAny);
    known |= field.name == "content-type" && status >= 400;
    known |= field.name == "retry-after" && (status == 429 || status == 503);
    known |= own && own->count(field.name) > 0;
    if (field.name.starts_with("ratelimit")) known = call.decision.has_value();
    if (!known) return fmt::format("its answer has the field \"{}: {}\"", field.name, field.value);
    if (call.head.fields.count(field.name) > 1)
      return fmt::format("its answer has more than one {}", field.name);
  }
  bool told = status >= 400 && call.method != "HEAD" && call.outcome == Outcome::kAnswered;
  return told ? wrong_problem(call) : "";
}

std::string wrong_limit_fields(const Call& call) {
  const LimitDecision& decision = *call.decision;
  const Fields& fields = call.head.fields;
  std::string name = "\"per-" + call.limit + "\"";
  std::string limit = fmt::format("{};r={};t={}", name, decision.remaining, decision.full_in);
  if (fields.value("ratelimit") != limit)
    return fmt::format("RateLimit is {} instead of {}", fields.value("ratelimit"), limit);
  std::string policy = fmt::format("{};q={};w={}", name, decision.count, decision.period);
  if (fields.value("ratelimit-policy") != policy)
    return fmt::format("RateLimit-Policy is {} instead of {}", fields.value("ratelimit-policy"), policy);
  bool late = call.head.status() == 429 && decision.again_in > 0 && call.servings.empty();
  if (late && fields.value("retry-after") != std::to_string(decision.again_in))
    return fmt::format("Retry-After is {} instead of {}", fields.value("retry-after"), decision.again_in);
  return {};
}

std::string date_text(WallTime time) {
  auto seconds = std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
  return fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

}  // namespace sluice::sim
