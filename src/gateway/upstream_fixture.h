// For tests of what goes to upstreams: a server in a simulated world that does what the test says, connection
// by connection.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "io/scope.h"
#include "io/sim/sim_world.h"
#include "io/sleep.h"

namespace sluice::gateway::testing {

/// One accepted connection. Reads all that comes; sends and ends when told to.
class UpstreamPeer {
 public:
  enum class State { kOpen, kEnded, kReset };

  UpstreamPeer(io::SimLoop& loop, std::unique_ptr<io::Stream> stream)
      : loop_(loop), stream_(std::move(stream)) {
    stream_->bind(token_);
  }

  std::string received;
  State state = State::kOpen;  // what the gateway has done to it

  /// How many heads have come; for requests without a body.
  size_t heads() const {
    size_t count = 0;
    for (size_t at = 0; (at = received.find("\r\n\r\n", at)) != std::string::npos; at += 4) ++count;
    return count;
  }
  void send(std::string text) {
    texts_.push_back(std::move(text));
    scope_.spawn(write(texts_.back()));
  }
  void ok(std::string_view body) {
    send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body));
  }
  /// The end of what it sends; it still reads.
  void end() { stream_->shutdown_write(); }
  /// Gone in the next turn.
  void close() { token_.cancel(io::CancelReason::kShed); }
  void reset() {
    stream_->abort();
    close();
  }

 private:
  friend class ScriptedUpstream;
  io::Task<> run(const std::function<void(UpstreamPeer&)>& on_input, bool reads) {
    while (reads) {
      auto lease = co_await stream_->read();
      if (lease && !lease->empty()) {
        received.append(lease->bytes());
        lease->consume(lease->size());
        if (on_input) on_input(*this);
        continue;
      }
      if (lease)
        state = State::kEnded;
      else if (lease.error().code == io::ErrorCode::kReset)
        state = State::kReset;
      break;
    }
    auto slept = co_await io::sleep_until(loop_, kNever, token_);
    std::ignore = slept;
    while (scope_.active() > 0) co_await loop_.yield();
    stream_.reset();
  }
  io::Task<> write(std::string_view text) {
    iovec piece{const_cast<char*>(text.data()), text.size()};
    co_await stream_->write({&piece, 1});
  }

  io::SimLoop& loop_;
  std::unique_ptr<io::Stream> stream_;
  io::CancelToken token_;
  io::TaskScope scope_;
  std::deque<std::string> texts_;
};

/// Listens from its constructor to its destructor, or until `stop`.
class ScriptedUpstream {
 public:
  using OnInput = std::function<void(UpstreamPeer&)>;

  /// `on_input` is told whenever a connection has received something.
  ScriptedUpstream(io::SimWorld& world, io::SimLoop& loop, io::Address address, OnInput on_input = {},
                   bool reads = true)
      : world_(world), loop_(loop), on_input_(std::move(on_input)), reads_(reads) {
    auto listener = loop.listen(address, {});
    EXPECT_TRUE(listener);
    listener_ = std::move(*listener);
    listener_->bind(accepting_);
    scope_.spawn(accept_all());
  }
  ~ScriptedUpstream() {
    stop();
    for (auto& peer : peers_) peer->close();
    world_.run_until([this] { return scope_.active() == 0; });
    EXPECT_EQ(scope_.active(), 0u);
  }
  /// Connections are refused from now on.
  void stop() {
    accepting_.cancel(io::CancelReason::kDrain);
    world_.run_until([this] { return !listener_; });
  }

  size_t connections() const { return peers_.size(); }
  UpstreamPeer& peer(size_t number) { return *peers_.at(number); }
  size_t requests() const {
    size_t count = 0;
    for (const auto& peer : peers_) count += peer->heads();
    return count;
  }
  /// Until so many connections have been accepted.
  [[nodiscard]] bool await_connections(size_t count) {
    return world_.run_until([&] { return peers_.size() >= count; });
  }
  /// Until so many heads have come on one of them.
  [[nodiscard]] bool await_heads(size_t number, size_t count) {
    return world_.run_until([&] { return peers_.size() > number && peers_[number]->heads() >= count; });
  }

  /// An upstream that says 200 to every request without a body, with `body`.
  static OnInput answering(std::string body) {
    return [body](UpstreamPeer& peer) {
      if (peer.received.ends_with("\r\n\r\n")) peer.ok(body);
    };
  }

 private:
  io::Task<> accept_all() {
    for (;;) {
      auto stream = co_await listener_->accept();
      if (!stream) break;
      peers_.push_back(std::make_unique<UpstreamPeer>(loop_, std::move(*stream)));
      scope_.spawn(peers_.back()->run(on_input_, reads_));
    }
    listener_.reset();
  }

  io::SimWorld& world_;
  io::SimLoop& loop_;
  OnInput on_input_;
  bool reads_;
  io::CancelToken accepting_;
  std::unique_ptr<io::Listener> listener_;
  std::vector<std::unique_ptr<UpstreamPeer>> peers_;
  io::TaskScope scope_;
};

}  // namespace sluice::gateway::testing
