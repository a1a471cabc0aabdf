#include "gateway/status_server.h"

#include <fmt/format.h>

#include "http/problem.h"

namespace sluice::gateway {

namespace {

/// Whoever looks at us needs one or two.
constexpr int kMostConnections = 128;

bool is_known(std::string_view path) {
  return path == "/livez" || path == "/readyz" || path == "/metrics" || path == "/upstreams";
}

struct Answer {
  uint16_t status = 200;
  std::string_view type = "application/json";
  std::string body;
};

Answer problem(uint16_t status, std::string_view code, std::string_view detail, Arena& arena) {
  return {status, http::kProblemContentType,
          std::string(http::write_problem({status, code, detail, {}}, arena))};
}

}  // namespace

io::Result<> StatusServer::listen(const io::Address& address, int inherited) {
  auto listener = loop_.listen(address, {.inherited = inherited});
  if (!listener) return std::unexpected(listener.error());
  listener_ = std::move(*listener);
  listener_->bind(token_);
  return {};
}

void StatusServer::serve() { scope_.spawn(io::accept_connections(loop_, *listener_, acceptor_, token_)); }

bool StatusServer::admit(const io::Address&) {
  if (open_ < kMostConnections) return true;
  source_.limit_hit("status_connections");
  return false;
}

void StatusServer::stop() {
  token_.cancel(io::CancelReason::kDrain);
  connections_.for_each([](http::Connection& connection) { connection.drain(); });
}

io::Task<> StatusServer::join() { co_await scope_.join(); }

io::Task<> StatusServer::handle(http::ServerExchange& exchange) {
  const http::Request& request = exchange.request;
  bool reads = request.method == http::Method::kGet || request.method == http::Method::kHead;
  Answer answer;
  if (exchange.refused) {
    if (exchange.refused->status == 499) {
      exchange.abandon();
      co_return;
    }
    answer =
        problem(exchange.refused->status, exchange.refused->code, exchange.refused->detail, exchange.arena);
  } else if (!is_known(request.path)) {
    answer = problem(404, "not_found", "The status listener has /livez, /readyz, /metrics and /upstreams.",
                     exchange.arena);
  } else if (!reads) {
    answer = problem(405, "method_not_allowed", "The status listener is read with GET.", exchange.arena);
  } else if (request.path == "/livez") {
    answer.body = "{\"status\":\"alive\"}\n";
  } else if (request.path == "/readyz") {
    bool ready = source_.ready();
    answer.status = ready ? 200 : 503;
    answer.body = fmt::format("{{\"status\":\"{}\",\"revision\":{}}}\n", ready ? "ready" : "not_ready",
                              source_.revision());
  } else if (request.path == "/upstreams") {
    answer.body = source_.upstreams();
  } else {
    answer.type = telemetry::Registry::kContentType;
    answer.body = source_.metrics();
  }
  http::Response response(exchange.arena);
  response.status = answer.status;
  response.fields.add(http::FieldName::kContentType, answer.type);
  if (answer.status == 405) response.fields.add(http::FieldName::kAllow, "GET, HEAD");
  response.body = http::BodyLength::known(answer.body.size());
  http::Body body = http::Body::of(answer.body);
  http::TransferWatch::Bounds bounds{.interval = timeouts_.body_progress,
                                     .sink_idle = timeouts_.body_progress};
  co_await exchange.send(response, body, bounds);
}

}  // namespace sluice::gateway
