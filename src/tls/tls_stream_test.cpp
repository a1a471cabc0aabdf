// TlsStream keeps the contract of streams on every back-end; what is TLS's own comes after.
#include "tls/tls_stream.h"

#include "io/stream_contract.h"
#include "tls/tls_fixture.h"

namespace sluice::tls {
namespace {

using namespace std::chrono_literals;
using fixture::Shaken;

struct Contexts {
  std::shared_ptr<const ServerContext> server = fixture::server_context(
      {.certificates = {fixture::load(make_self_signed({"test"}, fixture::kThen, fixture::kLong))},
       .ticket_keys = std::make_shared<const TicketKeys>()});
  std::shared_ptr<const ClientContext> client = fixture::client_context({.verify = false});
};
const Contexts& contexts() {
  static const Contexts shared;
  return shared;
}

io::Task<Shaken> shake_over(io::Loop& loop, io::fixture::Pair pair, SessionSlot& sessions) {
  auto client = contexts().client->connect(loop, std::move(pair.client), "test", sessions);
  auto server = contexts().server->accept(loop, std::move(pair.server));
  auto shaken = co_await fixture::shake_hands(std::move(client), std::move(server));
  EXPECT_TRUE(shaken.client_outcome) << shaken.client_outcome.error().detail;
  EXPECT_TRUE(shaken.server_outcome) << shaken.server_outcome.error().detail;
  co_return shaken;
}

io::Task<io::fixture::Pair> put_tls_over(io::Loop& loop, io::fixture::Pair pair) {
  static SessionSlot sessions;
  auto shaken = co_await shake_over(loop, std::move(pair), sessions);
  co_return io::fixture::Pair{std::move(shaken.client), std::move(shaken.server)};
}

/// A back-end whose test connections have TLS over them.
template <class Base>
struct WithTls : Base {
  WithTls() { io::fixture::put_over = put_tls_over; }
  ~WithTls() { io::fixture::put_over = nullptr; }
};
struct SlowSimBackend : io::fixture::SimBackend {
  SlowSimBackend()
      : SimBackend({.seed = 3, .pipe_bytes = 100'000, .split_transfers = true, .latency = 3ms}) {}
};
using Backends = testing::Types<WithTls<io::fixture::EpollBackend>, WithTls<io::fixture::UringBackend>,
                                WithTls<io::fixture::SimBackend>, WithTls<SlowSimBackend>>;

// --- what is TLS's own ---

class TlsStreamTest : public ::testing::Test {
 protected:
  io::fixture::SimBackend backend_;
  io::Loop& loop_ = backend_.loop;
};

struct Bare {
  Shaken ends;
  io::Stream* client_below;
  io::Stream* server_below;
};
io::Task<Bare> shake_bare(io::Loop& loop, SessionSlot& sessions) {
  auto pair = co_await io::fixture::connect_pair(loop);
  Bare bare{{}, pair.client.get(), pair.server.get()};
  bare.ends = co_await shake_over(loop, std::move(pair), sessions);
  co_return bare;
}

io::Task<io::fixture::Received> end_without_close_notify(io::Loop& loop) {
  SessionSlot sessions;
  auto bare = co_await shake_bare(loop, sessions);
  co_await io::fixture::write_text(*bare.ends.client, "half of it");
  bare.client_below->shutdown_write();
  auto received = co_await io::fixture::read_all(*bare.ends.server);
  co_return received;
}
// RFC 8446, section 6.1: without close_notify the data may have been truncated.
TEST_F(TlsStreamTest, EndWithoutCloseNotifyIsAnErrorAndNoEnd) {
  auto received = backend_.await(end_without_close_notify(loop_));
  EXPECT_EQ(received.text, "half of it");
  ASSERT_FALSE(received.end);
  EXPECT_EQ(received.end.error().code, io::ErrorCode::kReset);
}

io::Task<io::fixture::Received> end_after_a_cancelled_wait(io::Loop& loop) {
  SessionSlot sessions;
  auto bare = co_await shake_bare(loop, sessions);
  io::CancelToken first;
  bare.ends.server->bind(first);
  first.cancel(io::CancelReason::kDeadline);
  io::CancelToken second;
  bare.ends.server->bind(second);
  bare.ends.server->shutdown_write();
  auto received = co_await io::fixture::read_all(*bare.ends.client);
  bare.ends.server->unbind();
  co_return received;
}
// As after an exchange that was cancelled: the connection lingers under a token of its own.
TEST_F(TlsStreamTest, EndIsSaidUnderANewTokenAfterACancelledOne) {
  auto received = backend_.await(end_after_a_cancelled_wait(loop_));
  EXPECT_TRUE(received.end);
}

io::Task<io::fixture::Received> forge_a_record(io::Loop& loop, io::Result<>& at_client) {
  SessionSlot sessions;
  auto bare = co_await shake_bare(loop, sessions);
  co_await io::fixture::write_text(*bare.client_below,
                                   std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x'));
  auto received = co_await io::fixture::read_all(*bare.ends.server);
  auto told = co_await io::fixture::read_all(*bare.ends.client);
  at_client = told.end;
  co_return received;
}
// RFC 8446, section 5.2: bad_record_mac ends the connection, for both.
TEST_F(TlsStreamTest, ForgedRecordBreaksTheConnectionForBothEnds) {
  io::Result<> at_client;
  auto received = backend_.await(forge_a_record(loop_, at_client));
  EXPECT_EQ(received.text, "");
  EXPECT_FALSE(received.end);
  EXPECT_FALSE(at_client);
}

io::Task<uint64_t> write_small_pieces(io::Loop& loop) {
  SessionSlot sessions;
  auto bare = co_await shake_bare(loop, sessions);
  uint64_t before = bare.server_below->bytes_written();
  char head[] = "head";
  char body[] = "body";
  iovec pieces[] = {{head, 4}, {nullptr, 0}, {body, 4}};
  co_await bare.ends.server->write(pieces);
  co_return bare.server_below->bytes_written() - before;
}
TEST_F(TlsStreamTest, SmallPiecesLeaveTogetherInOneRecord) {
  // RFC 8446, section 5.2: 5 bytes of header, one of type, 16 of tag.
  EXPECT_EQ(backend_.await(write_small_pieces(loop_)), 8u + 5 + 1 + 16);
}

io::Task<bool> receive_tickets_while_idle(io::Loop& loop) {
  SessionSlot sessions;
  auto bare = co_await shake_bare(loop, sessions);
  io::contract::Watcher watcher;
  bare.ends.client->observe(&watcher);
  co_await io::fixture::settle(loop);
  EXPECT_GT(bare.server_below->bytes_written(), bare.client_below->bytes_read() / 2);
  EXPECT_TRUE(watcher.told.empty());
  bool dirty = bare.ends.client->dirty();
  co_await io::fixture::write_text(*bare.ends.server, "x");
  co_await io::fixture::settle(loop);
  EXPECT_EQ(watcher.told, std::vector<bool>{false});
  EXPECT_TRUE(bare.ends.client->dirty());
  co_return dirty;
}
// An idle connection to an upstream is dropped when something comes; a session ticket is nothing.
TEST_F(TlsStreamTest, TicketsDoNotDisturbAnIdleClient) {
  EXPECT_FALSE(backend_.await(receive_tickets_while_idle(loop_)));
}

io::Task<std::vector<bool>> resume(io::Loop& loop) {
  SessionSlot sessions;
  std::vector<bool> resumed;
  for (int i = 0; i < 3; ++i) {
    auto bare = co_await shake_bare(loop, sessions);
    resumed.push_back(bare.ends.server->security()->resumed);
    co_await io::fixture::write_text(*bare.ends.server, "x");
    co_await io::fixture::read_some(*bare.ends.client, 1);
  }
  co_return resumed;
}
TEST_F(TlsStreamTest, LaterConnectionsResumeTheSession) {
  EXPECT_EQ(backend_.await(resume(loop_)), (std::vector<bool>{false, true, true}));
}

io::Task<HandshakeError> shake_with(io::Loop& loop, std::string bytes, bool end) {
  auto pair = co_await io::fixture::connect_pair(loop);
  io::CancelToken token;
  io::Deadline deadline(loop, loop.now() + 10s, token);
  auto server = contexts().server->accept(loop, std::move(pair.server));
  server->bind(token);
  co_await io::fixture::write_text(*pair.client, bytes);
  if (end) pair.client->shutdown_write();
  auto outcome = co_await server->handshake();
  EXPECT_FALSE(outcome);
  co_return outcome ? HandshakeError() : outcome.error();
}
TEST_F(TlsStreamTest, HandshakeSaysWhyItFailed) {
  struct Case {
    std::string_view what;
    std::string bytes;
    bool end;
    HandshakeFailure failure;
  };
  const Case cases[] = {
      {"plain HTTP", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", false, HandshakeFailure::kNotTls},
      {"junk", std::string(100, '\0'), false, HandshakeFailure::kNotTls},
      {"nothing, then the end", "", true, HandshakeFailure::kClosed},
      {"a part of a record, then the end", std::string("\x16\x03\x01\x01\x00\x01", 6), true,
       HandshakeFailure::kClosed},
      {"silence", "", false, HandshakeFailure::kTimeout},
      {"a record of the wrong kind", std::string("\x17\x03\x03\x00\x01x", 6), false,
       HandshakeFailure::kMalformed},
  };
  for (const Case& tried : cases) {
    auto error = backend_.await(shake_with(loop_, tried.bytes, tried.end));
    EXPECT_EQ(handshake_failure_text(error.failure), handshake_failure_text(tried.failure))
        << tried.what << ": " << error.detail;
  }
}

}  // namespace
}  // namespace sluice::tls

namespace sluice::io::contract {
INSTANTIATE_TYPED_TEST_SUITE_P(Tls, StreamContract, sluice::tls::Backends);
}
