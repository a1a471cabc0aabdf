// For tests of the gateway: workers with a compiled configuration in a simulated world, a client, and a
// handler that answers with what it was asked.
#pragma once

#include <gtest/gtest.h>

#include <charconv>
#include <cstring>
#include <stdexcept>

#include "config/loader.h"
#include "gateway/compiler.h"
#include "gateway/worker.h"
#include "http/h1/server_fixture.h"
#include "io/sim/sim_offload.h"
#include "telemetry/access_log.h"

namespace sluice::gateway::testing {

using namespace std::chrono_literals;
using http::h1::testing::RawClient;

/// A response as it came over the wire.
struct Answer {
  int status = 0;
  std::string head;  // with the status line
  std::string body;  // without its chunks
  size_t size = 0;   // bytes of it all

  /// The value; of several fields all values, joined by " | ".
  std::string field(std::string_view name) const {
    std::string values;
    std::string_view rest = head;
    while (!rest.empty()) {
      std::string_view line = rest.substr(0, rest.find("\r\n"));
      rest.remove_prefix(std::min(rest.size(), line.size() + 2));
      size_t colon = line.find(':');
      if (colon == std::string_view::npos || !ascii::equal_ignoring_case(line.substr(0, colon), name))
        continue;
      if (!values.empty()) values += " | ";
      values += ascii::trim(line.substr(colon + 1));
    }
    return values;
  }
  /// `code` of problem details.
  std::string code() const {
    size_t at = body.find("\"code\":\"");
    if (at == std::string::npos) return {};
    at += strlen("\"code\":\"");
    return body.substr(at, body.find('"', at) - at);
  }
  bool has_line(std::string_view line) const {
    return ("\n" + body).find("\n" + std::string(line) + "\n") != std::string::npos;
  }
};

/// The first response in `text`, or nothing when it is not complete. `ended`: no more is coming.
inline std::optional<Answer> parse_answer(std::string_view text, bool ended, bool answers_head = false) {
  size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos || !text.starts_with("HTTP/1.1 ")) return std::nullopt;
  Answer answer;
  answer.head = text.substr(0, end);
  std::from_chars(text.data() + 9, text.data() + 12, answer.status);
  std::string_view rest = text.substr(end + 4);
  answer.size = end + 4;
  if (answers_head || answer.status < 200 || answer.status == 204 || answer.status == 304) return answer;
  if (std::string length = answer.field("Content-Length"); !length.empty()) {
    size_t bytes = std::stoul(length);
    if (rest.size() < bytes) return std::nullopt;
    answer.body = rest.substr(0, bytes);
    answer.size += bytes;
    return answer;
  }
  if (answer.field("Transfer-Encoding") != "chunked") {
    if (!ended) return std::nullopt;
    answer.body = rest;
    answer.size += rest.size();
    return answer;
  }
  for (;;) {
    size_t line = rest.find("\r\n");
    if (line == std::string_view::npos) return std::nullopt;
    size_t bytes = 0;
    std::from_chars(rest.data(), rest.data() + line, bytes, 16);
    if (bytes == 0) {  // trailers are of no interest here
      size_t last = rest.find("\r\n\r\n");
      if (last == std::string_view::npos) return std::nullopt;
      answer.size += last + 4;
      return answer;
    }
    if (rest.size() < line + 2 + bytes + 2) return std::nullopt;
    answer.body += rest.substr(line + 2, bytes);
    answer.size += line + 2 + bytes + 2;
    rest.remove_prefix(line + 2 + bytes + 2);
  }
}

/// A connection on which requests are sent and answers awaited, one after another.
class Client {
 public:
  Client(io::SimWorld& world, io::SimLoop& loop, io::Address to) : world_(world), raw_(world, loop, to) {}

  void send(std::string text) { raw_.send(std::move(text)); }
  /// Until the next final response is whole, or the connection has ended; then with status 0. Responses with
  /// 1xx before it go to `interim`.
  Answer await_answer(bool answers_head = false) {
    for (;;) {
      std::optional<Answer> answer;
      world_.run_until([&] {
        answer = parse_answer(rest(), ended(), answers_head);
        return answer || ended();
      });
      if (!answer) return {};
      taken_ += answer->size;
      if (answer->status >= 200) return *answer;
      interim.push_back(*answer);
    }
  }
  Answer ask(std::string text, bool answers_head = false) {
    send(std::move(text));
    return await_answer(answers_head);
  }
  /// What has come and is no answer yet.
  std::string_view rest() const { return std::string_view(raw_.received).substr(taken_); }
  bool ended() const { return raw_.state != RawClient::State::kOpen; }
  /// Ended by a reset.
  bool broken() const { return raw_.state == RawClient::State::kReset; }
  RawClient& raw() { return raw_; }

  std::vector<Answer> interim;

 private:
  io::SimWorld& world_;
  RawClient raw_;
  size_t taken_ = 0;
};

/// Answers with 200 and the request as text: a line with method, path and query, then a line for each field,
/// one for who is calling, one for each path parameter, and the body. `?throw` throws instead, `?slow` takes
/// five seconds.
class EchoHandler final : public Handler {
 public:
  explicit EchoHandler(std::string reply) : reply_(std::move(reply)) {}

  io::Task<> handle(Exchange& exchange) const override {
    const http::Request& request = exchange.request;
    if (request.query == "throw") throw std::runtime_error("handler");
    if (request.query == "slow") {
      auto slept = co_await io::sleep_for(exchange.loop(), 5s, exchange.server.token);
      std::ignore = slept;
    }
    exchange.remove_hidden_fields();
    std::string text = reply_;
    text.append(request.method_text).append(" ").append(request.path);
    if (request.has_query) text.append("?").append(request.query);
    text += '\n';
    for (const http::Field& field : request.fields)
      text.append(field.name).append(": ").append(field.value).append("\n");
    if (exchange.identity) text.append("caller=").append(exchange.identity->consumer).append("\n");
    for (const std::string& name : exchange.plan->parameters)
      text.append(name).append("=").append(exchange.parameter(name)).append("\n");
    while (exchange.request_body) {
      auto chunk = co_await exchange.request_body->read();
      if (!chunk) {
        std::ignore = exchange.refuse({chunk.error().status, chunk.error().code, chunk.error().detail});
        co_await exchange.respond();
        co_return;
      }
      text.append(chunk->bytes);
      if (chunk->end) break;
    }
    exchange.response.status = 200;
    exchange.response.body = http::BodyLength::known(text.size());
    exchange.response_body = http::Body::of(text);
    co_await exchange.respond();
  }

 private:
  std::string reply_;
};

/// An EchoHandler for every route. One with `respond` puts that body before its answer, so that a changed
/// route can be told from the one before.
class EchoHandlers final : public HandlerTypes {
 public:
  std::expected<std::unique_ptr<const Handler>, std::string> build(const RouteAction& action) const override {
    std::string reply;
    if (action.route && action.route->respond) reply = action.route->respond->body;
    if (reply == "refuse") return std::unexpected("this action is refused");
    return std::make_unique<EchoHandler>(reply);
  }
};

/// No policies at all.
class NoPolicies final : public PolicyTypes {
 public:
  const config::StructBase* find(std::string_view) const override { return nullptr; }
  std::span<const std::string_view> names() const override { return {}; }
  const PolicyType* type(std::string_view) const override { return nullptr; }
};

/// Takes the access log's blocks at once.
class MemoryLog final : public telemetry::LogChannel {
 public:
  explicit MemoryLog(std::string& text) : text_(text) {}
  telemetry::LogBlock* take() override {
    block_.used = 0;
    block_.lines = 0;
    return &block_;
  }
  void give(telemetry::LogBlock* block) override { text_.append(block->text()); }

 private:
  std::string& text_;
  telemetry::LogBlock block_;
};

/// Workers, each on a loop of its own, that serve a configuration; a loop for clients, one for upstreams.
/// Documents begin behind `kPrelude`.
class GatewayTest : public ::testing::Test {
 public:
  static constexpr std::string_view kPrelude =
      "version: 1\n"
      "gateway: { listen: [ { name: plain, address: 127.0.0.1:80 } ], trusted_proxies: [10.0.0.0/8] }\n"
      "upstreams: { any: { targets: [ http://127.0.0.1:9000 ] } }\n";

  GatewayTest(const PolicyTypes& policies, const HandlerTypes& handlers, size_t workers = 1)
      : policies_(policies), compiler(services, policies, handlers), worker_count_(workers) {}

  ~GatewayTest() override {
    for (auto& worker : workers) {
      worker->drain();
      worker->cancel_all(io::CancelReason::kShed);
      ends_.spawn(join(*worker));
    }
    world.run_until([this] { return ends_.active() == 0 && services.quotas.is_idle(); });
    EXPECT_EQ(ends_.active(), 0u);
  }

  /// Null when the document is refused; `problems` says why: "line:column rule: message" each, counted
  /// from the document's first line.
  std::unique_ptr<Compiled> compile(std::string_view document) {
    std::string text(kPrelude);
    auto lines = static_cast<uint32_t>(std::count(kPrelude.begin(), kPrelude.end(), '\n'));
    if (document.starts_with("version:")) {
      text.clear();
      lines = 0;
    }
    auto loaded =
        config::load_text(text.append(document), {.catalog = &policies_, .environment = environment});
    std::unique_ptr<Compiled> compiled;
    if (loaded.ok()) compiled = compiler.compile(loaded.document, snapshot, loaded.diagnostics);
    problems.clear();
    loaded.diagnostics.sort();
    for (const config::Problem& problem : loaded.diagnostics.problems())
      problems += std::to_string(problem.at.line - lines) + ":" + std::to_string(problem.at.column) + " " +
                  problem.rule + ": " + problem.message + "\n";
    return compiled;
  }

  /// Serves the document.
  void start(std::string_view document) {
    auto compiled = compile(document);
    ASSERT_TRUE(compiled) << problems;
    open_state(*compiled);
    apply_credentials(*compiled);
    snapshot = compiled->change.next;
    for (size_t i = 0; i < worker_count_; ++i) {
      io::SimLoop& loop = world.add_loop();
      telemetry::WorkerMetrics& metrics = services.registry.attach();
      auto log = std::make_unique<telemetry::AccessLog>(std::make_unique<MemoryLog>(log_text_),
                                                        telemetry::LogFormat::kJson, metrics,
                                                        services.metrics.log_dropped());
      workers.push_back(std::make_unique<Worker>(loop, services, std::move(log), metrics, snapshot));
      auto listening = workers.back()->listen();
      ASSERT_TRUE(listening) << listening.error();
    }
  }
  /// Replaces the configuration as a reload does.
  void reload(std::string_view document) {
    auto compiled = compile(document);
    ASSERT_TRUE(compiled) << problems;
    open_state(*compiled);
    apply_credentials(*compiled);
    snapshot = compiled->change.next;
    for (auto& worker : workers) {
      worker->publish(compiled->change);
      auto listening = worker->listen();
      ASSERT_TRUE(listening) << listening.error();
    }
  }

  /// Asks on a connection of its own.
  Answer ask(std::string text) {
    bool head = text.starts_with("HEAD ");
    Client client(world, client_loop, address);
    return client.ask(std::move(text), head);
  }
  /// `fields` are whole lines, each with its line end.
  Answer get(std::string_view target, std::string_view fields = {}) {
    return ask(request("GET", target, fields));
  }
  static std::string request(std::string_view method, std::string_view target, std::string_view fields = {}) {
    std::string text;
    text.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: a.test\r\n");
    return text.append(fields).append("\r\n");
  }

  /// The value of a series, with its labels; empty when it is not shown.
  std::string metric(std::string_view series) {
    std::string text = "\n" + services.registry.scrape();
    std::string line = "\n" + std::string(series) + " ";
    size_t at = text.find(line);
    if (at == std::string::npos) return {};
    at += line.size();
    return text.substr(at, text.find('\n', at) - at);
  }
  /// The access log's text; a second passes, so that all of it is there.
  std::string access_log() {
    world.run_for(telemetry::AccessLog::kFlushInterval);
    return log_text_;
  }

 private:
  const PolicyTypes& policies_;
  std::string log_text_;

 public:
  io::SimWorld world;
  io::SimLoop& client_loop = world.add_loop();
  io::SimLoop& upstream_loop = world.add_loop();
  io::SimOffload offload{world, 64};
  io::Address address = io::Address::loopback(80);
  Services services{std::array<std::byte, 32>{}, 7};
  Compiler compiler;
  std::shared_ptr<const Snapshot> snapshot;
  std::string problems;      // of the last document
  std::string state_folder;  // empty: in memory
  config::Environment environment = config::Environment::empty();
  std::vector<std::unique_ptr<Worker>> workers;

 private:
  static io::Task<> join(Worker& worker) { co_await worker.join(); }
  void open_state(const Compiled& compiled) {
    services.quotas.write_on(client_loop, offload);
    auto opened =
        compiled.needs_state ? services.quotas.open(state_folder) : std::expected<void, std::string>();
    ASSERT_TRUE(opened) << opened.error();
  }
  void apply_credentials(Compiled& compiled) {
    services.credentials.replace_all(std::move(compiled.credentials.consumers), compiled.credentials.entries);
  }

  size_t worker_count_;
  io::TaskScope ends_;
};

}  // namespace sluice::gateway::testing
