#include "cli/demo.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "cli/demo_config.h"
#include "http/date.h"
#include "http/plain_acceptor.h"
#include "io/epoll/epoll_loop.h"
#include "io/scope.h"

namespace sluice::cli {

namespace {

constexpr std::string_view kUsers[] = {R"({"id":1,"name":"Ada"})", R"({"id":2,"name":"Grace"})",
                                       R"({"id":3,"name":"Barbara"})"};
constexpr std::string_view kOrders[] = {R"({"id":1,"user":1,"item":"difference engine","count":1})",
                                        R"({"id":2,"user":2,"item":"compiler","count":3})"};

/// One backend: a collection under its path, `/{id}` one of it.
class Backend final : public http::RequestHandler {
 public:
  Backend(io::Loop& loop, std::string_view path, std::span<const std::string_view> items)
      : loop_(loop), path_(path), items_(items) {}

  const http::Limits& limits() const override { return limits_; }
  const http::ServerTimeouts& timeouts() const override { return timeouts_; }
  std::string_view date() override { return date_.at(loop_.wall_now()); }
  void count_connections(uint16_t, int, int) override {}

  io::Task<> handle(http::ServerExchange& exchange) override {
    uint16_t status = 200;
    std::string body = answer(exchange, status) + "\n";
    http::Response response(exchange.arena);
    response.status = status;
    response.fields.add(http::FieldName::kContentType, "application/json");
    response.body = http::BodyLength::known(body.size());
    http::Body sent = http::Body::of(body);
    http::TransferWatch::Bounds bounds{.interval = timeouts_.body_progress,
                                       .sink_idle = timeouts_.body_progress};
    co_await exchange.send(response, sent, bounds);
  }

  io::Task<> accept(io::Listener& listener, io::CancelToken& token) {
    co_await io::accept_connections(loop_, listener, acceptor_, token);
  }
  void drain() {
    connections_.for_each([](http::Connection& connection) { connection.drain(); });
  }
  io::TaskScope& scope() { return scope_; }

 private:
  std::string answer(http::ServerExchange& exchange, uint16_t& status) const {
    if (exchange.refused) {
      status = exchange.refused->status;
      return R"({"error":"bad request"})";
    }
    std::string_view rest = exchange.request.path;
    if (!rest.starts_with(path_)) {
      status = 404;
      return R"({"error":"not found"})";
    }
    rest.remove_prefix(path_.size());
    if (rest.empty() || rest == "/") {
      std::string list = "[";
      for (std::string_view item : items_) list += fmt::format("{}{}", list.size() > 1 ? "," : "", item);
      return list + "]";
    }
    auto id = ascii::parse_decimal(rest.substr(1));
    if (!id || *id < 1 || *id > items_.size()) {
      status = 404;
      return R"({"error":"not found"})";
    }
    return std::string(items_[*id - 1]);
  }

  io::Loop& loop_;
  std::string_view path_;
  std::span<const std::string_view> items_;
  http::Limits limits_;
  http::ServerTimeouts timeouts_;
  http::DateCache date_;
  http::Connections connections_;
  io::TaskScope scope_;
  http::PlainAcceptor acceptor_{loop_, *this, 0, connections_, scope_, http::Codec::kHttp1};
};

}  // namespace

class DemoBackends::Server {
 public:
  ~Server() {
    if (!thread_.joinable()) return;
    loop_.post([this] { scope_.spawn(stop()); });
    thread_.join();
  }

  std::expected<void, std::string> start() {
    io::CurrentLoop current(loop_);
    for (size_t i = 0; i < backends_.size(); ++i) {
      io::Address address = io::Address::loopback(static_cast<uint16_t>(7001 + i));
      auto listener = loop_.listen(address, {});
      if (!listener)
        return std::unexpected(fmt::format("the demo's backend cannot listen on {}: {}", address.text(),
                                           io::error_text(listener.error().code)));
      listeners_[i] = std::move(*listener);
      listeners_[i]->bind(token_);
      accepting_.spawn(backends_[i].accept(*listeners_[i], token_));
    }
    thread_ = std::thread([this] {
      loop_.run();
      io::CurrentLoop ended(loop_);
      for (auto& listener : listeners_) listener.reset();
    });
    return {};
  }

 private:
  io::Task<> stop() {
    token_.cancel(io::CancelReason::kDrain);
    co_await accepting_.join();
    for (Backend& backend : backends_) backend.drain();
    for (Backend& backend : backends_) co_await backend.scope().join();
    loop_.stop();
  }

  io::EpollLoop loop_{1};
  std::array<Backend, 2> backends_{Backend{loop_, "/api/v1/users", kUsers},
                                   Backend{loop_, "/api/v1/orders", kOrders}};
  std::array<std::unique_ptr<io::Listener>, 2> listeners_;
  io::CancelToken token_;
  io::TaskScope accepting_;
  io::TaskScope scope_;
  std::thread thread_;
};

DemoBackends::DemoBackends() = default;
DemoBackends::~DemoBackends() = default;

std::expected<void, std::string> DemoBackends::start() {
  server_ = std::make_unique<Server>();
  return server_->start();
}

config::Input demo_input() { return {"demo.yaml", kDemoConfig}; }

void print_demo_summary() {
  bool colour = isatty(STDOUT_FILENO) && !std::getenv("NO_COLOR");
  std::string_view bold = colour ? "\x1b[1m" : "";
  std::string_view dim = colour ? "\x1b[2m" : "";
  std::string_view command = colour ? "\x1b[36m" : "";
  std::string_view plain = colour ? "\x1b[0m" : "";
  struct Line {
    std::string_view command;
    std::string_view outcome;
  };
  constexpr Line kLines[] = {
      {"curl -i -H 'X-API-Key: demo-key' http://127.0.0.1:8080/api/v1/users/1", "200: a call with a key"},
      {"curl -i http://127.0.0.1:8080/api/v1/users/1", "401: one without"},
      {"for i in $(seq 11); do curl -s -o /dev/null -w '%{http_code}\\n' -H 'X-API-Key: demo-key' "
       "http://127.0.0.1:8080/api/v1/users; done",
       "429 after ten in a minute"},
      {"curl -i http://127.0.0.1:8080/nowhere", "404: no route"},
      {"curl -ik -H 'X-API-Key: demo-key' https://127.0.0.1:8443/api/v1/orders/1", "200: over TLS"},
      {"curl -s http://127.0.0.1:8081/metrics", "what it counts"},
  };
  std::string text = fmt::format(
      "\n{}Sluice is ready on http://127.0.0.1:8080{}  {}(two sample backends behind it; "
      "Ctrl-C ends){}\n\n",
      bold, plain, dim, plain);
  for (const Line& line : kLines)
    text += fmt::format("  {}{}{}  {}# {}{}\n", command, line.command, plain, dim, line.outcome, plain);
  text += "\n";
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace sluice::cli
