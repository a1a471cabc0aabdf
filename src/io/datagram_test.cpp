// What DatagramSocket (io/datagram.h) keeps on every back-end.
#include "io/datagram.h"

#include <gtest/gtest.h>

#include "io/stream_fixture.h"

namespace sluice::io {
namespace {

using fixture::settle;

template <class Backend>
class DatagramContract : public ::testing::Test {
 protected:
  Backend backend_;
  Loop& loop_ = backend_.loop;
};
using Backends = testing::Types<fixture::EpollBackend, fixture::UringBackend, fixture::SimBackend>;
TYPED_TEST_SUITE(DatagramContract, Backends);

using Socket = std::unique_ptr<DatagramSocket>;

Socket open(Loop& loop, const Address& local, std::optional<Address> remote = std::nullopt) {
  return loop.open_datagrams(local, {.reuse_port = false, .waiting_bytes = 0, .remote = remote}).value();
}
size_t send(DatagramSocket& from, const Address& to, std::string_view text) {
  Datagram datagram{.peer = to, .local = {}, .bytes = text};
  return from.send({&datagram, 1});
}

Task<bool> there_and_back(Loop& loop) {
  Socket server = open(loop, Address::loopback(0));
  Socket client = open(loop, Address::loopback(0), server->address());
  EXPECT_EQ(send(*client, {}, "question"), 1u);
  auto question = co_await server->receive();
  EXPECT_TRUE(question && question->size() == 1);
  EXPECT_EQ(question->front().bytes, "question");
  Address from = question->front().peer;
  EXPECT_EQ(from.port, client->address().port);
  EXPECT_EQ(send(*server, from, "answer"), 1u);
  auto answer = co_await client->receive();
  EXPECT_TRUE(answer && answer->size() == 1);
  EXPECT_EQ(answer->front().bytes, "answer");
  co_return true;
}
TYPED_TEST(DatagramContract, TheyComeWholeWithWhoSentThem) {
  EXPECT_TRUE(this->backend_.await(there_and_back(this->loop_)));
}

Task<bool> many(Loop& loop) {
  Socket server = open(loop, Address::loopback(0));
  Socket client = open(loop, Address::loopback(0), server->address());
  constexpr size_t kCount = 3 * DatagramSocket::kBatch + 1;
  std::vector<std::string> texts;
  std::vector<Datagram> datagrams;
  for (size_t i = 0; i < kCount; ++i) texts.push_back(std::to_string(i) + std::string(i, '.'));
  for (const std::string& text : texts) datagrams.push_back({.peer = {}, .local = {}, .bytes = text});
  EXPECT_EQ(client->send(datagrams), kCount);
  co_await settle(loop);
  std::vector<std::string> seen;
  while (seen.size() < kCount) {
    auto received = co_await server->receive();
    EXPECT_TRUE(received);
    if (!received) break;
    EXPECT_LE(received->size(), DatagramSocket::kBatch);
    for (const Datagram& datagram : *received) seen.emplace_back(datagram.bytes);
  }
  EXPECT_EQ(seen, texts);
  co_return true;
}
TYPED_TEST(DatagramContract, ManyComeInBatches) { EXPECT_TRUE(this->backend_.await(many(this->loop_))); }

Task<bool> large_and_empty(Loop& loop) {
  Socket server = open(loop, Address::loopback(0));
  Socket client = open(loop, Address::loopback(0), server->address());
  std::string large(65'507, 'x');  // what IPv4 can carry
  EXPECT_EQ(send(*client, {}, large), 1u);
  EXPECT_EQ(send(*client, {}, ""), 1u);
  std::vector<size_t> sizes;
  while (sizes.size() < 2) {
    auto received = co_await server->receive();
    for (const Datagram& datagram : received.value()) sizes.push_back(datagram.bytes.size());
  }
  EXPECT_EQ(sizes, (std::vector<size_t>{65'507, 0}));
  co_return true;
}
TYPED_TEST(DatagramContract, TheLargestAndTheEmptyOneAreBoth) {
  EXPECT_TRUE(this->backend_.await(large_and_empty(this->loop_)));
}

Task<bool> any_address(Loop& loop) {
  Socket server = open(loop, {.ipv6 = false, .port = 0, .bytes = {}});
  Address to{.ipv6 = false, .port = server->address().port, .bytes = {127, 0, 0, 9}};
  Socket client = open(loop, Address::loopback(0), to);
  send(*client, {}, "question");
  auto question = co_await server->receive();
  EXPECT_EQ(question->front().local, to) << "which address it came to";
  Datagram answer{.peer = question->front().peer, .local = question->front().local, .bytes = "answer"};
  server->send({&answer, 1});
  // From any other address the client's only peer would not be heard.
  auto received = co_await client->receive();
  EXPECT_TRUE(received && received->front().bytes == "answer");
  co_return true;
}
TYPED_TEST(DatagramContract, OneForEveryAddressAnswersFromTheOneThatWasAsked) {
  EXPECT_TRUE(this->backend_.await(any_address(this->loop_)));
}

Task<bool> nobody_there(Loop& loop) {
  Socket gone = open(loop, Address::loopback(0));
  Address nobody = gone->address();
  gone.reset();
  Socket client = open(loop, Address::loopback(0), nobody);
  send(*client, {}, "hello?");
  auto received = co_await client->receive();
  EXPECT_FALSE(received);
  EXPECT_EQ(received.error().code, ErrorCode::kRefused);
  Socket server = open(loop, nobody);
  EXPECT_EQ(send(*client, {}, "hello"), 1u) << "the socket is as good as before";
  auto hello = co_await server->receive();
  EXPECT_TRUE(hello && hello->front().bytes == "hello");
  co_return true;
}
TYPED_TEST(DatagramContract, AnOnlyPeerThatDoesNotListenIsTold) {
  EXPECT_TRUE(this->backend_.await(nobody_there(this->loop_)));
}

Task<> receive_cancelled(DatagramSocket& socket, bool& done) {
  auto received = co_await socket.receive();
  EXPECT_EQ(received.error().code, ErrorCode::kCancelled);
  done = true;
}
Task<bool> cancelled(Loop& loop) {
  Socket socket = open(loop, Address::loopback(0));
  CancelToken token;
  socket->bind(token);
  TaskScope scope;
  bool done = false;
  scope.spawn(receive_cancelled(*socket, done));
  token.cancel(CancelReason::kDrain);
  EXPECT_FALSE(done) << "nobody is resumed inline";
  co_await scope.join();
  auto again = co_await socket->receive();
  EXPECT_EQ(again.error().code, ErrorCode::kCancelled);
  co_return true;
}
TYPED_TEST(DatagramContract, ATokenEndsTheWait) { EXPECT_TRUE(this->backend_.await(cancelled(this->loop_))); }

TYPED_TEST(DatagramContract, AnAddressIsTakenOnce) {
  Socket first = open(this->loop_, Address::loopback(0));
  auto second = this->loop_.open_datagrams(first->address(), {});
  EXPECT_EQ(second.error().code, ErrorCode::kAddressInUse);
}

}  // namespace
}  // namespace sluice::io
