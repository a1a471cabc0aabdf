// Fair accept: a flood of connections on one listener takes no more than its share of a loop.
#include "http/plain_acceptor.h"

#include <map>

#include "http/h1/server_fixture.h"

namespace sluice::http::testing {
namespace {

constexpr int kFlood = 2000;

using h1::testing::RawClient;

/// Answers with 204; notes how many connections of each listener had come by then.
class CountingHandler final : public RequestHandler {
 public:
  const Limits& limits() const override { return limits_; }
  const ServerTimeouts& timeouts() const override { return timeouts_; }
  std::string_view date() override { return "Thu, 01 Jan 2026 00:00:00 GMT"; }
  io::Task<void> handle(ServerExchange& exchange) override {
    came_before = came[0];
    Response response(exchange.arena);
    response.status = 204;
    co_await exchange.send(response, Body::none(), {});
  }
  void count_connections(uint16_t listener, int open, int) override { came[listener] += open > 0 ? 1 : 0; }
  bool admit(const io::Address&) override { return ++asked <= most; }
  void release(const io::Address&) override { ++released; }

  std::map<uint16_t, int> came;
  int came_before = -1;
  int asked = 0;
  int most = 1 << 30;
  int released = 0;

 private:
  Limits limits_;
  ServerTimeouts timeouts_;
};

class PlainAcceptorTest : public ::testing::Test {
 protected:
  PlainAcceptorTest() {
    for (uint16_t i = 0; i < 2; ++i) {
      listeners_[i]->bind(token_);
      acceptors_[i] = std::make_unique<PlainAcceptor>(loop, handler, i, connections_, scope_);
      scope_.spawn(io::accept_connections(loop, *listeners_[i], *acceptors_[i], token_));
    }
  }
  ~PlainAcceptorTest() override {
    token_.cancel(io::CancelReason::kDrain);
    clients_token_.cancel(io::CancelReason::kShed);
    world.run();
    connections_.for_each([](Connection& each) { each.cancel(io::CancelReason::kShed); });
    world.run();
    EXPECT_EQ(scope_.active(), 0u);
    EXPECT_EQ(clients_.active(), 0u);
  }

  /// All connect at once; no loop has had a turn when it returns.
  void flood() {
    for (int i = 0; i < kFlood; ++i) clients_.spawn(connect_and_wait());
  }

  io::SimWorld world;
  io::SimLoop& loop = world.add_loop();
  io::SimLoop& client_loop = world.add_loop();
  io::Address flooded = io::Address::loopback(80);
  io::Address other = io::Address::loopback(81);
  CountingHandler handler;
  int refused = 0;

 private:
  io::Task<> connect_and_wait() {
    auto stream = co_await client_loop.connect(flooded, clients_token_);
    if (!stream) co_return;
    (*stream)->bind(clients_token_);
    auto lease = co_await (*stream)->read();
    refused += !lease && lease.error().code == io::ErrorCode::kReset ? 1 : 0;
  }

  std::unique_ptr<io::Listener> listeners_[2] = {std::move(*loop.listen(flooded, {})),
                                                 std::move(*loop.listen(other, {}))};
  std::unique_ptr<PlainAcceptor> acceptors_[2];
  Connections connections_;
  io::CancelToken token_;
  io::CancelToken clients_token_;
  io::TaskScope scope_;
  io::TaskScope clients_;
};

TEST_F(PlainAcceptorTest, AFloodOnOneListenerDoesNotKeepAnotherWaiting) {
  flood();
  RawClient client(world, client_loop, other);
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  world.run_until([&] { return handler.came_before >= 0; });
  EXPECT_LT(handler.came_before, 200);
  world.run_until([&] { return handler.came[0] == kFlood; });
  EXPECT_EQ(handler.came[0], kFlood);
}

TEST_F(PlainAcceptorTest, AFloodDoesNotKeepConnectionsThatStandWaiting) {
  RawClient client(world, client_loop, flooded);
  world.run_until([&] { return handler.came[0] == 1; });
  flood();
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  world.run_until([&] { return handler.came_before >= 0; });
  EXPECT_LT(handler.came_before, 200);
}

TEST_F(PlainAcceptorTest, AConnectionThatIsNotAdmittedIsResetAndTheOthersGiveTheirPlaceBack) {
  handler.most = 10;
  flood();
  world.run_until([&] { return refused == kFlood - 10; });
  EXPECT_EQ(refused, kFlood - 10);
  EXPECT_EQ(handler.came[0], 10);
  EXPECT_EQ(handler.released, 0);
}

TEST_F(PlainAcceptorTest, RefusedConnectionsTakeTurnsToo) {
  handler.most = 1;
  RawClient client(world, client_loop, flooded);
  world.run_until([&] { return handler.came[0] == 1; });
  flood();
  client.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  world.run_until([&] { return handler.came_before >= 0; });
  EXPECT_LT(handler.asked, 200);
}

}  // namespace
}  // namespace sluice::http::testing
