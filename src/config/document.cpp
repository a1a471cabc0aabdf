// The field lists of the document's root and of what APIs and routes are made of; those of `gateway` are in
// document_gateway.cpp.
#include "config/document.h"

#include "config/document_types.h"

namespace sluice::config {

using namespace std::chrono_literals;

const Struct<Target>& Target::schema() {
  static const auto schema =
      Struct<Target>("target", "A server of an upstream. May be written as its URL alone.")
          .field("url", &Target::url,
                 "`http://HOST[:PORT][/BASE]` or `https://...`, where the base path is put before the "
                 "request's; for streams `tcp://HOST:PORT` or `udp://HOST:PORT`. `http+srv://NAME[/BASE]` "
                 "(likewise the others) for the servers that the SRV records of NAME list.")
          .required()
          .field("weight", &Target::weight,
                 "Its share of the requests against the other targets'; 0 takes none. Of a service: what the "
                 "weights of its records are multiplied by.")
          .range(0, 65535)
          .field("priority", &Target::priority,
                 "Targets of a higher number are used when those below are not healthy enough. Of a service: "
                 "the number of its records with the lowest priority; the next ones follow.")
          .range(0, 15)
          .field("zone", &Target::zone, "Where it stands; targets of the `gateway.zone` are preferred.")
          .shorthand("url");
  return schema;
}

const Struct<UpstreamTimeouts>& UpstreamTimeouts::schema() {
  static const auto schema =
      Struct<UpstreamTimeouts>("upstream_timeouts", "How long an upstream may take.")
          .field("connect", &UpstreamTimeouts::connect, "To accept a connection.")
          .range(1ms, 5min)
          .field("response_head", &UpstreamTimeouts::response_head,
                 "From the request being sent to the head of its response.")
          .range(1ms, 24h)
          .field("idle", &UpstreamTimeouts::idle, "How long an unused connection is kept.")
          .range(0ms, 24h);
  return schema;
}

const Struct<Retry>& Retry::schema() {
  static const auto schema =
      Struct<Retry>("retry", "When and how often a request is tried again on another target.")
          .field("attempts", &Retry::attempts, "How often at most; the first one counts.")
          .range(1, 10)
          .field(
              "on", &Retry::on,
              "Why: `connect_failure`, `reset` and `timeout` before a response, a status such as `503`, or, "
              "of gRPC calls, a status such as `unavailable`.")
          .field("budget", &Retry::budget,
                 "Retries at once, against the requests at once of the upstream; three are always allowed.")
          .field(
              "backoff", &Retry::backoff,
              "How long is waited at most before the second retry; twice as long before each after it. The "
              "first goes at once.")
          .range(0ms, 1min)
          .field(
              "body", &Retry::body,
              "Bodies up to this size are kept until there is an answer, so that their requests can be tried "
              "again; `0` for none.")
          .range(0, 1 << 20)
          .field("idempotency_key", &Retry::idempotency_key,
                 "The upstream knows requests again by their field `Idempotency-Key`: they are tried again "
                 "whatever their method.");
  return schema;
}

const Struct<Upstream>& Upstream::schema() {
  static const auto schema =
      Struct<Upstream>("upstream", "Servers that do the same, and how they are spoken to.")
          .field("targets", &Upstream::targets, "The servers.")
          .required()
          .min_items(1)
          .field("balance", &Upstream::balance, "How a target is chosen.")
          .field("protocol", &Upstream::protocol,
                 "What is spoken to the targets: HTTP/1.1 (`h1`), HTTP/2 over TLS (`h2`) or in the clear "
                 "(`h2c`). `auto`: over TLS what the target chooses, else `h1`.")
          .field("host", &Upstream::host,
                 "Which `Host` is sent: the one received, the target's own, or this literal.")
          .field("tls", &Upstream::tls, "How targets with `https://` are spoken to.")
          .field("proxy_protocol", &Upstream::proxy_protocol,
                 "The PROXY header that connections to it begin with, to name the client. Each request has a "
                 "connection of its own then.")
          .field("timeouts", &Upstream::timeouts, "How long it may take.")
          .field("retry", &Upstream::retry, "When a request is tried again.")
          .field("hedge", &Upstream::hedge, "When a second target is asked beside the first one.")
          .field("health", &Upstream::health, "How it is found out which targets can take requests.")
          .field("circuit_breaker", &Upstream::circuit_breaker, "What it carries at most.")
          .field("adaptive_concurrency", &Upstream::adaptive_concurrency,
                 "How much it carries at most, found out from how fast it answers.")
          .field("slow_start", &Upstream::slow_start,
                 "How long a target that has become healthy takes to get its full share; `0s` for at once.")
          .range(0ms, 1h)
          .check([](const Upstream& upstream, const Node& node, Reader& reader) {
            const auto& active = upstream.health.active;
            if (!active || active->type != ProbeType::kGrpc) return;
            bool http2 =
                upstream.protocol == UpstreamProtocol::kH2 || upstream.protocol == UpstreamProtocol::kH2c;
            bool tls =
                std::ranges::all_of(upstream.targets, [](const Target& each) { return each.url.tls(); });
            if (!http2 && !(tls && upstream.protocol == UpstreamProtocol::kAuto))
              reader.error(*node.find("health")->find("active")->find("type"), "conflict",
                           "`type: grpc` needs an upstream with `protocol: h2c` or `h2`");
          });
  return schema;
}

const Struct<InnerTimeouts>& InnerTimeouts::schema() {
  static const auto schema =
      Struct<InnerTimeouts>("inner_timeouts", "Timeouts that override the gateway's.")
          .field("total", &InnerTimeouts::total, "For a whole request with its response; `0s` for none.");
  return schema;
}

const Struct<InnerLimits>& InnerLimits::schema() {
  static const auto schema = Struct<InnerLimits>("inner_limits", "Limits that override the gateway's.")
                                 .field("request_body", &InnerLimits::request_body,
                                        "The size of a request's body; larger ones get 413.")
                                 .field("grpc_message", &InnerLimits::grpc_message,
                                        "The size of a message of a gRPC call; `0` for none.");
  return schema;
}

const Struct<InnerAccessLog>& InnerAccessLog::schema() {
  static const auto schema =
      Struct<InnerAccessLog>("inner_access_log", "An access log that overrides the gateway's.")
          .field("format", &InnerAccessLog::format, "How a line looks; `off` writes none.");
  return schema;
}

const Struct<SplitPart>& SplitPart::schema() {
  static const auto schema =
      Struct<SplitPart>("split", "One upstream's share of the requests.")
          .field("upstream", &SplitPart::upstream, "The name of the upstream.")
          .required()
          .field("weight", &SplitPart::weight, "Its share against the others'; 0 takes none.")
          .range(0, 65535);
  return schema;
}

const Struct<Mirror>& Mirror::schema() {
  static const auto schema =
      Struct<Mirror>("mirror", "Copies of requests for another upstream, whose answers nobody sees.")
          .field("upstream", &Mirror::upstream, "The name of the upstream.")
          .required()
          .field("percent", &Mirror::percent, "The share of the requests that are copied, by chance.")
          .field("max_body", &Mirror::max_body, "Requests with a larger body are not copied.")
          .range(0, 16 << 20);
  return schema;
}

const Struct<RouteMatch>& RouteMatch::schema() {
  static const auto schema =
      Struct<RouteMatch>("match", "Conditions beside host, path and method; all must hold.")
          .field("headers", &RouteMatch::headers, "Header fields and the values that they must have.")
          .field("query", &RouteMatch::query, "Parameters of the query and the values that they must have.")
          .field("body", &RouteMatch::body,
                 "Paths into a JSON body, such as `$.a.b[0]`, and the values that must stand there.");
  return schema;
}

const Struct<Respond>& Respond::schema() {
  static const auto schema = Struct<Respond>("respond", "Answers at once, without an upstream.")
                                 .field("status", &Respond::status, "The status of the answer.")
                                 .range(200, 599)
                                 .field("headers", &Respond::headers, "Its header fields.")
                                 .field("body", &Respond::body, "Its body.");
  return schema;
}

const Struct<Redirect>& Redirect::schema() {
  static const auto schema =
      Struct<Redirect>("redirect", "Sends the client elsewhere.")
          .field("to", &Redirect::to, "The `Location`; `{name}` puts in a parameter of the path.")
          .required()
          .field("status", &Redirect::status, "301, 302, 303, 307 or 308.")
          .range(301, 308)
          .check([](const Redirect& redirect, const Node& node, Reader& reader) {
            const Node* status = node.find("status");
            if (redirect.status > 303 && redirect.status < 307)
              reader.error(status ? *status : node, "invalid-value",
                           "expected one of 301, 302, 303, 307, 308");
          })
          .shorthand("to");
  return schema;
}

const Struct<Route>& Route::schema() {
  static const auto schema =
      Struct<Route>("route", "A part of an API that is matched, guarded and answered in its own way.")
          .field("name", &Route::name, "Names the route in logs and metrics; unique within its API.")
          .required()
          .field("methods", &Route::methods, "The methods that it takes, in capitals; any when left out.")
          .one_or_many()
          .field("path", &Route::path,
                 "Below the API's path: exact, with `{name}` for a segment and `{name**}` or `/**` for the "
                 "rest; "
                 "everything when left out.")
          .field("match", &Route::match, "More conditions.")
          .field("priority", &Route::priority,
                 "Decides between routes that are equally specific; the highest wins.")
          .field("upstream", &Route::upstream, "Where requests go instead of the API's upstream.")
          .field("split", &Route::split, "Several upstreams instead of one, by weight.")
          .field("shift", &Route::shift, "Moves them to another upstream by and by.")
          .field("mirror", &Route::mirror, "Where copies of requests go, instead of where the API's do.")
          .one_or_many()
          .field("respond", &Route::respond, "Answer at once instead.")
          .field("redirect", &Route::redirect, "Redirect instead.")
          .field("policies", &Route::policies,
                 "Policies after those of the gateway and the API, in this order.")
          .field("timeouts", &Route::timeouts, "Override the outer timeouts.")
          .field("limits", &Route::limits, "Override the outer limits.")
          .field("access_log", &Route::access_log, "Overrides the outer access log.");
  return schema;
}

const Struct<Api>& Api::schema() {
  static const auto schema =
      Struct<Api>("api", "Everything below one path, on some hosts and listeners.")
          .field("version", &Api::version, "Its version, for people.")
          .field("listeners", &Api::listeners, "The listeners it is reachable on; all when left out.")
          .one_or_many()
          .field("hosts", &Api::hosts, "Host names, or `*.suffix` for all below one; any when left out.")
          .one_or_many()
          .field("path", &Api::path, "A prefix of whole segments; all below it belongs to this API.")
          .field("strip_path", &Api::strip_path,
                 "Take the prefix away before forwarding; sends X-Forwarded-Prefix.")
          .field("upstream", &Api::upstream, "Where requests go.")
          .field("split", &Api::split, "Several upstreams instead of one, by weight.")
          .field("shift", &Api::shift, "Moves them to another upstream by and by.")
          .field("mirror", &Api::mirror, "Where copies of requests go, beside their own way.")
          .one_or_many()
          .field("timeouts", &Api::timeouts, "Override the gateway's timeouts.")
          .field("limits", &Api::limits, "Override the gateway's limits.")
          .field("access_log", &Api::access_log, "Overrides the gateway's access log.")
          .field("repeated_slash", &Api::repeated_slash, "What becomes of `//` in a path.")
          .field("encoded_slash", &Api::encoded_slash, "Whether `%2F` and `%5C` may stand in a path.")
          .field("policies", &Api::policies, "Policies after those of the gateway, in this order.")
          .field("routes", &Api::routes, "Its parts; without them every method and path below is proxied.");
  return schema;
}

const Struct<Document>& Document::schema() {
  static const auto schema =
      Struct<Document>("document", "The configuration of a Sluice gateway.")
          .field("version", &Document::version, "The version of this format: 1.")
          .required()
          .range(1, 1)
          .field("include", &Document::include,
                 "More files, by path or pattern (`apis/*.yaml`), from this file's folder.")
          .one_or_many()
          .field("gateway", &Document::gateway, "The process: listeners, workers, limits, logs.")
          .field("trust", &Document::trust, "Certificate authorities that are believed, by name.")
          .names()
          .field("certificates", &Document::certificates, "Certificates with their keys, by name.")
          .names()
          .field("upstreams", &Document::upstreams, "Servers that requests go to, by name.")
          .names()
          .field("streams", &Document::streams, "TCP, TLS and UDP that is not HTTP, by name.")
          .names()
          .field("chains", &Document::chains, "Named lists of policies, put in elsewhere with `- use: NAME`.")
          .names()
          .field("policies", &Document::policies, "Policies that every request passes, in this order.")
          .field("apis", &Document::apis, "What is served, by name.")
          .names()
          .field("redis", &Document::redis, "Redis servers that several gateways share counters in, by name.")
          .names()
          .field("plans", &Document::plans, "What subscriptions allow, by name.")
          .names()
          .field("consumers", &Document::consumers, "Who calls, by name.")
          .names();
  return schema;
}

std::string Document::describe(const Origin& origin) const {
  std::string out = origin.file < file_names.size() ? file_names[origin.file] : std::string("configuration");
  if (origin.known()) out += ":" + std::to_string(origin.line) + ":" + std::to_string(origin.column);
  return out;
}

EffectiveSettings effective_settings(const Gateway& gateway, const Api* api, const Route* route) {
  EffectiveSettings out{gateway.timeouts.total, gateway.limits.request_body, gateway.limits.grpc_message,
                        gateway.access_log.format};
  const auto lay_over = [&out](const auto& level) {
    out.total = level.timeouts.total.value_or(out.total);
    out.request_body = level.limits.request_body.value_or(out.request_body);
    out.grpc_message = level.limits.grpc_message.value_or(out.grpc_message);
    out.access_log = level.access_log.format.value_or(out.access_log);
  };
  if (api) lay_over(*api);
  if (route) lay_over(*route);
  return out;
}

}  // namespace sluice::config
