// For tests of server connections: a handler that answers by path, and a client, in a simulated world.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "http/h1/server_connection.h"
#include "http/transfer_errors.h"
#include "io/scope.h"
#include "io/sim/sim_world.h"
#include "io/sleep.h"

namespace sluice::http::h1::testing {

using namespace std::chrono_literals;

/// A body of given pieces, each of which comes after a turn of the loop; then the end, or an error.
class PieceBody final : public BodyReader {
 public:
  PieceBody(io::Loop& loop, std::vector<std::string> pieces, bool breaks = false)
      : loop_(loop), pieces_(std::move(pieces)), breaks_(breaks) {}
  bool try_read(ChunkResult&) override { return false; }
  const Fields* trailers = nullptr;

 private:
  io::Task<ChunkResult> wait_read() override {
    co_await loop_.yield();
    if (next_ < pieces_.size()) {
      ChunkResult piece = Chunk{.bytes = pieces_[next_++]};
      co_return piece;
    }
    ChunkResult last = Chunk{.bytes = {}, .end = true, .trailers = trailers};
    if (breaks_) last = std::unexpected(kUpstreamResetError);
    co_return last;
  }

  io::Loop& loop_;
  std::vector<std::string> pieces_;
  size_t next_ = 0;
  bool breaks_;
};

/// One whose reader has a bug: a moment after the first piece it throws.
class ThrowingBody final : public BodyReader {
 public:
  ThrowingBody(io::Loop& loop, io::CancelToken& token) : loop_(loop), token_(token) {}
  bool try_read(ChunkResult& result) override {
    if (std::exchange(read_, true)) return false;
    result = Chunk{.bytes = "looks whole"};
    return true;
  }

 private:
  io::Task<ChunkResult> wait_read() override {
    co_await io::sleep_for(loop_, 10ms, token_);
    throw std::runtime_error("body");
    co_return ChunkResult();
  }
  io::Loop& loop_;
  io::CancelToken& token_;
  bool read_ = false;
};

/// Sends back what comes, until the end.
class EchoTunnel final : public Tunnel {
 public:
  EchoTunnel(io::Stream& stream, bool& ended) : stream_(stream), ended_(ended) {}
  io::Task<> run() override {
    for (;;) {
      auto lease = co_await stream_.read();
      if (!lease || lease->empty()) break;
      iovec piece{const_cast<char*>(lease->bytes().data()), lease->size()};
      co_await stream_.write({&piece, 1});
    }
    ended_ = true;
  }

 private:
  io::Stream& stream_;
  bool& ended_;
};

/// What it does depends on the path; `log` has a line for each request.
class PathHandler final : public RequestHandler {
 public:
  std::vector<std::string> log;
  std::vector<uint64_t> request_bytes;
  Limits bounds;
  ServerTimeouts times{.header = 10s, .body_progress = 10s, .keep_alive = 75s};
  bool drains = false;
  bool tunnel_ended = false;
  int open = 0;
  int active = 0;

  const Limits& limits() const override { return bounds; }
  const ServerTimeouts& timeouts() const override { return times; }
  bool draining() const override { return drains; }
  std::string_view date() override { return "Thu, 01 Jan 2026 00:00:00 GMT"; }
  void count_connections(uint16_t, int opened, int activated) override {
    open += opened;
    active += activated;
  }

  io::Task<void> handle(ServerExchange& exchange) override {
    size_t line = log.size();
    log.emplace_back();
    std::string text(exchange.request.method_text);
    text += ' ';
    text += exchange.request.path;
    Response response(exchange.arena);
    TransferWatch::Bounds sending{.interval = 1s, .sink_idle = 10s};
    SendOutcome outcome = SendOutcome::kComplete;
    std::string_view path = exchange.request.path;
    if (exchange.refused) {
      text = "refused " + std::string(exchange.refused->code);
      if (exchange.refused->status == kClientGoneError.status) {
        exchange.abandon();
      } else {
        response.status = exchange.refused->status;
        outcome = co_await exchange.send(response, Body::none(), sending);
      }
    } else if (path == "/echo" || path == "/upload") {
      std::string body;
      auto error = co_await read_all(exchange, body);
      if (error) {
        text += ' ' + std::string(error->code);
        if (exchange.timer.expired() == Phase::kUpload) text += " upload";
        response.status = error->status == 0 ? 408 : error->status;
        outcome = co_await exchange.send(response, Body::none(), sending);
      } else {
        response.body = BodyLength::known(body.size());
        outcome = co_await exchange.send(response, Body::of(body), sending);
      }
    } else if (path == "/stream" || path == "/breaks") {
      PieceBody body(exchange.loop, {"one", "three"}, path == "/breaks");
      response.body = BodyLength::unknown();
      outcome = co_await exchange.send(response, Body::of(body), sending);
    } else if (path == "/short" || path == "/long") {
      PieceBody body(exchange.loop, {"four"});
      response.body = BodyLength::known(path == "/short" ? 10 : 3);
      outcome = co_await exchange.send(response, Body::of(body), sending);
    } else if (path == "/short-bytes" || path == "/no-bytes") {
      response.body = BodyLength::known(10);
      Body body = path == "/no-bytes" ? Body::none() : Body::of("four");
      outcome = co_await exchange.send(response, body, sending);
    } else if (path == "/unknown-bytes") {
      response.body = BodyLength::unknown();
      Body body = Body::of("four");
      outcome = co_await exchange.send(response, body, sending);
    } else if (path == "/big") {
      std::string big(1 << 20, 'x');
      response.body = BodyLength::known(big.size());
      outcome = co_await exchange.send(response, Body::of(big), sending);
    } else if (path == "/informed") {
      Response hint(exchange.arena);
      hint.status = 103;
      co_await exchange.send_informational(hint);
      response.status = 204;
      outcome = co_await exchange.send(response, Body::none(), sending);
    } else if (path == "/throws-late") {
      ThrowingBody body(exchange.loop, exchange.token);
      response.body = BodyLength::unknown();
      outcome = co_await exchange.send(response, Body::of(body), sending);
    } else if (path == "/tunnel" && !exchange.upgrade.empty()) {
      text += " to " + std::string(exchange.upgrade);
      response.status = 101;
      auto* stream = co_await exchange.accept_tunnel(response);
      if (stream) exchange.tunnel = std::make_unique<EchoTunnel>(*stream, tunnel_ended);
    } else if (path == "/throws") {
      throw std::runtime_error("handler");
    } else {
      if (path == "/slow") {
        auto slept = co_await io::sleep_for(exchange.loop, 5s, exchange.token);
        if (!slept) text += " cancelled";
      }
      response.body = BodyLength::known(2);
      outcome = co_await exchange.send(response, Body::of("ok"), sending);
    }
    if (outcome == SendOutcome::kClientFailed) text += " client-failed";
    if (outcome == SendOutcome::kSourceFailed) text += " source-failed";
    log[line] = text;
    request_bytes.push_back(exchange.request_bytes());
  }

 private:
  io::Task<std::optional<Error>> read_all(ServerExchange& exchange, std::string& body) {
    std::optional<Error> failed;
    if (!exchange.request_body) co_return failed;
    TransferWatch watch({.interval = 1s, .source_idle = 10s, .source_bytes = 10}, nullptr);
    exchange.timer.watch_upload(watch);
    for (;;) {
      watch.waiting = TransferWatch::Waiting::kSource;
      auto chunk = co_await exchange.request_body->read();
      if (!chunk) {
        failed = chunk.error();
        break;
      }
      watch.source_moved += chunk->bytes.size();
      body.append(chunk->bytes);
      if (chunk->end) break;
    }
    exchange.timer.unwatch_upload();
    co_return failed;
  }
};

/// A client that sends what it is told and gathers what comes.
class RawClient {
 public:
  enum class State { kOpen, kEnded, kReset };

  RawClient(io::SimWorld& world, io::SimLoop& loop, io::Address to, bool reads = true)
      : world_(world), loop_(loop), to_(to), reads_(reads) {
    scope_.spawn(run());
    world_.run_until([this] { return stream_ || state != State::kOpen; });
  }
  ~RawClient() {
    token_.cancel(io::CancelReason::kShed);
    world_.run_until([this] { return scope_.active() == 0; });
    EXPECT_EQ(scope_.active(), 0u);
  }

  void send(std::string text) {
    texts_.push_back(std::move(text));
    scope_.spawn(write(texts_.back()));
  }
  /// For one that did not read so far.
  void read() { scope_.spawn(read_all()); }
  void end() { stream_->shutdown_write(); }
  /// Gone at once, by a reset.
  void vanish() {
    token_.cancel(io::CancelReason::kShed);
    world_.run_until([this] { return scope_.active() == 0; });
    stream_->abort();
    stream_.reset();
  }
  std::string received;
  State state = State::kOpen;
  Instant ended_at{};

 private:
  io::Task<> run() {
    auto stream = co_await loop_.connect(to_, token_);
    if (!stream) {
      state = State::kReset;
      co_return;
    }
    stream_ = std::move(*stream);
    stream_->bind(token_);
    if (reads_) co_await read_all();
  }
  io::Task<> read_all() {
    for (;;) {
      auto lease = co_await stream_->read();
      if (lease && !lease->empty()) {
        received.append(lease->bytes());
        continue;
      }
      ended_at = loop_.now();
      if (lease)
        state = State::kEnded;
      else if (lease.error().code == io::ErrorCode::kReset)
        state = State::kReset;
      break;
    }
  }
  io::Task<> write(std::string_view text) {
    if (!stream_) co_return;
    iovec piece{const_cast<char*>(text.data()), text.size()};
    co_await stream_->write({&piece, 1});
  }

  io::SimWorld& world_;
  io::SimLoop& loop_;
  io::Address to_;
  bool reads_;
  io::CancelToken token_;
  io::TaskScope scope_;
  std::deque<std::string> texts_;
  std::unique_ptr<io::Stream> stream_;
};

/// A listener whose connections are served, and room for clients.
class ServerTest : public ::testing::TestWithParam<bool> {
 protected:
  explicit ServerTest(io::SimOptions options = {}) : world(options) {
    EXPECT_TRUE(listener_);
    (*listener_)->bind(accepting_);
    scope_.spawn(accept_all());
  }
  ~ServerTest() override {
    accepting_.cancel(io::CancelReason::kDrain);
    connections.for_each([](Connection& each) { each.cancel(io::CancelReason::kShed); });
    world.run();
    EXPECT_EQ(scope_.active(), 0u);
    EXPECT_EQ(handler.open, 0);
    EXPECT_EQ(handler.active, 0);
  }

  io::SimWorld world;
  io::SimLoop& loop = world.add_loop();
  io::SimLoop& client_loop = world.add_loop();
  io::Address address = io::Address::loopback(80);
  PathHandler handler;
  Connections connections;

 private:
  io::Task<> accept_all() {
    for (;;) {
      auto stream = co_await (*listener_)->accept();
      if (!stream) break;
      scope_.spawn(serve(std::move(*stream)));
    }
  }
  io::Task<> serve(std::unique_ptr<io::Stream> stream) {
    try {
      co_await serve_connection(loop, std::move(stream), handler, 0, connections);
    } catch (const std::exception& error) {
      handler.log.push_back(std::string("threw ") + error.what());
    }
  }

  io::Result<std::unique_ptr<io::Listener>> listener_ = loop.listen(address, {});
  io::CancelToken accepting_;
  io::TaskScope scope_;
};

}  // namespace sluice::http::h1::testing
