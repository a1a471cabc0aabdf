#include "gateway/handover/inherited_sockets.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/socket.h"
#include "io/system_datagram.h"

namespace sluice::gateway::handover {
namespace {

using io::Address;

/// Sockets as a predecessor would give them: a pipe, and what follows it without a gap.
class InheritedSocketsTest : public ::testing::Test {
 protected:
  InheritedSocketsTest() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0) reader_ = ends[0];
    dup2(ends[1], kPipe);  // it belongs to whoever adopts it
    close(ends[1]);
  }
  ~InheritedSocketsTest() override { close(reader_); }

  /// At `address`, or wherever there is room.
  Address give(SocketKind kind, Address address = Address::loopback(0)) {
    auto opened = kind == SocketKind::kDatagrams
                      ? io::open_datagram_socket(address, {.reuse_port = true, .remote = std::nullopt})
                      : io::open_listening_socket(address, {.reuse_port = kind == SocketKind::kShared});
    give(opened.value());
    return io::local_address(opened.value());
  }
  void give(int descriptor) {
    dup2(descriptor, kPipe + 1 + static_cast<int>(count_));
    ++count_;
    given_.push_back(descriptor);
  }
  void close_ours() {
    for (int descriptor : given_) close(descriptor);
  }
  bool told() const {
    char said = 0;
    return read(reader_, &said, 1) == 1 && said == kReady;
  }

  static constexpr int kPipe = 500;
  int reader_ = -1;
  size_t count_ = 0;
  std::vector<int> given_;
  InheritedSockets sockets_;
};

TEST(SocketCount, IsAPlainNumberWithABound) {
  EXPECT_EQ(parse_socket_count("0"), 0u);
  EXPECT_EQ(parse_socket_count("17"), 17u);
  EXPECT_EQ(parse_socket_count("65536"), kMostSockets);
  for (const char* bad : {"", " 1", "1 ", "-1", "+1", "0x1", "1.5", "65537", "99999999999999999999", "one"})
    EXPECT_FALSE(parse_socket_count(bad)) << bad;
}

TEST_F(InheritedSocketsTest, NoneIsAFreshStart) {
  EXPECT_TRUE(sockets_.take_from_environment());
  EXPECT_FALSE(sockets_.any());
  EXPECT_TRUE(sockets_.take(SocketKind::kShared, Address::loopback(80), 0).empty());
  sockets_.report_ready();
  close(kPipe);
}

TEST_F(InheritedSocketsTest, AreTakenByKindAndAddressOnce) {
  Address shared = give(SocketKind::kShared);
  Address alone = give(SocketKind::kAlone);
  Address datagrams = give(SocketKind::kDatagrams);
  ASSERT_TRUE(sockets_.adopt(kPipe, count_));
  EXPECT_TRUE(sockets_.take(SocketKind::kAlone, shared, 0).empty());
  EXPECT_TRUE(sockets_.take(SocketKind::kDatagrams, alone, 0).empty());
  std::vector<int> taken;
  for (auto [kind, address] : {std::pair(SocketKind::kShared, shared), std::pair(SocketKind::kAlone, alone),
                               std::pair(SocketKind::kDatagrams, datagrams)}) {
    auto part = sockets_.take(kind, address, 0);
    ASSERT_EQ(part.size(), 1u);
    EXPECT_EQ(io::local_address(part[0]), address);
    EXPECT_TRUE(fcntl(part[0], F_GETFD) & FD_CLOEXEC);
    EXPECT_TRUE(sockets_.take(kind, address, 0).empty()) << "it is taken";
    close(part[0]);
  }
  close_ours();
}

TEST_F(InheritedSocketsTest, NoneIsLeftWhateverTheNumberOfWorkers) {
  for (size_t workers : {1u, 2u, 3u, 5u, 8u}) {
    InheritedSockets sockets;
    int ends[2];
    ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
    dup2(ends[1], kPipe);
    count_ = 0;
    Address address = give(SocketKind::kShared);
    for (int i = 1; i < 5; ++i) give(SocketKind::kShared, address);
    ASSERT_TRUE(sockets.adopt(kPipe, count_));
    sockets.divide_among(workers);
    size_t all = 0;
    for (size_t number = 0; number < workers; ++number) {
      auto part = sockets.take(SocketKind::kShared, address, number);
      EXPECT_GE(part.size(), 5 / workers);
      EXPECT_LE(part.size(), (5 + workers - 1) / workers);
      all += part.size();
      for (int descriptor : part) close(descriptor);
    }
    EXPECT_EQ(all, 5u) << workers << " workers";
    close(ends[0]);
    close(ends[1]);
  }
  close_ours();
}

TEST_F(InheritedSocketsTest, ThePredecessorIsToldAfterTheRestIsClosed) {
  Address address = give(SocketKind::kShared);
  ASSERT_TRUE(sockets_.adopt(kPipe, count_));
  EXPECT_TRUE(sockets_.any());
  EXPECT_FALSE(told());
  sockets_.report_ready();
  EXPECT_TRUE(told());
  EXPECT_FALSE(sockets_.any());
  EXPECT_TRUE(sockets_.take(SocketKind::kShared, address, 0).empty());
  EXPECT_LT(fcntl(kPipe + 1, F_GETFD), 0) << "closed";
  close_ours();
}

TEST_F(InheritedSocketsTest, WhatIsNoListeningSocketIsRefused) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  int unbound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  for (int wrong : {ends[0], unbound, local}) {
    InheritedSockets sockets;
    dup2(ends[1], kPipe);
    dup2(wrong, kPipe + 1);
    EXPECT_FALSE(sockets.adopt(kPipe, 1));
  }
  close(kPipe + 1);
  InheritedSockets missing;
  EXPECT_FALSE(missing.adopt(kPipe, 1)) << "no such descriptor";
  EXPECT_FALSE(InheritedSockets().adopt(unbound, 0)) << "no pipe";
  for (int descriptor : {ends[0], ends[1], unbound, local}) close(descriptor);
}

}  // namespace
}  // namespace sluice::gateway::handover
