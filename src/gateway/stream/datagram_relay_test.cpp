// UDP streams as clients and targets see them.
#include <gtest/gtest.h>

#include "gateway/gateway_fixture.h"

namespace sluice::gateway::testing {
namespace {

const NoPolicies kPolicies;
const EchoHandlers kHandlers;
using io::Address;
using io::Datagram;

/// A socket that keeps what comes, and answers when told to.
class Peer {
 public:
  Peer(io::SimWorld& world, io::SimLoop& loop, const Address& local, std::optional<Address> remote = {})
      : world_(world),
        socket_(
            loop.open_datagrams(local, {.reuse_port = false, .waiting_bytes = 0, .remote = remote}).value()) {
    socket_->bind(token_);
    scope_.spawn(receive());
  }
  ~Peer() {
    token_.cancel(io::CancelReason::kShed);
    world_.run_until([this] { return scope_.active() == 0; });
  }

  void send(std::string_view text, const Address& to = {}) {
    Datagram datagram{.peer = to, .local = {}, .bytes = text};
    socket_->send({&datagram, 1});
  }
  std::string answer_prefix;  // not empty: every datagram is answered with it and itself
  std::vector<std::string> received;
  std::vector<Address> senders;

 private:
  io::Task<> receive() {
    for (;;) {
      auto batch = co_await socket_->receive();
      if (!batch && batch.error().code == io::ErrorCode::kCancelled) co_return;
      if (!batch) continue;
      for (const Datagram& datagram : *batch) {
        received.emplace_back(datagram.bytes);
        senders.push_back(datagram.peer);
        if (!answer_prefix.empty()) send(answer_prefix + received.back(), datagram.peer);
      }
    }
  }

  io::SimWorld& world_;
  std::unique_ptr<io::DatagramSocket> socket_;
  io::CancelToken token_;
  io::TaskScope scope_;
};

class DatagramRelayTest : public GatewayTest {
 protected:
  DatagramRelayTest() : GatewayTest(kPolicies, kHandlers) {}

  static std::string document(std::string_view stream = "", std::string_view gateway = "") {
    return "version: 1\ngateway: { listen: [ { name: dns, address: 127.0.0.1:53, protocol: udp } ]" +
           std::string(gateway) +
           " }\nupstreams: { d: { targets: [ udp://127.0.0.1:9001, udp://127.0.0.1:9002 ] } }\n"
           "streams: { s: { listener: dns, upstream: d, timeouts: { idle: 10s }" +
           std::string(stream) + " } }\n";
  }
  Peer target(uint16_t port) { return Peer(world, upstream_loop, Address::loopback(port)); }
  Peer client() { return Peer(world, client_loop, Address::loopback(0), Address::loopback(53)); }
  void settle() { world.run_for(100ms); }
  std::string sessions() { return metric("sluice_connections{listener=\"dns\",state=\"active\"}"); }
  std::string fate(std::string_view which) {
    return metric("sluice_stream_datagrams_total{stream=\"s\",fate=\"" + std::string(which) + "\"}");
  }
};

TEST_F(DatagramRelayTest, EachClientIsASessionWithOneTarget) {
  Peer first = target(9001);
  Peer second = target(9002);
  first.answer_prefix = "1:";
  second.answer_prefix = "2:";
  start(document());
  Peer a = client();
  Peer b = client();
  for (int i = 0; i < 3; ++i) {
    a.send("a");
    b.send("b");
    settle();
  }
  EXPECT_EQ(a.received, (std::vector<std::string>{"1:a", "1:a", "1:a"}));
  EXPECT_EQ(b.received, (std::vector<std::string>{"2:b", "2:b", "2:b"}));
  EXPECT_EQ(first.senders[0], first.senders[2]) << "the session's own socket";
  EXPECT_EQ(sessions(), "2");
  EXPECT_EQ(fate("from_client"), "6");
  EXPECT_EQ(fate("to_client"), "6");
  EXPECT_EQ(metric("sluice_stream_bytes_total{stream=\"s\",direction=\"to_client\"}"), "18");
}

TEST_F(DatagramRelayTest, ASilentSessionEndsAndIsLogged) {
  Peer first = target(9001);
  start(document());
  Peer a = client();
  a.send("hello");
  for (int i = 0; i < 4; ++i) {  // an answer keeps it too
    world.run_for(6s);
    EXPECT_EQ(sessions(), "1");
    first.send("!", first.senders[0]);
  }
  world.run_for(11s);
  EXPECT_EQ(sessions(), "0");
  EXPECT_EQ(services.connections.total(), 0u);
  EXPECT_EQ(metric("sluice_stream_sessions_total{stream=\"s\",result=\"idle\"}"), "1");
  std::string log = access_log();
  EXPECT_NE(
      log.find("\"protocol\":\"udp\",\"stream\":\"s\",\"upstream\":\"d\",\"target\":\"127.0.0.1:9001\""),
      std::string::npos)
      << log;
  EXPECT_NE(log.find("\"request_bytes\":5,\"response_bytes\":4"), std::string::npos) << log;
}

TEST_F(DatagramRelayTest, AnswersMayEndASession) {
  Peer first = target(9001);
  first.answer_prefix = "=";
  start(document(", limits: { responses: 1 }"));
  Peer a = client();
  a.send("q");
  settle();
  EXPECT_EQ(a.received, (std::vector<std::string>{"=q"}));
  EXPECT_EQ(sessions(), "0");
  EXPECT_EQ(metric("sluice_stream_sessions_total{stream=\"s\",result=\"complete\"}"), "1");
}

TEST_F(DatagramRelayTest, SessionsAreLimitedInAllAndByAddress) {
  Peer first = target(9001);
  Peer second = target(9002);
  start(document(", limits: { sessions: 2 }"));
  Peer a = client();
  Peer b = client();
  Peer c = client();
  for (Peer* peer : {&a, &b, &c}) {
    peer->send("x");
    settle();
  }
  EXPECT_EQ(sessions(), "2");
  EXPECT_EQ(fate("dropped"), "1");
  EXPECT_EQ(metric("sluice_limit_hits_total{limit=\"stream_sessions\"}"), "1");
  world.run_for(30s);
  c.send("x");
  settle();
  EXPECT_EQ(sessions(), "1") << "there is room again";
}

TEST_F(DatagramRelayTest, TheGatewaysLimitsCountSessions) {
  Peer first = target(9001);
  Peer second = target(9002);
  start(document("", ", limits: { connections_per_address: 1 }"));
  Peer a = client();
  Peer b = client();
  a.send("x");
  b.send("x");
  settle();
  EXPECT_EQ(sessions(), "1");
  EXPECT_EQ(metric("sluice_limit_hits_total{limit=\"connections_per_address\"}"), "1");
}

TEST_F(DatagramRelayTest, LargerDatagramsThanAllowedAreDropped) {
  Peer first = target(9001);
  start(document(", limits: { datagram: 4 }"));
  Peer a = client();
  a.send("12345");
  a.send("1234");
  settle();
  EXPECT_EQ(first.received, (std::vector<std::string>{"1234"}));
  EXPECT_EQ(fate("dropped"), "1");
}

TEST_F(DatagramRelayTest, ATargetThatDoesNotListenIsLeftForTheNext) {
  Peer second = target(9002);
  start(document());
  Peer a = client();
  a.send("1");
  settle();
  a.send("2");
  settle();
  EXPECT_EQ(second.received, (std::vector<std::string>{"2"}));
  EXPECT_EQ(metric("sluice_stream_sessions_total{stream=\"s\",result=\"server_failed\"}"), "1");
  EXPECT_EQ(metric("sluice_upstream_requests_total{upstream=\"d\",result=\"connect_failure\"}"), "1");
}

TEST_F(DatagramRelayTest, ADrainTakesNoNewClientsAndEndsSilentOnes) {
  Peer first = target(9001);
  first.answer_prefix = "=";
  start(document());
  Peer a = client();
  a.send("1");
  settle();
  workers[0]->drain();
  Peer b = client();
  a.send("2");
  b.send("new");
  settle();
  EXPECT_EQ(a.received, (std::vector<std::string>{"=1", "=2"}));
  EXPECT_TRUE(b.received.empty());
  world.run_for(3s);
  EXPECT_EQ(sessions(), "0");
}

// A successor reads what clients send from now on; what targets still send is passed on here.
TEST_F(DatagramRelayTest, AfterAHandoverNothingIsReceivedFromClients) {
  Peer first = target(9001);
  first.answer_prefix = "=";
  start(document());
  Peer a = client();
  a.send("1");
  settle();
  workers[0]->drain(io::CancelReason::kHandedOver);
  a.send("2");
  settle();
  EXPECT_EQ(a.received, (std::vector<std::string>{"=1"}));
  EXPECT_EQ(sessions(), "1");
  world.run_for(3s);
  EXPECT_EQ(sessions(), "0");
}

TEST_F(DatagramRelayTest, AReloadHoldsForNewSessions) {
  Peer first = target(9001);
  Peer third = target(9003);
  start(document());
  Peer a = client();
  a.send("1");
  settle();
  std::string changed = document();
  changed.replace(changed.find("9001"), 4, "9003");
  changed.replace(changed.find("9002"), 4, "9003");
  reload(changed);
  Peer b = client();
  a.send("2");
  b.send("3");
  settle();
  EXPECT_EQ(first.received, (std::vector<std::string>{"1", "2"}));
  EXPECT_EQ(third.received, (std::vector<std::string>{"3"}));
}

}  // namespace
}  // namespace sluice::gateway::testing
