#include "http/websocket/relay.h"

#include <gtest/gtest.h>

#include <string>

#include "io/sim/sim_world.h"
#include "io/stream_fixture.h"

namespace sluice::http::websocket {
namespace {

using namespace std::chrono_literals;
using namespace std::string_literals;

std::string frame(std::string_view payload, bool masked, Opcode opcode = Opcode::kBinary, bool fin = true) {
  FrameHead head{
      .fin = fin, .opcode = opcode, .masked = masked, .mask = {'a', 'b', 'c', 'd'}, .length = payload.size()};
  std::array<char, kMaxHeadBytes> bytes;
  std::string text(bytes.data(), write_frame_head(head, bytes));
  std::string body(payload);
  if (masked) apply_mask(body, head.mask, 0);
  return text + body;
}
std::string from_client(std::string_view payload) { return frame(payload, true); }
std::string from_server(std::string_view payload) { return frame(payload, false); }
std::string close_frame(uint16_t code, bool masked) {
  std::string payload{static_cast<char>(code >> 8), static_cast<char>(code & 0xff)};
  return frame(payload, masked, Opcode::kClose);
}

/// The code of the close frame that `bytes` ends with, 0 when there is none; the frames before it are whole.
uint16_t close_code(std::string_view bytes) {
  FrameReader reader;
  uint16_t code = 0;
  while (!bytes.empty()) {
    auto event = reader.next(bytes);
    if (event == FrameReader::Event::kHead) code = 0;
    if (event == FrameReader::Event::kPayload && reader.head().opcode == Opcode::kClose) {
      std::string payload(reader.payload());
      std::array<char, 4> mask = reader.head().masked ? reader.head().mask : std::array<char, 4>{};
      apply_mask(payload, mask, 0);
      code = static_cast<uint16_t>(static_cast<uint8_t>(payload[0]) << 8 | static_cast<uint8_t>(payload[1]));
    }
  }
  return reader.at_boundary() ? code : 0;
}

/// One end of a connection as a test plays it.
struct Player {
  std::unique_ptr<io::Stream> stream;
  std::string received;
  bool ended = false;
  bool broken = false;
};

class WebSocketRelay : public ::testing::Test {
 protected:
  explicit WebSocketRelay(const io::SimOptions& options = {}) : world(options) {}
  ~WebSocketRelay() override {
    client.stream->abort();
    upstream.stream->abort();
    players_.cancel(io::CancelReason::kShed);
    token.cancel(io::CancelReason::kShed);
    world.run();
    EXPECT_TRUE(done);
    EXPECT_EQ(scope_.active(), 0u);
  }

  void start(const RelayRules& rules = {}) {
    loop.post([this] { scope_.spawn(connect()); });
    world.run_until([this] { return client_side_ && upstream_side_; });
    relay.emplace(loop, *client_side_, *upstream_side_, token, rules);
    loop.post([this] {
      scope_.spawn(run());
      scope_.spawn(listen(client));
      scope_.spawn(listen(upstream));
    });
  }
  /// For another pair of connections.
  void restart() {
    client = {};
    upstream = {};
    done = false;
    relay.reset();
  }
  void send(Player& player, std::string text) {
    texts_.push_back(std::make_unique<std::string>(std::move(text)));
    scope_.spawn(write(player, *texts_.back()));
  }
  void wait(Duration time = 1s) { world.run_for(time); }

  io::SimWorld world;
  io::SimLoop& loop = world.add_loop();
  io::CancelToken token;
  Player client;
  Player upstream;
  std::optional<Relay> relay;
  bool done = false;
  bool reads = true;  // the players do

 private:
  io::Task<> connect() {
    auto first = co_await io::fixture::connect_pair(loop);
    auto second = co_await io::fixture::connect_pair(loop);
    client.stream = std::move(first.client);
    client_side_ = std::move(first.server);
    upstream.stream = std::move(second.server);
    upstream_side_ = std::move(second.client);
    client.stream->bind(players_);
    upstream.stream->bind(players_);
  }
  io::Task<> run() {
    co_await relay->run();
    done = true;
    client_side_.reset();
    upstream_side_.reset();
  }
  io::Task<> listen(Player& player) {
    while (!reads && !players_.cancelled()) co_await io::sleep_for(loop, 1s, players_);
    for (;;) {
      auto lease = co_await player.stream->read();
      player.broken = !lease && lease.error().code == io::ErrorCode::kReset;
      if (!lease || lease->empty()) break;
      player.received += lease->bytes();
    }
    player.ended = true;
  }
  io::Task<> write(Player& player, std::string_view text) {
    iovec piece{const_cast<char*>(text.data()), text.size()};
    co_await player.stream->write({&piece, 1});
  }

  io::CancelToken players_;
  io::TaskScope scope_;
  std::unique_ptr<io::Stream> client_side_;
  std::unique_ptr<io::Stream> upstream_side_;
  std::vector<std::unique_ptr<std::string>> texts_;
};

TEST_F(WebSocketRelay, PassesBytesWhateverTheyMean) {
  start();
  send(client, "no frame at all\xff\x88\x7f");
  send(upstream, "nor this");
  wait();
  EXPECT_EQ(upstream.received, "no frame at all\xff\x88\x7f");
  EXPECT_EQ(client.received, "nor this");
  client.stream->shutdown_write();
  wait();
  EXPECT_TRUE(upstream.ended);
  EXPECT_FALSE(done);
  send(upstream, "after the client's end");
  wait();
  upstream.stream->shutdown_write();
  wait();
  EXPECT_EQ(client.received, "nor thisafter the client's end");
  EXPECT_TRUE(client.ended);
  EXPECT_FALSE(client.broken);
  EXPECT_TRUE(done);
  EXPECT_EQ(relay->end(), RelayEnd::kClient);
}

TEST_F(WebSocketRelay, OneSideThatIsCancelledOrBreaksEndsTheOtherSoon) {
  start();
  send(upstream, from_server("last words"));
  upstream.stream->shutdown_write();
  wait();
  EXPECT_TRUE(client.ended);
  EXPECT_EQ(client.received, from_server("last words"));
  EXPECT_FALSE(done) << "the client may still have something to say";
  token.cancel(io::CancelReason::kDrain);
  wait();
  EXPECT_TRUE(done);
  EXPECT_EQ(relay->end(), RelayEnd::kUpstream);
}

// RFC 6455, section 7.1.1: once both have said goodbye the connections end.
TEST_F(WebSocketRelay, AfterBothGoodbyesNobodyIsWaitedForLong) {
  start();
  send(client, close_frame(1000, true));
  send(upstream, close_frame(1000, false));
  wait();
  EXPECT_EQ(close_code(client.received), 1000);
  EXPECT_FALSE(done);
  wait(Relay::kCloseTime);
  EXPECT_TRUE(done);
}

TEST_F(WebSocketRelay, DrainTellsBothAndEndsWhenTheyHaveAnswered) {
  start();
  send(client, from_client("hello"));
  wait();
  relay->drain();
  wait();
  EXPECT_EQ(upstream.received.substr(0, 11), from_client("hello"));
  EXPECT_EQ(close_code(upstream.received), kGoingAway);
  EXPECT_EQ(close_code(client.received), kGoingAway);
  // What comes now is too late for either.
  send(client, from_client("late") + close_frame(1001, true));
  send(upstream, from_server("late") + close_frame(1001, false));
  wait();
  EXPECT_EQ(close_code(client.received), kGoingAway);
  EXPECT_TRUE(client.ended);
  EXPECT_TRUE(upstream.ended);
  client.stream->shutdown_write();
  upstream.stream->shutdown_write();
  wait();
  EXPECT_TRUE(done);
  EXPECT_EQ(relay->end(), RelayEnd::kDrain);
}

TEST_F(WebSocketRelay, DrainWaitsForTheEndOfEachFrame) {
  start();
  std::string message = from_server("a message in two pieces");
  send(upstream, message.substr(0, 10));
  wait();
  relay->drain();
  wait(1h);
  EXPECT_EQ(client.received, message.substr(0, 10));
  EXPECT_EQ(close_code(upstream.received), kGoingAway);
  send(upstream, message.substr(10) + from_server("one too many"));
  wait();
  EXPECT_TRUE(client.received.starts_with(message));
  EXPECT_EQ(close_code(client.received), kGoingAway);
  EXPECT_EQ(client.received.find("one too many"), std::string::npos);
}

TEST_F(WebSocketRelay, IdleForTooLongIsClosedAndThenEnded) {
  RelayRules rules;
  rules.idle = 60s;
  start(rules);
  for (int i = 0; i < 10; ++i) {
    send(i % 2 == 0 ? client : upstream, frame("", i % 2 == 0, Opcode::kPing));
    wait(50s);
  }
  EXPECT_EQ(close_code(client.received), 0);
  wait(30s);
  EXPECT_EQ(close_code(client.received), kGoingAway);
  EXPECT_EQ(close_code(upstream.received), kGoingAway);
  wait(Relay::kCloseTime);
  EXPECT_TRUE(done);
  EXPECT_EQ(relay->end(), RelayEnd::kIdle);
}

TEST_F(WebSocketRelay, AgeEndsAlsoABusyOne) {
  RelayRules rules;
  rules.max_age = 60s;
  start(rules);
  for (int i = 0; i < 7; ++i) {
    send(client, from_client("busy"));
    wait(9s);
  }
  EXPECT_EQ(close_code(client.received), kGoingAway);
  EXPECT_EQ(relay->end(), RelayEnd::kMaxAge);
  wait(Relay::kCloseTime);
  EXPECT_TRUE(done);
}

TEST_F(WebSocketRelay, MessageTooBigIsRefusedBeforeAnyOfItPasses) {
  RelayRules rules;
  rules.checked = true;
  rules.of_client.max_message = 10;
  start(rules);
  send(client, from_client("0123456789") + from_client("0123456789a"));
  wait();
  EXPECT_EQ(close_code(client.received), kMessageTooBig);
  EXPECT_TRUE(upstream.received.starts_with(from_client("0123456789")));
  EXPECT_EQ(upstream.received.find('a', from_client("0123456789").size() + 20), std::string::npos);
  EXPECT_EQ(close_code(upstream.received), kGoingAway);
  send(upstream, from_server(std::string(1000, 'x')));
  wait();
  EXPECT_EQ(close_code(client.received), kMessageTooBig) << "the other way has ended too";
  wait(Relay::kCloseTime);
  EXPECT_TRUE(done);
  EXPECT_EQ(relay->end(), RelayEnd::kMessageSize);
}

// What was sound is answered; then the client hears why, instead of the upstream's own goodbye.
TEST_F(WebSocketRelay, AClientThatIsRefusedGetsTheUpstreamsLastWordsBefore) {
  for (bool answers : {true, false}) {
    RelayRules rules;
    rules.checked = true;
    rules.of_client.max_message = 5;
    start(rules);
    send(client, from_client("12345") + from_client("123456"));
    wait(100ms);
    EXPECT_EQ(close_code(upstream.received), kGoingAway);
    EXPECT_EQ(client.received, "");
    send(upstream, from_server("answer"));
    wait(100ms);
    EXPECT_EQ(client.received, from_server("answer"));
    std::string goodbye = answers ? close_frame(1001, false) : "";
    for (char byte : goodbye) send(upstream, std::string(1, byte));
    if (!answers) upstream.stream->shutdown_write();
    wait(100ms);
    EXPECT_EQ(close_code(client.received), kMessageTooBig);
    EXPECT_EQ(client.received.find("\x03\xe9"), std::string::npos) << "not the upstream's";
    EXPECT_EQ(relay->count().close_code, kMessageTooBig);
    client.stream->shutdown_write();
    upstream.stream->shutdown_write();
    wait();
    EXPECT_TRUE(done);
    if (answers) restart();
  }
}

TEST_F(WebSocketRelay, WhatIsWrongWithinAFrameCutsIt) {
  RelayRules rules;
  rules.checked = true;
  start(rules);
  std::string text = frame("good\xff and more", true, Opcode::kText);
  send(client, text.substr(0, 9));
  wait();
  send(client, text.substr(9));
  wait();
  EXPECT_EQ(close_code(client.received), kNotUtf8);
  EXPECT_EQ(upstream.received, text.substr(0, 9));
  EXPECT_TRUE(upstream.ended);
  upstream.stream->shutdown_write();
  client.stream->shutdown_write();
  wait();
  EXPECT_TRUE(done);
  EXPECT_EQ(relay->end(), RelayEnd::kProtocol);
}

TEST_F(WebSocketRelay, UpstreamIsHeldToTheRulesToo) {
  RelayRules rules;
  rules.checked = true;
  rules.of_upstream.max_message = 5;
  start(rules);
  send(upstream, from_server("12345") + from_server("123456"));
  wait();
  EXPECT_EQ(close_code(upstream.received), kMessageTooBig);
  EXPECT_TRUE(client.received.starts_with(from_server("12345")));
  EXPECT_EQ(close_code(client.received), kGoingAway);
  EXPECT_EQ(relay->end(), RelayEnd::kUpstreamMessageSize);
}

TEST_F(WebSocketRelay, WhoDoesNotReadHoldsTheOtherBack) {
  reads = false;
  start();
  std::string big = from_client(std::string(4 << 20, 'x'));
  send(client, big);
  wait();
  EXPECT_LT(client.stream->bytes_written(), 1u << 20);
  reads = true;
  wait(5s);
  EXPECT_EQ(upstream.received.size(), big.size());
}

/// The same in small pieces and with every cut.
class SplitWebSocketRelay : public WebSocketRelay {
 protected:
  SplitWebSocketRelay() : WebSocketRelay({.seed = 7, .pipe_bytes = 100, .split_transfers = true}) {}
};

TEST_F(SplitWebSocketRelay, NothingIsLostAndGoodbyesStandBetweenFrames) {
  start();
  std::string up;
  std::string down;
  for (size_t i = 0; i < 300; ++i) {
    up += from_client(std::string(i * 7 % 300, 'u'));
    down += from_server(std::string(i * 11 % 300, 'd'));
  }
  send(client, up);
  send(upstream, down);
  world.run_until([&] { return upstream.received.size() > up.size() / 2; });
  relay->drain();
  world.run_until([&] { return close_code(upstream.received) && close_code(client.received); });
  EXPECT_EQ(close_code(upstream.received), kGoingAway);
  EXPECT_EQ(close_code(client.received), kGoingAway);
  EXPECT_TRUE(up.starts_with(upstream.received.substr(0, upstream.received.size() - 20)));
}

TEST_F(SplitWebSocketRelay, CheckedItIsTheSame) {
  RelayRules rules;
  rules.checked = true;
  start(rules);
  std::string up;
  for (size_t i = 0; i < 300; ++i) up += from_client(std::string(i * 7 % 300, 'u'));
  send(client, up);
  world.run_until([&] { return upstream.received.size() > up.size() / 2; });
  relay->drain();
  world.run_until([&] { return close_code(upstream.received) && close_code(client.received); });
  EXPECT_EQ(close_code(upstream.received), kGoingAway);
  EXPECT_EQ(close_code(client.received), kGoingAway);
  EXPECT_TRUE(up.starts_with(upstream.received.substr(0, upstream.received.size() - 20)));
}

}  // namespace
}  // namespace sluice::http::websocket
