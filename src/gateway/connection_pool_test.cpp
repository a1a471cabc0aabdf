#include "gateway/connection_pool.h"

#include "gateway/upstream_fixture.h"
#include "telemetry/families.h"

namespace sluice::gateway::testing {
namespace {

using namespace std::chrono_literals;

class ConnectionPoolTest : public ::testing::Test {
 protected:
  ~ConnectionPoolTest() override {
    pool_.close_idle();
    world_.run_until([this] { return scope_.active() == 0; });
  }

  static config::Upstream configured() {
    config::Upstream upstream;
    upstream.timeouts.idle = 60s;
    return upstream;
  }
  static config::TargetUrl url(std::string host, uint16_t port) {
    config::TargetUrl out;
    out.host = std::move(host);
    out.port = port;
    return out;
  }

  struct Connecting {
    io::CancelToken token;
    std::optional<io::Result<UpstreamConnection*>> result;
  };
  io::Task<> start(ConnectionPool& pool, Duration timeout, Connecting& connecting) {
    auto connected = co_await pool.connect(connecting.token, timeout);
    connecting.result = connected;
  }
  io::Result<UpstreamConnection*> connect(ConnectionPool& pool, Duration timeout = 1s) {
    Connecting connecting;
    scope_.spawn(start(pool, timeout, connecting));
    world_.run_until([&] { return connecting.result.has_value(); });
    return *connecting.result;
  }
  UpstreamConnection* connected(ConnectionPool& pool) {
    auto connection = connect(pool);
    EXPECT_TRUE(connection);
    return connection ? *connection : nullptr;
  }
  std::string gauge(std::string_view state) {
    std::string text = registry_.scrape();
    std::string series = "sluice_upstream_connections{upstream=\"u\",state=\"" + std::string(state) + "\"} ";
    size_t at = text.find(series);
    if (at == std::string::npos) return "absent";
    return text.substr(at + series.size(), text.find('\n', at) - at - series.size());
  }

  io::SimWorld world_;
  io::SimLoop& loop_ = world_.add_loop();
  io::SimLoop& upstream_loop_ = world_.add_loop();
  telemetry::Registry registry_;
  telemetry::Families families_{registry_};
  telemetry::WorkerMetrics& metrics_ = registry_.attach();
  TargetRegistry targets_;
  Upstream upstream_{"u", configured(), {}, families_.upstream("u")};
  std::shared_ptr<TargetIdentity> target_ = targets_.find_or_make("u", url("127.0.0.1", 9000));
  telemetry::NamedCounters limit_hits_ = families_.limit_hits();
  io::TaskScope connections_;
  SharedConnections::Environment environment_{loop_, metrics_, limit_hits_, connections_};
  ConnectionPool pool_{environment_, target_, upstream_};
  io::Address address_ = io::Address::loopback(9000);
  io::TaskScope scope_;
};

TEST_F(ConnectionPoolTest, GivesTheConnectionThatWasUsedLast) {
  ScriptedUpstream server(world_, upstream_loop_, address_);
  EXPECT_EQ(pool_.take_idle(), nullptr);
  UpstreamConnection* first = connected(pool_);
  UpstreamConnection* second = connected(pool_);
  EXPECT_FALSE(first->reused());
  EXPECT_EQ(pool_.lent(), 2u);
  pool_.give_back(first, true);
  pool_.give_back(second, true);
  EXPECT_EQ(pool_.lent(), 0u);
  EXPECT_EQ(pool_.idle(), 2u);
  EXPECT_EQ(gauge("idle"), "2");
  EXPECT_EQ(pool_.take_idle(), second);
  EXPECT_TRUE(second->reused());
  EXPECT_EQ(pool_.take_idle(), first);
  EXPECT_EQ(pool_.take_idle(), nullptr);
  EXPECT_EQ(gauge("idle"), "0");
  EXPECT_EQ(gauge("active"), "2");
  pool_.give_back(first, true);
  pool_.give_back(second, false);
  EXPECT_EQ(pool_.idle(), 1u) << "one that is not to be used again is closed";
  world_.run_for(1ms);
  EXPECT_EQ(server.peer(1).state, UpstreamPeer::State::kEnded);
  EXPECT_EQ(server.peer(0).state, UpstreamPeer::State::kOpen);
  EXPECT_EQ(gauge("active"), "0");
}

TEST_F(ConnectionPoolTest, ClosesWhatIsIdleForTooLong) {
  ScriptedUpstream server(world_, upstream_loop_, address_);
  UpstreamConnection* first = connected(pool_);
  UpstreamConnection* second = connected(pool_);
  pool_.give_back(first, true);
  world_.run_for(30s);
  pool_.give_back(second, true);
  world_.run_for(29s);
  EXPECT_EQ(pool_.idle(), 2u);
  world_.run_for(1s);
  EXPECT_EQ(pool_.idle(), 1u) << "the first, after 60 s";
  EXPECT_EQ(server.peer(0).state, UpstreamPeer::State::kEnded);
  world_.run_for(29s);
  EXPECT_EQ(pool_.idle(), 1u);
  world_.run_for(1s);
  EXPECT_EQ(pool_.idle(), 0u);
}

TEST_F(ConnectionPoolTest, UseBeginsTheIdleTimeAnew) {
  ScriptedUpstream server(world_, upstream_loop_, address_);
  pool_.give_back(connected(pool_), true);
  world_.run_for(59s);
  UpstreamConnection* connection = pool_.take_idle();
  ASSERT_TRUE(connection);
  pool_.give_back(connection, true);
  world_.run_for(59s);
  EXPECT_EQ(pool_.idle(), 1u);
  world_.run_for(1s);
  EXPECT_EQ(pool_.idle(), 0u);
}

TEST_F(ConnectionPoolTest, AnIdleTimeOfZeroKeepsNothing) {
  ScriptedUpstream server(world_, upstream_loop_, address_);
  pool_.set_idle_time(Duration::zero());
  pool_.give_back(connected(pool_), true);
  EXPECT_EQ(pool_.idle(), 0u);
}

TEST_F(ConnectionPoolTest, DropsWhatTheTargetEndsOrDisturbs) {
  ScriptedUpstream server(world_, upstream_loop_, address_);
  using Action = std::function<void(UpstreamPeer&)>;
  const std::vector<std::pair<std::string, Action>> actions{
      {"closes", [](UpstreamPeer& peer) { peer.close(); }},
      {"resets", [](UpstreamPeer& peer) { peer.reset(); }},
      {"ends its side", [](UpstreamPeer& peer) { peer.end(); }},
      {"sends what nobody asked for", [](UpstreamPeer& peer) { peer.ok("408"); }}};
  for (size_t i = 0; i < actions.size(); ++i) {
    pool_.give_back(connected(pool_), true);
    world_.run_for(1ms);
    ASSERT_EQ(pool_.idle(), 1u) << actions[i].first;
    actions[i].second(server.peer(i));
    world_.run_for(1ms);
    EXPECT_EQ(pool_.idle(), 0u) << actions[i].first;
    EXPECT_EQ(gauge("idle"), "0") << actions[i].first;
  }
}

TEST_F(ConnectionPoolTest, DoesNotKeepWhatTheTargetHasEndedBefore) {
  ScriptedUpstream server(world_, upstream_loop_, address_);
  UpstreamConnection* connection = connected(pool_);
  ASSERT_TRUE(server.await_connections(1));
  server.peer(0).end();
  world_.run_for(1ms);
  pool_.give_back(connection, true);
  EXPECT_EQ(pool_.idle(), 0u);
}

TEST_F(ConnectionPoolTest, ATargetWithoutAddressesIsUnresolved) {
  auto name = targets_.find_or_make("u", url("backend.test", 9000));
  ConnectionPool pool(environment_, name, upstream_);
  auto connection = connect(pool);
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().code, io::ErrorCode::kUnresolved);
  name->publish(std::make_unique<TargetIdentity::Addresses>());
  connection = connect(pool);
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().code, io::ErrorCode::kUnresolved);
}

TEST_F(ConnectionPoolTest, TakesTheAddressesOfANameInTurn) {
  auto name = targets_.find_or_make("u", url("backend.test", 9000));
  io::Address one = *io::Address::parse("10.0.0.1:9000");
  io::Address two = *io::Address::parse("10.0.0.2:9000");
  name->publish(std::make_unique<TargetIdentity::Addresses>(TargetIdentity::Addresses{one, two}));
  ConnectionPool pool(environment_, name, upstream_);
  ScriptedUpstream first(world_, upstream_loop_, one);
  {
    ScriptedUpstream second(world_, upstream_loop_, two);
    for (int i = 0; i < 4; ++i) pool.give_back(connected(pool), false);
    world_.run_for(1ms);
    EXPECT_EQ(first.connections(), 2u);
    EXPECT_EQ(second.connections(), 2u);
  }
  for (int i = 0; i < 4; ++i) pool.give_back(connected(pool), false);
  world_.run_for(1ms);
  EXPECT_EQ(first.connections(), 6u) << "a refused address is passed over";
}

TEST_F(ConnectionPoolTest, EveryAddressHasItsOwnTime) {
  auto name = targets_.find_or_make("u", url("backend.test", 9000));
  io::Address one = *io::Address::parse("10.0.0.1:9000");
  io::Address two = *io::Address::parse("10.0.0.2:9000");
  name->publish(std::make_unique<TargetIdentity::Addresses>(TargetIdentity::Addresses{one, two}));
  ConnectionPool pool(environment_, name, upstream_);
  world_.swallow(one);
  world_.swallow(two);
  Instant began = world_.now();
  auto connection = connect(pool, 300ms);
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().code, io::ErrorCode::kTimedOut);
  EXPECT_EQ(world_.now() - began, 600ms);
  EXPECT_EQ(gauge("connecting"), "0");
}

TEST_F(ConnectionPoolTest, TheLastAddressSaysWhy) {
  auto connection = connect(pool_);
  ASSERT_FALSE(connection);
  EXPECT_EQ(connection.error().code, io::ErrorCode::kRefused);
  EXPECT_EQ(pool_.lent(), 0u);
}

TEST_F(ConnectionPoolTest, CancellingEndsTheAttempt) {
  world_.swallow(address_);
  Connecting connecting;
  scope_.spawn(start(pool_, 10s, connecting));
  world_.run_for(1s);
  EXPECT_EQ(gauge("connecting"), "1");
  connecting.token.cancel(io::CancelReason::kClientGone);
  world_.run_for(1ms);
  ASSERT_TRUE(connecting.result && !*connecting.result);
  EXPECT_EQ(connecting.result->error().code, io::ErrorCode::kCancelled);
  EXPECT_EQ(gauge("connecting"), "0");
}

TEST_F(ConnectionPoolTest, PoolsGoWithTheirTargets) {
  ScriptedUpstream server(world_, upstream_loop_, *io::Address::parse("10.0.0.1:9000"));
  ConnectionPools pools(loop_, metrics_, limit_hits_);
  Target target{
      .identity = targets_.find_or_make("u", url("10.0.0.1", 9000)), .authority = {}, .base_path = {}};
  ConnectionPool& pool = pools.of(target, upstream_);
  EXPECT_EQ(&pools.of(target, upstream_), &pool);
  UpstreamConnection* connection = connected(pool);
  pools.forget_unused();
  EXPECT_EQ(pool.lent(), 1u) << "the configuration still names it";
  target.identity.reset();
  pools.forget_unused();
  EXPECT_EQ(pool.lent(), 1u) << "it is in use";
  pool.give_back(connection, true);
  world_.run_for(1ms);
  ASSERT_EQ(server.peer(0).state, UpstreamPeer::State::kOpen);
  pools.forget_unused();
  world_.run_for(1ms);
  EXPECT_EQ(server.peer(0).state, UpstreamPeer::State::kEnded);
}

TEST_F(ConnectionPoolTest, PoolsOfSeveralWorkersDoNotKeepEachOther) {
  ConnectionPools one(loop_, metrics_, limit_hits_);
  ConnectionPools other(loop_, metrics_, limit_hits_);
  Target target{
      .identity = targets_.find_or_make("u", url("10.0.0.1", 9000)), .authority = {}, .base_path = {}};
  std::weak_ptr<TargetIdentity> identity = target.identity;
  one.of(target, upstream_);
  other.of(target, upstream_);
  target.identity.reset();
  one.forget_unused();
  EXPECT_FALSE(identity.expired()) << "the other worker has not looked yet";
  other.forget_unused();
  EXPECT_TRUE(identity.expired());
}

}  // namespace
}  // namespace sluice::gateway::testing
