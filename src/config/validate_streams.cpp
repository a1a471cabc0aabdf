#include <map>
#include <set>

#include "base/ascii.h"
#include "config/validate.h"

namespace sluice::config {

namespace {

class StreamValidator {
 public:
  StreamValidator(Document& document, const WrittenNodes& nodes, Diagnostics& diagnostics)
      : document_(document), nodes_(nodes), diagnostics_(diagnostics) {
    for (const Listener& listener : document.gateway.listen) {
      listener_names_.push_back(listener.name);
      listeners_.emplace(listener.name, On{.listener = &listener, .whole = nullptr, .names = {}});
    }
    for (const auto& [name, upstream] : document.upstreams) {
      upstream_names_.push_back(name);
      upstreams_.emplace(name, &upstream);
    }
  }

  void run() {
    for (size_t i = 0; i < document_.upstreams.size(); ++i)
      check_targets(document_.upstreams[i].second, *nodes_.upstreams[i]);
    for (size_t i = 0; i < document_.streams.size(); ++i)
      check_stream(document_.streams[i].first, document_.streams[i].second, *nodes_.streams[i]);
    for (size_t i = 0; i < document_.apis.size(); ++i) check_api(document_.apis[i].second, *nodes_.apis[i]);
    if (nodes_.gateway) check_listeners(*nodes_.gateway);
    if (!document_.apis.empty() && !document_.streams.empty()) check_room_for_http();
  }

 private:
  using NameList = std::vector<std::string_view>;
  using Named = const std::pair<std::string, Stream>*;
  /// What streams there are on a listener.
  struct On {
    const Listener* listener;
    Named whole;
    std::map<std::string, Named> names;  // by server name
    bool has_streams() const { return whole || !names.empty(); }
  };

  void error(const Node& at, std::string_view rule, std::string message) {
    diagnostics_.error(at, rule, std::move(message));
  }
  std::string place(const Origin& origin) const { return diagnostics_.sources().describe(origin); }
  std::string stream_at(Named stream) const {
    return "the stream `" + stream->first + "` at " + place(stream->second.origin);
  }

  void check_targets(const Upstream& upstream, const Node& node) {
    const Node& list = member_or(node, "targets");
    for (size_t i = 1; i < upstream.targets.size(); ++i) {
      const TargetScheme first = upstream.targets[0].url.scheme;
      const TargetScheme scheme = upstream.targets[i].url.scheme;
      if (scheme == first) continue;
      error(item_or(list, i), "mixed-targets",
            "this target speaks `" + std::string(scheme_text(scheme)) + "`, the first one `" +
                std::string(scheme_text(first)) + "`: all targets of an upstream speak the same");
      break;
    }
    if (upstream.proxy_protocol != UpstreamProxyProtocol::kOff && !upstream.targets.empty() &&
        upstream.targets[0].url.scheme == TargetScheme::kUdp)
      error(member_or(node, "proxy_protocol"), "proxy-protocol",
            "datagrams have no connection that a PROXY header could begin");
    check_protocol(upstream, node);
  }

  void check_protocol(const Upstream& upstream, const Node& node) {
    const bool over_tls = upstream.protocol == UpstreamProtocol::kH2;
    if (!over_tls && upstream.protocol != UpstreamProtocol::kH2c) return;
    const Node& at = member_or(node, "protocol");
    const std::string name = over_tls ? "h2" : "h2c";
    if (upstream.proxy_protocol != UpstreamProxyProtocol::kOff)
      error(at, "proxy-protocol",
            "connections of `" + name +
                "` carry the requests of many clients, and one that begins with a PROXY header is for one "
                "client alone: `protocol: h1`, or no `proxy_protocol`");
    const TargetScheme needed = over_tls ? TargetScheme::kHttps : TargetScheme::kHttp;
    if (!upstream.targets.empty() && upstream.targets[0].url.scheme != needed)
      error(at, "upstream-protocol",
            "`" + name + "` is HTTP/2 " + (over_tls ? "over TLS" : "in the clear") + ", for targets with `" +
                std::string(scheme_text(needed)) + "://`");
  }

  void check_stream(const std::string& name, Stream& stream, const Node& node) {
    if (!node.is_mapping()) return;
    const Node& names = member_or(node, "sni");
    for (size_t i = 0; i < stream.sni.size(); ++i) {
      stream.sni[i] = ascii::to_lower(stream.sni[i]);
      if (!is_host_pattern(stream.sni[i]) || stream.sni[i].starts_with('[') || parse_ip(stream.sni[i]))
        error(item_or(names, i), "invalid-value", "expected a server name, or `*.suffix`");
    }
    if (node.find("sni") && stream.sni.empty())
      error(names, "invalid-value", "no server name: leave `sni` out for a stream that takes all");
    const auto on = listeners_.find(stream.listener);
    if (on == listeners_.end()) {
      if (!stream.listener.empty())
        error(member_or(node, "listener"), "unknown-listener",
              "there is no listener `" + stream.listener + "`" + suggest(stream.listener, listener_names_));
    } else {
      check_place(name, stream, on->second, node);
    }
    check_upstream(stream, on == listeners_.end() ? nullptr : on->second.listener,
                   member_or(node, "upstream"));
  }

  /// What the listener's own TLS means for it.
  void check_tls(const Stream& stream, const Listener& listener, const Node& node) {
    if (stream.tls == StreamTls::kTerminate && !listener.tls)
      error(member_or(node, "tls"), "stream-listener",
            "TLS cannot end here: the listener `" + listener.name + "` has no `tls`");
    if (!stream.tls && stream.sni.empty() && listener.tls)
      error(node, "stream-listener",
            "the listener `" + listener.name +
                "` has `tls`: say whether it ends here (`tls: terminate`) or not (`tls: passthrough`)");
    if (listener.tls && listener.protocol == ListenerProtocol::kUdp)
      error(node, "stream-listener", "datagrams have no `tls`");
  }

  /// What shares the listener with it.
  void check_place(const std::string& name, const Stream& stream, On& on, const Node& node) {
    check_tls(stream, *on.listener, node);
    const bool udp = on.listener->protocol == ListenerProtocol::kUdp;
    for (std::string_view key : {"sni", "tls"})
      if (udp && node.find(key))
        error(*node.find(key), "stream-listener",
              "`" + std::string(key) + "` means TLS over TCP; the listener `" + stream.listener +
                  "` takes datagrams");
    const auto* self = &*std::ranges::find(document_.streams, name, &std::pair<std::string, Stream>::first);
    if (stream.sni.empty()) {
      if (on.whole)
        error(member_or(node, "listener"), "stream-listener",
              stream_at(on.whole) + " takes all of the listener `" + stream.listener +
                  "`; give one of them `sni`, or a listener of its own");
      else
        on.whole = self;
    }
    for (size_t i = 0; i < stream.sni.size(); ++i) {
      const auto [taken, added] = on.names.emplace(stream.sni[i], self);
      if (!added)
        error(item_or(member_or(node, "sni"), i), "duplicate-name",
              "`" + stream.sni[i] + "` on this listener already belongs to " + stream_at(taken->second));
    }
    if (on.whole && !on.names.empty() && !on.whole->second.tls)
      error(node, "stream-listener",
            "a stream with `sni` is TLS, and " + stream_at(on.whole->second.sni.empty() ? on.whole : self) +
                " takes whatever comes to the listener `" + stream.listener +
                "`; with `tls: passthrough` it takes the names that no other stream has");
  }

  void check_upstream(const Stream& stream, const Listener* listener, const Node& at) {
    if (stream.upstream.empty()) return;
    const auto upstream = upstreams_.find(stream.upstream);
    if (upstream == upstreams_.end())
      return error(
          at, "unknown-upstream",
          "there is no upstream `" + stream.upstream + "`" + suggest(stream.upstream, upstream_names_));
    if (upstream->second->targets.empty() || !listener) return;
    const TargetScheme scheme = upstream->second->targets[0].url.scheme;
    const bool udp = listener->protocol == ListenerProtocol::kUdp;
    if (scheme == (udp ? TargetScheme::kUdp : TargetScheme::kTcp)) return;
    // TLS goes on to a target that has it: as it is, or made anew.
    if (scheme == TargetScheme::kHttps && (stream.tls || !stream.sni.empty())) return;
    error(at, "stream-upstream",
          "the targets of `" + stream.upstream + "` are written `" + std::string(scheme_text(scheme)) +
              "://`; a stream on the listener `" + listener->name + "` needs `" + (udp ? "udp" : "tcp") +
              "://HOST:PORT`");
  }

  /// Null: nothing of HTTP comes in by it, for the reason returned.
  std::string no_http_because(const On& on) const {
    if (on.listener->protocol == ListenerProtocol::kUdp) return "it takes datagrams";
    if (on.whole) return stream_at(on.whole) + " takes all of it";
    if (!on.names.empty() && !on.listener->tls)
      return stream_at(on.names.begin()->second) + " makes it one for TLS by server name";
    return {};
  }

  void check_api(const Api& api, const Node& node) {
    if (!node.is_mapping()) return;
    const Node& listeners = member_or(node, "listeners");
    for (size_t i = 0; i < api.listeners.size(); ++i) {
      const auto on = listeners_.find(api.listeners[i]);
      if (on == listeners_.end()) continue;
      const std::string why = no_http_because(on->second);
      if (!why.empty())
        error(item_or(listeners, i), "stream-listener",
              "an API cannot be reached on the listener `" + api.listeners[i] + "`: " + why);
    }
    check_destination(api.upstream, api.split, node);
    const Node& routes = member_or(node, "routes");
    for (size_t i = 0; i < api.routes.size(); ++i)
      check_destination(api.routes[i].upstream, api.routes[i].split, item_or(routes, i));
  }

  void check_destination(const std::optional<std::string>& upstream, const std::vector<SplitPart>& split,
                         const Node& node) {
    if (upstream) check_speaks_http(*upstream, member_or(node, "upstream"));
    const Node& list = member_or(node, "split");
    for (size_t i = 0; i < split.size(); ++i)
      check_speaks_http(split[i].upstream, member_or(item_or(list, i), "upstream"));
  }

  void check_speaks_http(const std::string& name, const Node& at) {
    const auto upstream = upstreams_.find(name);
    if (upstream == upstreams_.end() || upstream->second->targets.empty()) return;
    const TargetScheme scheme = upstream->second->targets[0].url.scheme;
    if (scheme == TargetScheme::kHttp || scheme == TargetScheme::kHttps) return;
    error(at, "stream-upstream",
          "the targets of `" + name + "` are written `" + std::string(scheme_text(scheme)) +
              "://`, which streams use; an API needs `http://` targets");
  }

  void check_listeners(const Node& gateway) {
    const Node& list = member_or(gateway, "listen");
    for (size_t i = 0; i < document_.gateway.listen.size(); ++i) {
      const Listener& listener = document_.gateway.listen[i];
      const Node& node = item_or(list, i);
      const bool udp = listener.protocol == ListenerProtocol::kUdp;
      if (udp && !listeners_.at(listener.name).has_streams())
        error(member_or(node, "protocol"), "stream-listener",
              "no stream names the listener `" + listener.name + "`: its datagrams would go nowhere");
      if (!udp && listener.waiting.bytes > 0)
        error(member_or(node, "waiting"), "exclusive-keys", "`waiting` is about datagrams: `protocol: udp`");
      if (listener.proxy_protocol == ListenerProxyProtocol::kOff) continue;
      const Node& at = member_or(node, "proxy_protocol");
      if (udp)
        error(at, "proxy-protocol", "datagrams have no connection that a PROXY header could begin");
      else if (document_.gateway.trusted_proxies.empty())
        error(at, "proxy-protocol",
              "no header would be believed: name the proxies' networks in `trusted_proxies`");
    }
  }

  /// APIs are on all listeners unless they say otherwise: at least one must be left to them.
  void check_room_for_http() {
    for (const auto& [name, on] : listeners_)
      if (no_http_because(on).empty()) return;
    diagnostics_.error(document_.apis[0].second.origin, "stream-listener",
                       "no listener is left for the APIs: all are taken by streams");
  }

  Document& document_;
  const WrittenNodes& nodes_;
  Diagnostics& diagnostics_;
  NameList listener_names_;
  NameList upstream_names_;
  std::map<std::string, On, std::less<>> listeners_;
  std::map<std::string, const Upstream*, std::less<>> upstreams_;
};

}  // namespace

void validate_streams(Document& document, const WrittenNodes& nodes, Diagnostics& diagnostics) {
  StreamValidator(document, nodes, diagnostics).run();
}

}  // namespace sluice::config
