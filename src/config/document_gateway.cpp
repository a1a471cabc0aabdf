// The field lists of `gateway`: what belongs to the process.
#include "config/document.h"
#include "config/document_types.h"

namespace sluice::config {

using namespace std::chrono_literals;

const Struct<Listener>& Listener::schema() {
  static const auto schema =
      Struct<Listener>("listener", "A socket that requests come in by.")
          .field("name", &Listener::name, "Names it for `listeners`, logs and metrics.")
          .required()
          .field("address", &Listener::address, "`IP:PORT`; port 0 takes any free one.")
          .required()
          .field("tls", &Listener::tls, "Speak TLS; `{}` will do for trying things out.")
          .field("redirect_https", &Listener::redirect_https,
                 "Send every request to `https://` with 308, but for `/.well-known/acme-challenge/`.")
          .field("https_port", &Listener::https_port,
                 "The port that it sends to; 0, and when left out, that of the first listener with TLS.")
          .range(0, 65535)
          .field("protocol", &Listener::protocol,
                 "`tcp`: connections, of HTTP or of a stream. `udp`: datagrams, for a stream.")
          .field("proxy_protocol", &Listener::proxy_protocol,
                 "Whether connections begin with a PROXY header (version 1 or 2) that names the client. "
                 "`trusted`: those of `trusted_proxies`, and no others. `required`: those of "
                 "`trusted_proxies`, and no others are served.")
          .field("waiting", &Listener::waiting,
                 "How many bytes of datagrams may wait in the kernel for a worker; more are lost. 0: as the "
                 "system has it.")
          .range(0, 1 << 30)
          .field("http2", &Listener::http2,
                 "Whether HTTP/2 is spoken beside HTTP/1.1; in cleartext with clients that begin with it.");
  return schema;
}

const Struct<Status>& Status::schema() {
  static const auto schema =
      Struct<Status>("status", "Where `/livez`, `/readyz` and `/metrics` are answered.")
          .field("address", &Status::address, "`IP:PORT`; keep it away from the public.");
  return schema;
}

const Struct<Dns>& Dns::schema() {
  static const auto schema =
      Struct<Dns>("dns", "How names are resolved.")
          .field(
              "servers", &Dns::servers,
              "The name servers that are asked, `IP:PORT` each; those of `/etc/resolv.conf` when left out.")
          .check([](const Dns& dns, const Node& node, Reader& reader) {
            constexpr size_t kMostServers = 16;
            const Node* servers = node.find("servers");
            if (dns.servers.size() > kMostServers)
              reader.error(*servers, "too-many-items", "there are at most 16 name servers");
            for (const Address& server : dns.servers)
              if (server.port == 0)
                reader.error(*servers, "invalid-value", "a name server listens on a port, mostly 53");
          });
  return schema;
}

const Struct<GatewayLimits>& GatewayLimits::schema() {
  static const auto schema =
      Struct<GatewayLimits>("limits", "What clients may bring.")
          .field("request_target", &GatewayLimits::request_target,
                 "The size of path and query; longer ones get 414.")
          .range(64, 1 << 20)
          .field("request_head", &GatewayLimits::request_head,
                 "The size of the request line and all header fields; larger ones get 431.")
          .range(256, 1 << 20)
          .field("request_fields", &GatewayLimits::request_fields, "How many header fields; more get 431.")
          .range(1, 1000)
          .unit("fields")
          .field("request_body", &GatewayLimits::request_body, "The size of a body; larger ones get 413.")
          .field("grpc_message", &GatewayLimits::grpc_message,
                 "The size of a message of a gRPC call, in either direction; with a larger one the call ends "
                 "as RESOURCE_EXHAUSTED. Where it is set, `request_body` does not bound gRPC calls. 0: none.")
          .field("connections", &GatewayLimits::connections,
                 "How many client connections at once, of all listeners; more are closed as they come. 0: as "
                 "many as the process's descriptors allow.")
          .range(0, 10'000'000)
          .unit("connections")
          .field("connections_per_address", &GatewayLimits::connections_per_address,
                 "How many of them from one IPv4 address or IPv6 /64 network; `trusted_proxies` are exempt. "
                 "0: no limit.")
          .range(0, 10'000'000)
          .unit("connections")
          .field("queue_delay", &GatewayLimits::queue_delay,
                 "How late a worker may begin a request. While most are later, those that are get 503. `0s`: "
                 "nothing is shed.")
          .range(0s, 1min);
  return schema;
}

const Struct<GatewayTimeouts>& GatewayTimeouts::schema() {
  static const auto schema =
      Struct<GatewayTimeouts>("timeouts", "How long a client may take.")
          .field("header", &GatewayTimeouts::header, "For the head of a request, from its first byte.")
          .range(1ms, 1h)
          .field("body_progress", &GatewayTimeouts::body_progress, "Without progress in a request's body.")
          .range(1ms, 1h)
          .field("keep_alive", &GatewayTimeouts::keep_alive, "Between two requests of a connection.")
          .range(1ms, 24h)
          .field("stream_idle", &GatewayTimeouts::stream_idle,
                 "Without a byte of a response in either direction.")
          .range(1ms, 24h)
          .field("total", &GatewayTimeouts::total, "For a whole request with its response; `0s` for none.");
  return schema;
}

const Struct<Drain>& Drain::schema() {
  static const auto schema =
      Struct<Drain>("drain", "How the process goes.")
          .field("delay", &Drain::delay,
                 "How long it still accepts connections after SIGTERM, `/readyz` failing.")
          .range(0s, 1h)
          .field("timeout", &Drain::timeout, "How long requests in flight may then take.")
          .range(0s, 24h);
  return schema;
}

const Struct<AccessLog>& AccessLog::schema() {
  static const auto schema = Struct<AccessLog>("access_log", "A line for each request.")
                                 .field("format", &AccessLog::format, "How a line looks; `off` writes none.")
                                 .field("path", &AccessLog::path, "`stdout`, `stderr` or a file.");
  return schema;
}

const Struct<Errors>& Errors::schema() {
  static const auto schema =
      Struct<Errors>("errors", "How the gateway's own errors look.")
          .field("format", &Errors::format, "`problem`: application/problem+json (RFC 9457).");
  return schema;
}

const Struct<Metrics>& Metrics::schema() {
  static const auto schema =
      Struct<Metrics>("metrics", "What is counted.")
          .field("per_route", &Metrics::per_route, "A series for every route, however many.");
  return schema;
}

const Struct<Gateway>& Gateway::schema() {
  static const auto schema =
      Struct<Gateway>("gateway", "What belongs to the process and not to an entity.")
          .field("listen", &Gateway::listen, "Where requests come in.")
          .min_items(1)
          .field("workers", &Gateway::workers, "Event loops, each a thread; `auto`: one a core.")
          .field("io", &Gateway::io, "How the kernel is asked for I/O; `auto` takes the best there is.")
          .field("state", &Gateway::state,
                 "The folder for what survives a restart, as certificates of a CA; relative to the working "
                 "directory.")
          .field("status", &Gateway::status, "The status address.")
          .field("trusted_proxies", &Gateway::trusted_proxies,
                 "Networks whose `X-Forwarded-*` fields and PROXY headers are believed.")
          .field("zone", &Gateway::zone,
                 "Where this gateway stands; targets of the same `zone` are preferred. None when left out.")
          .field(
              "node", &Gateway::node,
              "The name of this gateway among several; each has its own `balance.subset` by it. The host's "
              "name when left out.")
          .field("dns", &Gateway::dns, "How names are resolved.")
          .field("limits", &Gateway::limits, "What clients may bring.")
          .field("timeouts", &Gateway::timeouts, "How long a client may take.")
          .field("drain", &Gateway::drain, "How the process goes.")
          .field("access_log", &Gateway::access_log, "A line for each request.")
          .field("errors", &Gateway::errors, "How the gateway's own errors look.")
          .field("metrics", &Gateway::metrics, "What is counted.");
  return schema;
}

}  // namespace sluice::config
