#include "config/validate.h"

#include <unordered_set>

#include "base/ascii.h"

namespace sluice::config {

namespace {

using NameList = std::vector<std::string_view>;

constexpr std::string_view kMethods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

/// RFC 9110, section 5.6.2.
bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return ascii::is_alpha(c) || ascii::is_digit(c) ||
           std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
  });
}

/// RFC 9110, section 5.5: no control characters, no spaces around.
bool is_field_value(std::string_view text) {
  return ascii::trim(text).size() == text.size() && std::ranges::all_of(text, [](char c) {
           return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
         });
}

/// `$` with `.name` and `[number]` behind it.
bool is_body_path(std::string_view text) {
  if (!text.starts_with('$') || text.size() < 2 || text.size() > 512) return false;
  text.remove_prefix(1);
  while (!text.empty()) {
    const bool index = text[0] == '[';
    if (!index && text[0] != '.') return false;
    text.remove_prefix(1);
    const size_t end = index ? text.find(']') : std::min(text.find_first_of(".["), text.size());
    if (end == text.npos || end == 0) return false;
    if (index && (end > 9 || !ascii::parse_decimal(text.substr(0, end)))) return false;
    text.remove_prefix(end + (index ? 1 : 0));
  }
  return true;
}

class Validator {
 public:
  Validator(Document& document, const WrittenNodes& nodes, Diagnostics& diagnostics)
      : document_(document), nodes_(nodes), diagnostics_(diagnostics) {
    for (const auto& upstream : document.upstreams) {
      upstreams_.insert(upstream.first);
      upstream_names_.push_back(upstream.first);
    }
    for (const Listener& listener : document.gateway.listen) listener_names_.push_back(listener.name);
    for (const auto& trust : document.trust) trust_names_.push_back(trust.first);
    for (const auto& certificate : document.certificates) certificate_names_.push_back(certificate.first);
  }

  void run() {
    if (nodes_.gateway) check_listeners(*nodes_.gateway);
    for (size_t i = 0; i < document_.certificates.size(); ++i) {
      const auto& acme = document_.certificates[i].second.acme;
      if (acme && !acme->ca.empty())
        check_named("trust", trust_names_, acme->ca,
                    member_or(member_or(*nodes_.certificates[i], "acme"), "ca"));
    }
    for (size_t i = 0; i < document_.upstreams.size(); ++i)
      check_upstream(document_.upstreams[i].second, *nodes_.upstreams[i]);
    for (size_t i = 0; i < document_.redis.size(); ++i)
      check_redis(document_.redis[i].second, *nodes_.redis[i]);
    for (size_t i = 0; i < document_.apis.size(); ++i)
      check_api(document_.apis[i].first, document_.apis[i].second, *nodes_.apis[i]);
    check_consumers();
  }

 private:
  void error(const Node& at, std::string_view rule, std::string message) {
    diagnostics_.error(at, rule, std::move(message));
  }

  void check_listeners(const Node& gateway) {
    const Node& list = member_or(gateway, "listen");
    std::map<std::string, const Listener*> by_name;
    std::map<std::string, std::string> by_address;
    const Status& status = document_.gateway.status;
    by_address.emplace(to_text(status.address), "the status address");
    for (size_t i = 0; i < document_.gateway.listen.size(); ++i) {
      const Listener& listener = document_.gateway.listen[i];
      const Node& node = item_or(list, i);
      check_listener_tls(listener, i, node);
      if (!listener.name.empty() && !by_name.emplace(listener.name, &listener).second)
        error(member_or(node, "name"), "duplicate-name",
              "the listener `" + listener.name + "` is already defined at " +
                  place(by_name[listener.name]->origin));
      if (listener.address.host.empty() || listener.address.port == 0) continue;
      // TCP and UDP have ports of their own.
      const std::string address = to_text(listener.address);
      const bool udp = listener.protocol == ListenerProtocol::kUdp;
      const auto [taken, added] =
          by_address.emplace((udp ? "udp " : "") + address, "the listener `" + listener.name + "`");
      if (!added)
        error(member_or(node, "address"), "duplicate-address",
              "`" + address + "` is already taken by " + taken->second);
    }
  }

  void check_named(std::string_view kind, const NameList& known, const std::string& name, const Node& at) {
    if (std::ranges::find(known, name) != known.end()) return;
    error(at, kind == "trust" ? "unknown-trust" : "unknown-certificate",
          "there is no entry `" + name + "` in `" + (kind == "trust" ? "trust" : "certificates") + "`" +
              suggest(name, known));
  }

  void check_listener_tls(const Listener& listener, size_t number, const Node& node) {
    if (!listener.tls) {
      if (listener.redirect_https) check_redirect(listener, node);
      return;
    }
    if (listener.redirect_https)
      error(member_or(node, "redirect_https"), "exclusive-keys",
            "`redirect_https` is for listeners without `tls`");
    const Node& tls = member_or(node, "tls");
    const Node& names = member_or(tls, "certificates");
    for (size_t i = 0; i < listener.tls->certificates.size(); ++i)
      check_named("certificate", certificate_names_, listener.tls->certificates[i], item_or(names, i));
    const Node& rules = member_or(tls, "client_certificates");
    for (size_t i = 0; i < listener.tls->client_certificates.size(); ++i) {
      ClientCertificates& rule = document_.gateway.listen[number].tls->client_certificates[i];
      const Node& written = item_or(rules, i);
      if (!rule.ca.empty()) check_named("trust", trust_names_, rule.ca, member_or(written, "ca"));
      check_hosts(rule.hosts, member_or(written, "hosts"));
    }
  }

  void check_redirect(const Listener& listener, const Node& node) {
    const auto& listen = document_.gateway.listen;
    bool has_tls = std::ranges::any_of(listen, [](const Listener& other) { return other.tls.has_value(); });
    if (!has_tls && listener.https_port == 0)
      error(
          member_or(node, "redirect_https"), "no-tls-listener",
          "there is no listener with `tls` to redirect to; give `https_port` when something else serves it");
  }

  void check_hosts(std::vector<std::string>& hosts, const Node& list) {
    for (size_t i = 0; i < hosts.size(); ++i) {
      hosts[i] = ascii::to_lower(hosts[i]);
      if (!is_host_pattern(hosts[i]))
        error(item_or(list, i), "invalid-value", "expected a host name, or `*.suffix`, without a port");
    }
  }

  void check_client_tls(const UpstreamTls& tls, const Node& node) {
    if (!tls.ca.empty()) check_named("trust", trust_names_, tls.ca, member_or(node, "ca"));
    if (!tls.certificate.empty())
      check_named("certificate", certificate_names_, tls.certificate, member_or(node, "certificate"));
  }

  void check_redis(const RedisStore& store, const Node& node) {
    const Node& tls = member_or(node, "tls");
    if (store.tls) check_client_tls(*store.tls, tls);
    if (store.tls && store.url && !store.url->tls)
      diagnostics_.warning(tls, "unused-tls", "this store is not `rediss://`");
    if (store.sentinel && store.sentinel->tls)
      check_client_tls(*store.sentinel->tls, member_or(member_or(node, "sentinel"), "tls"));
  }

  void check_upstream(const Upstream& upstream, const Node& node) {
    const Node& tls = member_or(node, "tls");
    check_client_tls(upstream.tls, tls);
    if (node.find("tls") &&
        std::ranges::none_of(upstream.targets, [](const Target& target) { return target.url.tls(); }))
      diagnostics_.warning(tls, "unused-tls", "no target of this upstream is `https://`");
    if (upstream.targets.empty()) return;
    constexpr int kMostServices = 16;
    if (std::ranges::count_if(upstream.targets, [](const Target& target) { return target.url.service; }) >
        kMostServices)
      error(member_or(node, "targets"), "too-many-items", "there are at most 16 services");
    if (std::ranges::all_of(upstream.targets, [](const Target& target) { return target.weight == 0; }))
      error(member_or(node, "targets"), "no-weight", "no target takes requests: all weights are 0");
  }

  void check_upstream_name(const std::string& name, const Node& at) {
    if (name.empty() || upstreams_.contains(name)) return;
    error(at, "unknown-upstream", "there is no upstream `" + name + "`" + suggest(name, upstream_names_));
  }

  void check_mirrors(const std::vector<Mirror>& mirrors, const Node& node) {
    constexpr size_t kMostMirrors = 16;
    const Node* written = node.find("mirror");
    if (!written) return;
    if (mirrors.size() > kMostMirrors) error(*written, "too-many-items", "there are at most 16 mirrors");
    for (size_t i = 0; i < mirrors.size(); ++i) {
      const Node& one = written->is_mapping() ? *written : item_or(*written, i);
      check_upstream_name(mirrors[i].upstream, member_or(one, "upstream"));
      if (mirrors[i].percent.share > 1)
        error(member_or(one, "percent"), "out-of-range", "it is at most `100%`");
    }
  }

  void check_shift(const Shift& shift, const Node& node) {
    const Node& written = member_or(node, "shift");
    check_upstream_name(shift.to, member_or(written, "to"));
    if (!node.find("upstream") && !node.find("split"))
      error(written, "missing-key",
            "`shift` needs an `upstream` or `split` beside it, from where traffic moves");
  }

  /// `upstream`, `split` and `shift` of an API or a route.
  void check_destination(const std::optional<std::string>& upstream, const std::vector<SplitPart>& split,
                         const std::optional<Shift>& shift, const Node& node) {
    if (upstream) check_upstream_name(*upstream, member_or(node, "upstream"));
    if (shift) check_shift(*shift, node);
    const Node* written = node.find("split");
    if (!written) return;
    if (node.find("upstream")) error(*written, "exclusive-keys", "`split` and `upstream` exclude each other");
    for (size_t i = 0; i < split.size(); ++i)
      check_upstream_name(split[i].upstream, member_or(item_or(*written, i), "upstream"));
    if (std::ranges::all_of(split, [](const SplitPart& part) { return part.weight == 0; }))
      error(*written, "no-weight", "no upstream takes requests: give one a weight");
  }

  void check_api(const std::string& name, Api& api, const Node& node) {
    if (!node.is_mapping()) return;
    const Node& listeners = member_or(node, "listeners");
    for (size_t i = 0; i < api.listeners.size(); ++i)
      if (std::ranges::find(listener_names_, api.listeners[i]) == listener_names_.end())
        error(item_or(listeners, i), "unknown-listener",
              "there is no listener `" + api.listeners[i] + "`" + suggest(api.listeners[i], listener_names_));
    check_hosts(api.hosts, member_or(node, "hosts"));
    check_api_path(api, member_or(node, "path"));
    check_destination(api.upstream, api.split, api.shift, node);
    check_mirrors(api.mirror, node);
    const bool has_destination = node.find("upstream") || node.find("split");
    if (!node.find("routes") && !has_destination)
      diagnostics_.error(api.origin, "no-action",
                         "the API `" + name + "` has neither an `upstream` nor `routes`");
    check_routes(api, node, has_destination);
  }

  void check_api_path(Api& api, const Node& at) {
    if (!check_path(api.path, at)) return;
    if (api.path.find_first_of("{}*") != api.path.npos)
      error(at, "invalid-path", "an API's path is a plain prefix; parameters belong to its routes");
    while (api.path.size() > 1 && api.path.ends_with('/')) api.path.pop_back();
  }

  bool check_path(std::string_view path, const Node& at) {
    std::string_view why;
    if (!path.starts_with('/'))
      why = "a path starts with `/`";
    else if (path.find_first_of("?#\\") != path.npos)
      why = "a path has no `?`, `#` or `\\`";
    else if (std::ranges::any_of(path, [](char c) {
               return static_cast<unsigned char>(c) <= 0x20 || static_cast<unsigned char>(c) >= 0x7f;
             }))
      why = "a path has no spaces and no control or non-ASCII characters; percent-encode them";
    else if (has_dot_segment(path))
      why = "a path has no `.` or `..` segments: requests are matched without them";
    if (!why.empty()) error(at, "invalid-path", std::string(why));
    return why.empty();
  }

  static bool has_dot_segment(std::string_view path) {
    while (!path.empty()) {
      path.remove_prefix(1);
      const std::string_view segment = path.substr(0, path.find('/'));
      if (segment == "." || segment == "..") return true;
      path.remove_prefix(segment.size());
    }
    return false;
  }

  void check_routes(Api& api, const Node& node, bool api_has_destination) {
    const Node& list = member_or(node, "routes");
    std::unordered_map<std::string_view, const Route*> by_name;
    for (size_t i = 0; i < api.routes.size(); ++i) {
      const Route& route = api.routes[i];
      const Node& written = item_or(list, i);
      if (!written.is_mapping()) continue;
      if (!route.name.empty()) {
        if (auto [first, added] = by_name.emplace(route.name, &route); !added)
          error(member_or(written, "name"), "duplicate-name",
                "the route `" + route.name + "` is already defined at " + place(first->second->origin));
      }
      check_methods(route, member_or(written, "methods"));
      if (route.path) check_path(*route.path, member_or(written, "path"));
      check_match(route.match, member_or(written, "match"));
      check_action(route, written, api_has_destination);
    }
  }

  void check_methods(const Route& route, const Node& list) {
    for (size_t i = 0; i < route.methods.size(); ++i) {
      const std::string& method = route.methods[i];
      const Node& at = item_or(list, i);
      if (!is_token(method))
        error(at, "invalid-value", "a method is a token such as `GET`");
      else if (method == "TRACE" || method == "CONNECT")
        error(at, "invalid-value", "`" + method + "` is never routed; it is answered with 405");
      else if (std::ranges::find(kMethods, method) == std::end(kMethods) &&
               std::ranges::any_of(method, [](char c) { return c >= 'a' && c <= 'z'; }))
        error(at, "invalid-value",
              "methods are case-sensitive and written in capitals" + suggest(method, kMethods));
    }
  }

  void check_match(const RouteMatch& match, const Node& node) {
    const Node& headers = member_or(node, "headers");
    for (uint32_t i = 0; i < match.headers.size() && i < headers.member_count(); ++i)
      if (!is_token(match.headers[i].first))
        error(headers.key(i), "invalid-value", "not the name of a header field");
    const Node& body = member_or(node, "body");
    for (uint32_t i = 0; i < match.body.size() && i < body.member_count(); ++i)
      if (!is_body_path(match.body[i].first))
        error(body.key(i), "invalid-value", "expected a path into a JSON body such as `$.a.b[0]`");
  }

  void check_action(const Route& route, const Node& node, bool api_has_destination) {
    std::vector<std::string_view> given;
    for (std::string_view key : {"upstream", "split", "respond", "redirect"})
      if (node.find(key)) given.push_back(key);
    check_destination(route.upstream, route.split, route.shift, node);
    check_mirrors(route.mirror, node);
    if (given.empty() && !api_has_destination)
      error(node, "no-action",
            "the route has no `upstream`, `split`, `respond` or `redirect`, and its API has no upstream "
            "either");
    const bool proxies_only = given.size() == 2 && given[0] == "upstream" && given[1] == "split";
    if (given.size() > 1 && !proxies_only)  // those two were reported with the destination
      error(member_or(node, given.back()), "exclusive-keys",
            "`" + std::string(given.back()) + "` and `" + std::string(given.front()) +
                "` exclude each other: a route has one action");
    if (route.respond) check_respond(*route.respond, member_or(node, "respond"));
    if (route.redirect && (route.redirect->to.empty() || !is_field_value(route.redirect->to)))
      error(member_or(member_or(node, "redirect"), "to"), "invalid-value", "expected a URL or a path");
  }

  void check_respond(const Respond& respond, const Node& node) {
    const Node& headers = member_or(node, "headers");
    for (uint32_t i = 0; i < respond.headers.size() && i < headers.member_count(); ++i) {
      const auto& [name, value] = respond.headers[i];
      if (!is_token(name)) error(headers.key(i), "invalid-value", "not the name of a header field");
      if (!is_field_value(value)) error(headers.value(i), "invalid-value", "not the value of a header field");
      for (std::string_view framing : {"content-length", "transfer-encoding", "connection"})
        if (ascii::equal_ignoring_case(name, framing))
          error(headers.key(i), "invalid-value", "`" + name + "` is set by the gateway itself");
    }
    if (!respond.body.empty() && (respond.status == 204 || respond.status == 304))
      error(member_or(node, "body"), "invalid-value", "a response with this status has no body");
  }

  void check_consumers() {
    std::unordered_map<std::string_view, std::string_view> owners;
    for (size_t i = 0; i < document_.consumers.size(); ++i) {
      const auto& [name, consumer] = document_.consumers[i];
      const Node& list = member_or(*nodes_.consumers[i], "credentials");
      for (size_t j = 0; j < consumer.credentials.size(); ++j) {
        const auto& key = consumer.credentials[j].api_key;
        if (!key || key->empty()) continue;
        const auto [first, added] = owners.emplace(*key, name);
        if (!added)
          error(member_or(item_or(list, j), "api_key"), "duplicate-credential",
                "this key already belongs to the consumer `" + std::string(first->second) + "`");
      }
      check_subscriptions(consumer, member_or(*nodes_.consumers[i], "subscriptions"));
    }
  }

  void check_subscriptions(const Consumer& consumer, const Node& list) {
    std::unordered_set<std::string_view> apis;
    for (size_t i = 0; i < consumer.subscriptions.size(); ++i) {
      const Subscription& subscription = consumer.subscriptions[i];
      const Node& node = item_or(list, i);
      check_entry("API", document_.apis, subscription.api, member_or(node, "api"));
      check_entry("plan", document_.plans, subscription.plan, member_or(node, "plan"));
      if (!apis.insert(subscription.api).second)
        error(member_or(node, "api"), "duplicate-subscription",
              "this consumer has a subscription to `" + subscription.api + "` already");
    }
  }

  template <class T>
  void check_entry(const std::string& kind, const Map<T>& map, const std::string& name, const Node& at) {
    NameList names;
    for (const auto& entry : map) names.push_back(entry.first);
    if (std::ranges::find(names, name) != names.end()) return;
    error(at, "unknown-" + kind, "there is no " + kind + " `" + name + "`" + suggest(name, names));
  }

  std::string place(const Origin& origin) const { return diagnostics_.sources().describe(origin); }

  Document& document_;
  const WrittenNodes& nodes_;
  Diagnostics& diagnostics_;
  std::unordered_set<std::string_view> upstreams_;
  NameList upstream_names_;
  NameList trust_names_;
  NameList certificate_names_;
  NameList listener_names_;
};

}  // namespace

bool is_host_pattern(std::string_view text) {
  if (text.starts_with('['))
    return text.ends_with(']') && text.size() > 2 && parse_ip(text.substr(1, text.size() - 2));
  if (text.starts_with("*.")) text.remove_prefix(2);
  if (text.empty() || text.size() > 253 || text.front() == '.' || text.back() == '.' ||
      text.find("..") != text.npos)
    return false;
  return std::ranges::all_of(text, [](char c) {
    return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '_' || c == '.';
  });
}

void validate_document(Document& document, const WrittenNodes& nodes, Diagnostics& diagnostics) {
  Validator(document, nodes, diagnostics).run();
}

}  // namespace sluice::config
