#include "gateway/health/probe.h"

#include <fmt/format.h>

#include <algorithm>

#include "http/grpc_status.h"
#include "io/linked_token.h"
#include "io/sleep.h"

namespace sluice::gateway {

namespace {

/// Of an answer's body; the rest is not read.
constexpr size_t kMostBody = 64 * 1024;
constexpr int kMostInterim = 8;
/// grpc.health.v1.HealthCheckResponse.ServingStatus.
constexpr uint8_t kServing = 1;

std::string why_unconnected(const io::Error& error) {
  switch (error.code) {
    case io::ErrorCode::kUnresolved:
      return "its name has no address";
    case io::ErrorCode::kUnsecured:
      return "its TLS cannot be set up or trusted";
    case io::ErrorCode::kProtocol:
      return "it does not agree to HTTP/2";
    default:
      return fmt::format("no connection: {}", io::error_text(error.code));
  }
}

/// A message of gRPC: not compressed, its length, then itself (gRPC over HTTP/2, "Length-Prefixed-Message").
std::string framed(std::string_view message) {
  std::string out(1, '\0');
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>(static_cast<uint32_t>(message.size()) >> shift & 0xff);
  return out.append(message);
}

/// grpc.health.v1.HealthCheckRequest: field 1, the service.
std::string check_request(std::string_view service) {
  if (service.empty()) return framed({});
  std::string message = "\x0a";
  for (size_t length = service.size();; length >>= 7) {
    message += static_cast<char>((length & 0x7f) | (length > 0x7f ? 0x80 : 0));
    if (length <= 0x7f) break;
  }
  return framed(message.append(service));
}

/// grpc.health.v1.HealthCheckResponse: field 1, the status.
bool says_serving(std::string_view body) {
  constexpr size_t kPrefix = 5;
  return body.size() >= kPrefix + 2 && body[0] == 0 && body[kPrefix] == 0x08 &&
         static_cast<uint8_t>(body[kPrefix + 1]) == kServing;
}

class Probe {
 public:
  Probe(const Target& target, const config::ActiveHealth& settings) : target_(target), settings_(settings) {}

  io::Task<ProbeOutcome> ask(http::ClientExchange& exchange, Arena& arena) {
    bool grpc = settings_.type == config::ProbeType::kGrpc;
    http::Request request(arena);
    std::string message;
    std::string path = grpc ? "/grpc.health.v1.Health/Check" : settings_.path;
    size_t question = path.find('?');
    request.method = grpc ? http::Method::kPost : http::Method::kGet;
    request.method_text = grpc ? "POST" : "GET";
    request.path = std::string_view(path).substr(0, question);
    if (question != std::string::npos) {
      request.has_query = true;
      request.query = std::string_view(path).substr(question + 1);
    }
    request.fields.add("user-agent", "sluice-health");
    if (grpc) {
      message = check_request(settings_.service);
      request.body = http::BodyLength::known(message.size());
      request.fields.add(http::FieldName::kContentType, "application/grpc");
    }
    std::string_view host = settings_.host.empty() ? std::string_view(target_.authority) : settings_.host;
    exchange.begin(request, {.host = host, .te_trailers = grpc});
    // Whether it went out does not matter: it may have answered before, and reading finds out.
    if (grpc) {
      http::TransferWatch watch = exchange.watch({});
      [[maybe_unused]] auto written = co_await exchange.send_body(http::Body::of(message), watch);
    } else {
      [[maybe_unused]] auto written = co_await exchange.send_head();
    }
    auto outcome = co_await read(exchange, arena, grpc);
    co_return outcome;
  }

 private:
  io::Task<ProbeOutcome> read(http::ClientExchange& exchange, Arena& arena, bool grpc) {
    http::Response head(arena);
    for (int interim = 0; interim < kMostInterim; ++interim) {
      head = http::Response(arena);
      auto read = co_await exchange.read_head(head);
      if (!read) co_return std::unexpected(std::string(read.error().detail));
      if (head.status >= 200) break;
    }
    if (!grpc) {
      bool good =
          std::ranges::any_of(settings_.statuses, [&](auto range) { return range.contains(head.status); });
      if (!good) co_return std::unexpected(fmt::format("it answers with status {}", head.status));
      co_return ProbeOutcome();
    }
    if (head.status != 200) co_return std::unexpected(fmt::format("it answers with status {}", head.status));
    auto outcome = co_await read_serving(exchange, head);
    co_return outcome;
  }

  io::Task<ProbeOutcome> read_serving(http::ClientExchange& exchange, const http::Response& head) {
    std::string bytes;
    const http::Field* status = head.fields.find("grpc-status");
    http::BodyReader* body = exchange.body();
    while (body && !status) {
      auto chunk = co_await body->read();
      if (!chunk) co_return std::unexpected(std::string(chunk.error().detail));
      bytes.append(chunk->bytes);
      if (bytes.size() > kMostBody) co_return std::unexpected("its answer is too long");
      if (!chunk->end) continue;
      if (chunk->trailers) status = chunk->trailers->find("grpc-status");
      break;
    }
    auto code = status ? http::parse_grpc_status(status->value) : std::nullopt;
    if (!code) co_return std::unexpected("it answers without a status of gRPC");
    if (*code != http::GrpcStatus::kOk)
      co_return std::unexpected(fmt::format("it answers with gRPC status {}", http::grpc_status_code(*code)));
    if (!says_serving(bytes)) co_return std::unexpected("it says that it does not serve");
    co_return ProbeOutcome();
  }

  const Target& target_;
  const config::ActiveHealth& settings_;
};

}  // namespace

io::Task<ProbeOutcome> probe(io::Loop& loop, ConnectionPool& pool, const Target& target,
                             const config::ActiveHealth& settings, io::CancelToken& all) {
  io::LinkedToken token(all);
  io::Deadline deadline(loop, loop.now() + settings.timeout, token);
  ProbeOutcome outcome;
  if (settings.type == config::ProbeType::kTcp) {
    auto connection = co_await pool.connect(token, settings.timeout);
    if (connection)
      pool.give_back(*connection, false);
    else
      outcome = std::unexpected(why_unconnected(connection.error()));
  } else {
    Arena arena;
    http::ExchangePlace place{token, arena, http::Limits{}};
    auto exchange = co_await pool.start_on_new(place, settings.timeout, {});
    if (exchange) {
      Probe one(target, settings);
      outcome = co_await one.ask(**exchange, arena);
      (*exchange)->end(true);
    } else {
      outcome = std::unexpected(why_unconnected(exchange.error()));
    }
  }
  if (!outcome && token.cancelled() && token.reason() == io::CancelReason::kDeadline)
    outcome = std::unexpected("it did not answer in time");
  co_return outcome;
}

}  // namespace sluice::gateway
