// `sluice explain`: which route, policies and upstream a request would take, and why the others did not
// match.
#include "gateway/router/explain.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "cli/commands.h"
#include "config/json_writer.h"
#include "config/loader.h"
#include "gateway/compiler.h"
#include "handlers/registry.h"
#include "http/path.h"
#include "http/syntax.h"
#include "http/uri.h"
#include "policies/registry.h"

namespace sluice::cli {

namespace {

std::string_view verdict_text(gateway::Verdict verdict) {
  using gateway::Verdict;
  switch (verdict) {
    case Verdict::kChosen:
      return "chosen";
    case Verdict::kListener:
      return "listener";
    case Verdict::kHost:
      return "host";
    case Verdict::kPath:
      return "path";
    case Verdict::kMethod:
      return "method";
    case Verdict::kCondition:
      return "condition";
    case Verdict::kUndecided:
      return "undecided";
    case Verdict::kOutranked:
      return "outranked";
  }
  return "";
}

/// What is told, in the order in which it is told.
struct Telling {
  uint16_t status = 0;  // of the gateway's own answer; 0: the route's handler answers
  std::string reason;
  std::string path;  // as it is matched
  std::string api;
  std::string route;
  std::string action;
  std::vector<std::string> upstreams;
  std::vector<std::pair<std::string, std::string>> policies;  // type and id, level
  struct Other {
    std::string what;
    std::string verdict;
    std::string detail;
  };
  std::vector<Other> others;
};

std::string_view trimmed_name(const std::string& header, std::string_view& value) {
  size_t colon = header.find(':');
  if (colon == std::string::npos) return {};
  value = ascii::trim(std::string_view(header).substr(colon + 1));
  return std::string_view(header).substr(0, colon);
}

/// Fills `request`; the text is what is wrong with the command line's words.
std::string read_request(const ExplainOptions& options, Arena& arena, http::Request& request,
                         Telling& telling) {
  request.method_text = options.method;
  request.method = http::parse_method(options.method);
  std::string_view target = options.url;
  size_t scheme = target.find("://");
  if (scheme != std::string_view::npos) {
    target.remove_prefix(scheme + 3);
    size_t slash = target.find_first_of("/?");
    std::string_view authority = target.substr(0, slash);
    target = slash == std::string_view::npos ? std::string_view() : target.substr(slash);
    if (!http::parse_authority(authority)) return "the URL has no valid host";
    request.authority = http::normalise_authority(authority, arena);
  }
  http::SplitTarget split = http::split_target(target);
  request.query = split.query;
  auto path = http::normalise_path(split.path.empty() ? "/" : split.path, arena);
  for (const std::string& header : options.headers) {
    std::string_view value;
    std::string_view name = trimmed_name(header, value);
    if (!http::is_token(name)) return fmt::format("`{}` is no header field: `name: value`", header);
    if (http::intern_field_name(name) == http::FieldName::kHost)
      request.authority = http::normalise_authority(value, arena);
    else
      request.fields.add(name, value);
  }
  if (!path) {
    telling.status = path.error()->status;
    telling.reason = path.error()->detail;
    return {};
  }
  request.path = path->path;
  request.path_unmerged = path->unmerged;
  request.had_repeated_slash = path->had_repeated_slash;
  request.had_encoded_slash = path->had_encoded_slash;
  telling.path = path->path;
  return {};
}

void tell_route(const config::Document& document, const config::Api& api, const config::Route* route,
                Telling& telling) {
  if (route && route->respond) telling.action = fmt::format("respond {}", route->respond->status);
  if (route && route->redirect)
    telling.action = fmt::format("redirect {} to {}", route->redirect->status, route->redirect->to);
  if (telling.action.empty()) {
    telling.action = "proxy";
    auto add = [&](const std::optional<std::string>& one, const std::vector<config::SplitPart>& parts) {
      if (one) telling.upstreams.push_back(*one);
      for (const config::SplitPart& part : parts)
        telling.upstreams.push_back(fmt::format("{} (weight {})", part.upstream, part.weight));
    };
    if (route) add(route->upstream, route->split);
    bool own = !telling.upstreams.empty();
    if (!own) add(api.upstream, api.split);
    if (const auto& shift = own ? route->shift : api.shift)
      telling.upstreams.push_back(fmt::format("{} (by and by)", shift->to));
  }
  std::span<const config::PolicyEntry> of_route;
  if (route) of_route = route->policies;
  for (const config::ChainLink& link : config::resolve_chain(document.policies, api.policies, of_route)) {
    std::string name = link.policy->type;
    if (link.policy->id != link.policy->type) name += fmt::format(" ({})", link.policy->id);
    if (link.policy->dry_run) name += " dry run";
    telling.policies.emplace_back(std::move(name), std::string(config::level_text(link.level)));
  }
}

void tell_as_text(const Telling& telling) {
  if (!telling.path.empty()) fmt::print("path      {}\n", telling.path);
  if (telling.status != 0)
    fmt::print("answer    {} {}: {}\n", telling.status, http::reason_phrase(telling.status), telling.reason);
  if (!telling.api.empty()) fmt::print("api       {}\n", telling.api);
  if (!telling.route.empty()) fmt::print("route     {}\n", telling.route);
  if (!telling.action.empty()) fmt::print("action    {}\n", telling.action);
  for (const std::string& upstream : telling.upstreams) fmt::print("upstream  {}\n", upstream);
  for (const auto& [name, level] : telling.policies) fmt::print("policy    {} [{}]\n", name, level);
  if (!telling.others.empty()) fmt::print("\nconsidered:\n");
  for (const Telling::Other& other : telling.others)
    fmt::print("  {}: {}{}{}\n", other.what, other.verdict, other.detail.empty() ? "" : ": ", other.detail);
}

void tell_as_json(const Telling& telling) {
  config::JsonWriter json;
  json.begin_object();
  json.member("path", telling.path);
  if (telling.status != 0) {
    json.key("status").unsigned_integer(telling.status);
    json.member("reason", telling.reason);
  }
  json.member("api", telling.api);
  json.member("route", telling.route);
  json.member("action", telling.action);
  json.key("upstreams").begin_array();
  for (const std::string& upstream : telling.upstreams) json.string(upstream);
  json.end_array();
  json.key("policies").begin_array();
  for (const auto& [name, level] : telling.policies) {
    json.begin_object();
    json.member("policy", name);
    json.member("level", level);
    json.end_object();
  }
  json.end_array();
  json.key("considered").begin_array();
  for (const Telling::Other& other : telling.others) {
    json.begin_object();
    json.member("what", other.what);
    json.member("verdict", other.verdict);
    json.member("detail", other.detail);
    json.end_object();
  }
  json.end_array();
  json.end_object();
  std::puts(json.text().c_str());
}

}  // namespace

int explain(const ExplainOptions& options) {
  policies::Registry policies;
  handlers::Registry handlers;
  config::LoadResult loaded = config::load_files({options.file}, {.catalog = &policies});
  std::array<std::byte, 32> secret{};
  gateway::Services services(secret, 0);
  gateway::Compiler compiler(services, policies, handlers);
  std::unique_ptr<gateway::Compiled> compiled;
  if (loaded.ok()) compiled = compiler.compile(loaded.document, nullptr, loaded.diagnostics);
  if (!compiled) {
    loaded.diagnostics.sort();
    std::fputs(loaded.diagnostics.render_text().c_str(), stderr);
    return kExitFailed;
  }
  const gateway::Snapshot& snapshot = *compiled->change.next;

  Arena arena;
  http::Request request(arena);
  Telling telling;
  std::string misuse = read_request(options, arena, request, telling);
  gateway::RequestView view{.listener = snapshot.listeners.front().number,
                            .host = http::host_of(request.authority),
                            .path = request.path,
                            .method = request.method,
                            .method_text = request.method_text,
                            .query = request.query,
                            .fields = &request.fields,
                            .unmerged = request.path_unmerged};
  if (!options.listener.empty()) {
    auto found = std::find_if(snapshot.listeners.begin(), snapshot.listeners.end(),
                              [&](const auto& listener) { return listener.name == options.listener; });
    if (found == snapshot.listeners.end())
      misuse = fmt::format("there is no listener `{}`", options.listener);
    else
      view.listener = found->number;
  }
  if (!misuse.empty()) {
    std::fprintf(stderr, "sluice explain: %s\n", misuse.c_str());
    return kExitUsage;
  }

  if (telling.status == 0) {
    std::vector<gateway::ApiEntry> entries;
    for (const auto& api : snapshot.apis) entries.push_back(api->entry);
    gateway::BodyPrefix body{options.body, true};
    gateway::Explanation explanation = gateway::explain(*snapshot.router, entries, view, &body);
    const gateway::Match& match = explanation.match;
    using gateway::Outcome;
    if (match.outcome == Outcome::kMatched) {
      const config::Api& api = loaded.document.apis[match.api].second;
      const std::string& name = snapshot.apis[match.api]->routes[match.route]->route;
      auto named = std::ranges::find(api.routes, name, &config::Route::name);
      const config::Route* route = named == api.routes.end() ? nullptr : &*named;
      telling.api = loaded.document.apis[match.api].first;
      telling.route = name;
      tell_route(loaded.document, api, route, telling);
    } else if (match.outcome == Outcome::kMethodNotAllowed) {
      telling.status = 405;
      telling.api = loaded.document.apis[match.api].first;
      telling.reason = fmt::format("allowed: {}", snapshot.router->allow(view, &body));
    } else {
      telling.status = 404;
      telling.reason =
          match.outcome == Outcome::kNoApi ? "no API owns this path" : "no route of the API fits";
      if (match.outcome == Outcome::kNoRoute) telling.api = loaded.document.apis[match.api].first;
    }
    for (const gateway::Consideration& considered : explanation.considered) {
      const auto& node = *snapshot.apis[considered.api];
      std::string what =
          considered.route == gateway::Consideration::kWholeApi
              ? fmt::format("api {}", node.entry.spec.name)
              : fmt::format("route {}/{}", node.entry.spec.name, node.routes[considered.route]->route);
      if (considered.route != gateway::Consideration::kWholeApi) {
        const std::string& way = node.routes[considered.route]->brought.way;
        if (!way.empty()) what += fmt::format(" by {}", way);
      }
      telling.others.push_back(
          {std::move(what), std::string(verdict_text(considered.verdict)), considered.detail});
    }
  }
  if (options.json)
    tell_as_json(telling);
  else
    tell_as_text(telling);
  return kExitFine;
}

}  // namespace sluice::cli
