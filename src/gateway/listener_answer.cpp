// What a listener answers by itself, before any route is looked for.
#include "gateway/worker.h"
#include "http/uri.h"

namespace sluice::gateway {

namespace {

using http::FieldName;

constexpr Refusal kMisdirected{421, "misdirected_request",
                               "This host takes other client certificates than the connection was made with.",
                               telemetry::ErrorBy::kClient};
constexpr Refusal kNoHost{400, "missing_host", "The request names no host.", telemetry::ErrorBy::kClient};

/// Where a CA looks for the proof that we are who we say (RFC 8555, section 8.3): over plain HTTP.
constexpr std::string_view kAcmePath = "/.well-known/acme-challenge/";
constexpr uint16_t kHttpsPort = 443;

/// RFC 9110, section 7.4: only when the rule for this host is another one than the handshake went by.
bool misdirected(const tls::ConnectionSecurity& security, std::string_view authority) {
  if (!security.context || !security.context->has_client_rules()) return false;
  return security.context->client_rule_of(http::host_of(authority)) != security.client_rule;
}

}  // namespace

bool Worker::answer_by_listener(Exchange& exchange) {
  const http::Request& request = exchange.request;
  if (const tls::ConnectionSecurity* security = exchange.server.security) {
    if (!misdirected(*security, request.authority)) return false;
    std::ignore = exchange.refuse(kMisdirected);
    return true;
  }
  if (services_.challenges.http.pending() && request.path.starts_with(kAcmePath)) {
    std::string token(request.path.substr(kAcmePath.size()));
    if (auto answer = services_.challenges.http.find(token)) {
      exchange.response.fields.add(FieldName::kContentType, "application/octet-stream");
      exchange.response.body = http::BodyLength::known(answer->size());
      exchange.response_body = http::Body::of(exchange.arena.copy(*answer));
      return true;
    }
  }
  if (!snapshot_->redirects) return false;
  uint16_t port = 0;
  for (const ListenerSettings& listener : snapshot_->listeners)
    if (listener.number == exchange.server.listener) port = listener.redirect_port;
  if (port == 0 || request.path.starts_with(kAcmePath)) return false;
  // A trusted proxy in front may have taken TLS off.
  if (exchange.peer_trusted() && request.fields.value(FieldName::kXForwardedProto) == "https") return false;
  if (request.authority.empty() || request.path == "*") {
    std::ignore = exchange.refuse(kNoHost);
    return true;
  }
  Arena& arena = exchange.arena;
  std::string_view host = http::host_of(request.authority);
  std::string_view target = request.path;
  if (request.has_query) target = arena.concat(target, "?", request.query);
  std::string_view to = arena.concat("https://", host);
  if (port != kHttpsPort) to = arena.concat(to, ":", std::to_string(port));
  exchange.response.status = 308;
  exchange.response.fields.add(FieldName::kLocation, arena.concat(to, target));
  return true;
}

}  // namespace sluice::gateway
