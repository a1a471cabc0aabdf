// The contract of Stream and Listener (io/stream.h) as tests: what every back-end keeps, whatever carries the
// bytes. A test file names the back-ends that it holds to it.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "io/stream_fixture.h"

namespace sluice::io::contract {

using namespace std::chrono_literals;
using fixture::connect_pair;
using fixture::Pair;
using fixture::read_all;
using fixture::read_some;
using fixture::Received;
using fixture::settle;
using fixture::wait_until;
using fixture::write_text;

template <class Backend>
class StreamContract : public testing::Test {
 protected:
  Backend backend_;
  Loop& loop_ = backend_.loop;
};
TYPED_TEST_SUITE_P(StreamContract);

constexpr size_t kMoreThanAnyPipe = 32 << 20;

inline std::string pattern(size_t size) {
  std::string bytes(size, 0);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + i / 257);
  return bytes;
}

struct Writing {
  bool done = false;
  Result<> result;
};
inline Task<> write_bytes(Stream& stream, std::string bytes, Writing& writing) {
  writing.result = co_await write_text(stream, std::move(bytes));
  writing.done = true;
}

inline Task<> break_off(std::unique_ptr<Stream>& stream, Loop& loop) {
  stream->abort();
  stream.reset();
  co_await settle(loop);
}

// --- bytes and ends ---

inline Task<Received> write_then_read_at_other_end(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  co_await write_text(*pair.client, "one ");
  co_await write_text(*pair.client, "two ");
  co_await write_text(*pair.client, "three");
  pair.client->shutdown_write();
  auto received = co_await read_all(*pair.server);
  EXPECT_EQ(pair.client->bytes_written(), 13u);
  EXPECT_EQ(pair.server->bytes_read(), 13u);
  co_return received;
}
TYPED_TEST_P(StreamContract, BytesArriveInOrderThenTheEnd) {
  auto received = this->backend_.await(write_then_read_at_other_end(this->loop_));
  EXPECT_EQ(received.text, "one two three");
  EXPECT_TRUE(received.end);
}

inline Task<bool> read_past_the_end(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  pair.client.reset();
  auto first = co_await pair.server->read();
  auto second = co_await pair.server->read();
  auto readable = co_await pair.server->readable();
  co_return first && first->empty() && second && second->empty() && readable;
}
TYPED_TEST_P(StreamContract, TheEndStaysTheEnd) {
  EXPECT_TRUE(this->backend_.await(read_past_the_end(this->loop_)));
}

inline Task<std::string> answer_after_half_close(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  co_await write_text(*pair.client, "question");
  pair.client->shutdown_write();
  co_await read_all(*pair.server);
  co_await write_text(*pair.server, "answer");
  pair.server.reset();
  auto received = co_await read_all(*pair.client);
  co_return received.text;
}
TYPED_TEST_P(StreamContract, HalfClosedStreamStillReceives) {
  EXPECT_EQ(this->backend_.await(answer_after_half_close(this->loop_)), "answer");
}

inline Task<Result<>> write_after_shutdown(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  pair.client->shutdown_write();
  auto written = co_await write_text(*pair.client, "x");
  co_return written;
}
TYPED_TEST_P(StreamContract, WritingAfterShutdownFails) {
  EXPECT_FALSE(this->backend_.await(write_after_shutdown(this->loop_)));
}

struct Pressure {
  bool done_before_reading = true;
  bool done_after = false;
  uint64_t written_before_reading = 0;
  std::string received;
};
inline Task<Pressure> write_more_than_fits(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  Pressure seen;
  Writing writing;
  TaskScope scope;
  scope.spawn(write_bytes(*pair.client, pattern(kMoreThanAnyPipe), writing));
  co_await settle(loop);
  seen.done_before_reading = writing.done;
  seen.written_before_reading = pair.client->bytes_written();
  seen.received = co_await read_some(*pair.server, kMoreThanAnyPipe);
  co_await scope.join();
  seen.done_after = writing.done && writing.result.has_value();
  co_return seen;
}
TYPED_TEST_P(StreamContract, WriteWaitsUntilThePeerReads) {
  auto seen = this->backend_.await(write_more_than_fits(this->loop_));
  EXPECT_FALSE(seen.done_before_reading);
  EXPECT_LT(seen.written_before_reading, kMoreThanAnyPipe);
  EXPECT_TRUE(seen.done_after);
  EXPECT_TRUE(seen.received == pattern(kMoreThanAnyPipe));
}

inline Task<std::string> write_in_pieces(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  std::string letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
  std::vector<iovec> pieces;
  for (char& letter : letters) {
    pieces.push_back({&letter, 1});
    pieces.push_back({nullptr, 0});
  }
  co_await pair.client->write(pieces);
  auto received = co_await read_some(*pair.server, letters.size());
  co_return received;
}
TYPED_TEST_P(StreamContract, AnyNumberOfPiecesLeavesInOrder) {
  EXPECT_EQ(this->backend_.await(write_in_pieces(this->loop_)),
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ");
}

inline Task<std::string> give_back(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  co_await write_text(*pair.client, "headbody");
  auto lease = co_await pair.server->read();
  std::string text(lease->bytes());
  lease->consume(1);
  pair.server->unread(std::move(*lease));
  EXPECT_TRUE(pair.server->dirty());
  CancelToken token;
  pair.server->bind(token);
  token.cancel(CancelReason::kDrain);
  auto readable = co_await pair.server->readable();
  EXPECT_TRUE(readable);
  auto again = co_await pair.server->read();
  EXPECT_EQ(again->bytes(), text.substr(1));
  co_return text;
}
TYPED_TEST_P(StreamContract, WhatWasGivenBackIsReadFirstEvenWhenCancelled) {
  EXPECT_TRUE(std::string("headbody").starts_with(this->backend_.await(give_back(this->loop_))));
}

inline Task<> wait_readable(Stream& stream, std::optional<Result<>>& result) {
  auto readable = co_await stream.readable();
  result = readable;
}
inline Task<size_t> lent_while_idle(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  std::optional<Result<>> readable;
  TaskScope scope;
  scope.spawn(wait_readable(*pair.server, readable));
  co_await settle(loop);
  size_t lent = loop.buffers().lent();
  co_await write_text(*pair.client, "x");
  co_await scope.join();
  EXPECT_TRUE(readable && *readable);
  co_return lent;
}
TYPED_TEST_P(StreamContract, WaitingForReadableHoldsNoBuffer) {
  EXPECT_EQ(this->backend_.await(lent_while_idle(this->loop_)), 0u);
}

// --- resets ---

inline Task<Received> abort_after_bytes(Loop& loop, bool read_before) {
  auto pair = co_await connect_pair(loop);
  co_await write_text(*pair.server, "half of it");
  co_await settle(loop);
  std::string first;
  if (read_before) first = co_await read_some(*pair.client, 10);
  co_await break_off(pair.server, loop);
  auto rest = co_await read_all(*pair.client);
  rest.text = first + rest.text;
  auto again = co_await read_all(*pair.client);
  EXPECT_FALSE(again.end) << "a reset must not look like an end to whoever reads on";
  co_return rest;
}
TYPED_TEST_P(StreamContract, AbortIsAResetForThePeerAndNotAnEnd) {
  auto received = this->backend_.await(abort_after_bytes(this->loop_, true));
  EXPECT_EQ(received.text, "half of it");
  ASSERT_FALSE(received.end);
  EXPECT_EQ(received.end.error().code, ErrorCode::kReset);
}

// Linux keeps what it has received: measured, not promised by RFC 9293.
TYPED_TEST_P(StreamContract, BytesThatArrivedBeforeAResetAreStillRead) {
  auto received = this->backend_.await(abort_after_bytes(this->loop_, false));
  EXPECT_EQ(received.text, "half of it");
  ASSERT_FALSE(received.end);
  EXPECT_EQ(received.end.error().code, ErrorCode::kReset);
}

inline Task<Received> write_into_a_reset_then_read(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  co_await write_text(*pair.server, "half of it");
  co_await settle(loop);
  co_await break_off(pair.server, loop);
  auto written = co_await write_text(*pair.client, "x");
  EXPECT_FALSE(written);
  auto received = co_await read_all(*pair.client);
  co_return received;
}
// Linux reports a reset once; here the writer gets it.
TYPED_TEST_P(StreamContract, ResetThatTheWriterMetIsNoEndForTheReader) {
  auto received = this->backend_.await(write_into_a_reset_then_read(this->loop_));
  EXPECT_EQ(received.text, "half of it");
  ASSERT_FALSE(received.end);
  EXPECT_EQ(received.end.error().code, ErrorCode::kReset);
}

inline Task<Received> write_to_who_has_ended_and_gone(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  co_await write_text(*pair.server, "all of it");
  pair.server.reset();
  co_await settle(loop);
  auto first = co_await write_text(*pair.client, "x");
  EXPECT_TRUE(first) << "TCP takes what it cannot deliver";
  co_await settle(loop);
  auto second = co_await write_text(*pair.client, "x");
  EXPECT_FALSE(second);
  auto received = co_await read_all(*pair.client);
  co_return received;
}
TYPED_TEST_P(StreamContract, EndThatCameBeforeTheResetStaysAnEnd) {
  auto received = this->backend_.await(write_to_who_has_ended_and_gone(this->loop_));
  EXPECT_EQ(received.text, "all of it");
  EXPECT_TRUE(received.end);
}

inline Task<Received> close_with_unread_bytes(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  co_await write_text(*pair.client, "never read");
  co_await pair.server->readable();
  pair.server.reset();
  auto received = co_await read_all(*pair.client);
  co_return received;
}
// RFC 2525, section 2.17, RFC 9112, section 9.6: closing with unread bytes resets.
TYPED_TEST_P(StreamContract, ClosingWithUnreadBytesIsAReset) {
  auto received = this->backend_.await(close_with_unread_bytes(this->loop_));
  ASSERT_FALSE(received.end);
  EXPECT_EQ(received.end.error().code, ErrorCode::kReset);
}

inline Task<Result<>> write_until_it_fails(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  pair.server.reset();
  Result<> written;
  CancelToken token;
  for (int i = 0; i < 1000 && written; ++i) {
    written = co_await write_text(*pair.client, "x");
    co_await sleep_for(loop, TimerWheel::kTick, token);
  }
  co_return written;
}
TYPED_TEST_P(StreamContract, WritingToAClosedPeerEndsInAReset) {
  auto written = this->backend_.await(write_until_it_fails(this->loop_));
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, ErrorCode::kReset);
}

// --- connecting ---

inline Task<Result<>> connect_to_nobody(Loop& loop) {
  Address address = loop.listen(Address::loopback(0), {}).value()->address();
  CancelToken token;
  auto stream = co_await loop.connect(address, token);
  if (stream) co_return Result<>();
  co_return std::unexpected(stream.error());
}
TYPED_TEST_P(StreamContract, ConnectingToNobodyIsRefused) {
  auto connected = this->backend_.await(connect_to_nobody(this->loop_));
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().code, ErrorCode::kRefused);
}

inline Task<Result<>> connect_cancelled(Loop& loop) {
  CancelToken token;
  token.cancel(CancelReason::kDeadline);
  auto stream = co_await loop.connect(Address::loopback(1), token);
  if (stream) co_return Result<>();
  co_return std::unexpected(stream.error());
}
TYPED_TEST_P(StreamContract, ConnectingUnderACancelledTokenEndsAtOnce) {
  auto connected = this->backend_.await(connect_cancelled(this->loop_));
  ASSERT_FALSE(connected);
  EXPECT_EQ(connected.error().code, ErrorCode::kCancelled);
}

TYPED_TEST_P(StreamContract, AddressHasOneListenerUnlessAllShareIt) {
  Loop& loop = this->loop_;
  auto first = loop.listen(Address::loopback(0), {}).value();
  auto second = loop.listen(first->address(), {});
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, ErrorCode::kAddressInUse);
  auto shared = loop.listen(Address::loopback(0), {.reuse_port = true}).value();
  EXPECT_TRUE(loop.listen(shared->address(), {.reuse_port = true}));
}

inline Task<bool> peers_know_each_other(Loop& loop) {
  auto listener = loop.listen(Address::loopback(0), {}).value();
  CancelToken token;
  auto client = co_await loop.connect(listener->address(), token);
  auto server = co_await listener->accept();
  Address from = (*server)->peer();
  co_return (*client)->peer() == listener->address() && from.ip_text() == "127.0.0.1" && from.port != 0;
}
TYPED_TEST_P(StreamContract, EachEndKnowsItsPeer) {
  EXPECT_TRUE(this->backend_.await(peers_know_each_other(this->loop_)));
}

// --- cancellation ---

inline Task<> read_once(Stream& stream, std::optional<ErrorCode>& error) {
  auto lease = co_await stream.read();
  if (!lease) error = lease.error().code;
}
inline Task<> accept_once(Listener& listener, std::optional<ErrorCode>& error) {
  auto stream = co_await listener.accept();
  if (!stream) error = stream.error().code;
}
struct Cancelled {
  std::optional<ErrorCode> waiting;  // of what waited when the token was cancelled
  bool inline_resumption = false;    // cancel() itself resumed it
  std::optional<ErrorCode> after;    // of what came later
  std::optional<ErrorCode> unbound;  // once the stream was bound to no token
};

inline Task<Cancelled> cancel_a_read(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  Cancelled seen;
  CancelToken token;
  pair.server->bind(token);
  TaskScope scope;
  scope.spawn(read_once(*pair.server, seen.waiting));
  token.cancel(CancelReason::kShed);
  seen.inline_resumption = seen.waiting.has_value();
  co_await scope.join();
  co_await read_once(*pair.server, seen.after);
  pair.server->unbind();
  co_await write_text(*pair.client, "x");
  co_await read_once(*pair.server, seen.unbound);
  co_return seen;
}
TYPED_TEST_P(StreamContract, CancelEndsAReadThroughTheQueueAndFailsLaterOnes) {
  auto seen = this->backend_.await(cancel_a_read(this->loop_));
  EXPECT_EQ(seen.waiting, ErrorCode::kCancelled);
  EXPECT_FALSE(seen.inline_resumption);
  EXPECT_EQ(seen.after, ErrorCode::kCancelled);
  EXPECT_EQ(seen.unbound, std::nullopt);
}

inline Task<Cancelled> cancel_a_write(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  Cancelled seen;
  CancelToken token;
  pair.client->bind(token);
  TaskScope scope;
  Writing writing;
  scope.spawn(write_bytes(*pair.client, std::string(kMoreThanAnyPipe, 'x'), writing));
  co_await settle(loop);
  token.cancel(CancelReason::kDeadline);
  seen.inline_resumption = writing.done;
  co_await scope.join();
  if (!writing.result) seen.waiting = writing.result.error().code;
  auto written = co_await write_text(*pair.client, "x");
  if (!written) seen.after = written.error().code;
  co_return seen;
}
TYPED_TEST_P(StreamContract, CancelEndsAWriteThroughTheQueueAndFailsLaterOnes) {
  auto seen = this->backend_.await(cancel_a_write(this->loop_));
  EXPECT_EQ(seen.waiting, ErrorCode::kCancelled);
  EXPECT_FALSE(seen.inline_resumption);
  EXPECT_EQ(seen.after, ErrorCode::kCancelled);
}

inline Task<Cancelled> cancel_an_accept(Loop& loop) {
  auto listener = loop.listen(Address::loopback(0), {}).value();
  Cancelled seen;
  CancelToken token;
  listener->bind(token);
  TaskScope scope;
  scope.spawn(accept_once(*listener, seen.waiting));
  token.cancel(CancelReason::kDrain);
  seen.inline_resumption = seen.waiting.has_value();
  co_await scope.join();
  co_await accept_once(*listener, seen.after);
  co_return seen;
}
TYPED_TEST_P(StreamContract, CancelEndsAnAccept) {
  auto seen = this->backend_.await(cancel_an_accept(this->loop_));
  EXPECT_EQ(seen.waiting, ErrorCode::kCancelled);
  EXPECT_FALSE(seen.inline_resumption);
  EXPECT_EQ(seen.after, ErrorCode::kCancelled);
}

inline Task<size_t> cancel_with_connections_waiting(Loop& loop, bool accepting) {
  auto listener = loop.listen(Address::loopback(0), {}).value();
  CancelToken token;
  CancelToken none;
  listener->bind(token);
  std::vector<std::unique_ptr<Stream>> clients;
  std::vector<std::unique_ptr<Stream>> accepted;
  if (accepting) {  // what a back-end does ahead of its caller has begun
    auto first = co_await loop.connect(listener->address(), none);
    clients.push_back(std::move(*first));
    auto stream = co_await listener->accept();
    accepted.push_back(std::move(*stream));
  }
  for (int i = 0; i < 5; ++i) {
    auto client = co_await loop.connect(listener->address(), none);
    clients.push_back(std::move(*client));
  }
  token.cancel(CancelReason::kDrain);
  for (;;) {
    auto stream = co_await listener->accept();
    if (!stream) {
      EXPECT_EQ(stream.error().code, ErrorCode::kCancelled);
      break;
    }
    accepted.push_back(std::move(*stream));
  }
  listener->unbind();
  listener.reset();
  size_t served = 0;
  for (auto& stream : accepted) {
    auto written = co_await write_text(*stream, "x");
    served += written ? 1 : 0;
  }
  co_return served;
}
TYPED_TEST_P(StreamContract, WhatHadComeBeforeACancelIsStillAccepted) {
  EXPECT_EQ(this->backend_.await(cancel_with_connections_waiting(this->loop_, false)), 5u);
  EXPECT_EQ(this->backend_.await(cancel_with_connections_waiting(this->loop_, true)), 6u);
}

// --- observers and idle connections ---

struct Watcher final : Stream::Observer {
  void on_disturbed(bool broken) override { told.push_back(broken); }
  std::vector<bool> told;
};
enum class Disturbance { kBytes, kEnd, kReset };

inline Task<std::vector<bool>> disturb(Loop& loop, Disturbance what) {
  auto pair = co_await connect_pair(loop);
  co_await settle(loop);
  Watcher watcher;
  pair.server->observe(&watcher);
  EXPECT_FALSE(pair.server->dirty());
  EXPECT_FALSE(pair.server->peer_ended());
  if (what == Disturbance::kBytes) co_await write_text(*pair.client, "x");
  if (what == Disturbance::kEnd) pair.client->shutdown_write();
  if (what == Disturbance::kReset) co_await break_off(pair.client, loop);
  auto told = co_await wait_until(loop, [&] { return !watcher.told.empty(); });
  EXPECT_TRUE(told);
  auto dirty = co_await wait_until(loop, [&] { return pair.server->dirty(); });
  EXPECT_TRUE(dirty);
  // One arrival of TLS's may be several of the stream's below.
  if (fixture::put_over)
    watcher.told.erase(std::unique(watcher.told.begin(), watcher.told.end()), watcher.told.end());
  bool ends = what != Disturbance::kBytes;
  auto ended = co_await wait_until(loop, [&] { return pair.server->peer_ended() == ends; });
  EXPECT_TRUE(ended);
  co_return watcher.told;
}
TYPED_TEST_P(StreamContract, ObserverIsToldWhatArrivesWhileNobodyReads) {
  Loop& loop = this->loop_;
  EXPECT_EQ(this->backend_.await(disturb(loop, Disturbance::kBytes)), std::vector<bool>{false});
  EXPECT_EQ(this->backend_.await(disturb(loop, Disturbance::kEnd)), std::vector<bool>{false});
  EXPECT_EQ(this->backend_.await(disturb(loop, Disturbance::kReset)), std::vector<bool>{true});
}

inline Task<size_t> read_while_observed(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  co_await settle(loop);
  Watcher watcher;
  pair.server->observe(&watcher);
  TaskScope scope;
  std::optional<ErrorCode> error;
  scope.spawn(read_once(*pair.server, error));
  co_await write_text(*pair.client, "x");
  co_await scope.join();
  co_return watcher.told.size();
}
TYPED_TEST_P(StreamContract, ObserverIsNotToldWhatAReaderGets) {
  EXPECT_EQ(this->backend_.await(read_while_observed(this->loop_)), 0u);
}

inline Task<std::vector<bool>> reset_under_a_writer(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  co_await settle(loop);
  Watcher watcher;
  pair.server->observe(&watcher);
  Writing writing;
  TaskScope scope;
  scope.spawn(write_bytes(*pair.server, std::string(kMoreThanAnyPipe, 'x'), writing));
  co_await settle(loop);
  co_await break_off(pair.client, loop);
  co_await scope.join();
  EXPECT_FALSE(writing.result);
  co_return watcher.told;
}
// Who waits elsewhere (for an upstream) while the response is written must hear of it too.
TYPED_TEST_P(StreamContract, ObserverHearsOfAResetWhileAWriteWaits) {
  auto told = this->backend_.await(reset_under_a_writer(this->loop_));
  ASSERT_FALSE(told.empty());
  EXPECT_TRUE(told.back());
}

inline Task<bool> reset_behind_the_last_bytes(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  co_await settle(loop);
  Watcher watcher;
  pair.server->observe(&watcher);
  TaskScope scope;
  std::optional<ErrorCode> error;
  scope.spawn(read_once(*pair.server, error));
  co_await write_text(*pair.client, "x");
  co_await break_off(pair.client, loop);
  co_await scope.join();
  EXPECT_FALSE(error) << "the bytes came first";
  auto told = co_await wait_until(loop, [&] { return std::ranges::count(watcher.told, true) > 0; });
  co_return told;
}
// Both may be told as one event; whoever then waits elsewhere for an answer must hear that nobody wants it.
TYPED_TEST_P(StreamContract, ObserverHearsOfAResetThatCameWithTheBytesForAReader) {
  EXPECT_TRUE(this->backend_.await(reset_behind_the_last_bytes(this->loop_)));
}

/// As a server's connection does it: what is broken is cancelled.
struct Canceller final : Stream::Observer {
  explicit Canceller(CancelToken& what) : token(what) {}
  void on_disturbed(bool broken) override {
    if (broken) token.cancel(CancelReason::kClientGone);
  }
  CancelToken& token;
};
inline Task<> wait_until_readable(Stream& stream, bool& ended) {
  auto ready = co_await stream.readable();
  std::ignore = ready;  // that it is readable, or cancelled
  ended = true;
}
inline Task<bool> reset_that_cancels_who_waits(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  co_await settle(loop);
  CancelToken token;
  pair.server->bind(token);
  Canceller canceller(token);
  pair.server->observe(&canceller);
  TaskScope scope;
  bool ended = false;
  scope.spawn(wait_until_readable(*pair.server, ended));
  co_await break_off(pair.client, loop);
  co_await scope.join();
  co_return ended;
}
TYPED_TEST_P(StreamContract, WaitForReadableEndsWhenTheObserverCancelsAtAReset) {
  EXPECT_TRUE(this->backend_.await(reset_that_cancels_who_waits(this->loop_)));
}

inline Task<bool> dirty_after_reads_that_fill(Loop& loop) {
  auto pair = co_await connect_pair(loop);
  Writing writing;
  TaskScope scope;
  scope.spawn(write_bytes(*pair.client, std::string(BufferPool::kSmallBytes, 'x'), writing));
  co_await settle(loop);
  auto text = co_await read_some(*pair.server, BufferPool::kSmallBytes);
  EXPECT_EQ(text.size(), BufferPool::kSmallBytes);
  co_await scope.join();
  bool dirty = pair.server->dirty();
  co_await write_text(*pair.client, "y");
  auto dirty_then = co_await wait_until(loop, [&] { return pair.server->dirty(); });
  EXPECT_TRUE(dirty_then);
  co_return dirty;
}
// The pool would drop a connection whose last answer happened to fill the buffer.
TYPED_TEST_P(StreamContract, StreamIsCleanAfterAReadThatFilledItsBuffer) {
  EXPECT_FALSE(this->backend_.await(dirty_after_reads_that_fill(this->loop_)));
}

REGISTER_TYPED_TEST_SUITE_P(
    StreamContract, BytesArriveInOrderThenTheEnd, TheEndStaysTheEnd, HalfClosedStreamStillReceives,
    WritingAfterShutdownFails, WriteWaitsUntilThePeerReads, AnyNumberOfPiecesLeavesInOrder,
    WhatWasGivenBackIsReadFirstEvenWhenCancelled, WaitingForReadableHoldsNoBuffer,
    AbortIsAResetForThePeerAndNotAnEnd, BytesThatArrivedBeforeAResetAreStillRead,
    ResetThatTheWriterMetIsNoEndForTheReader, EndThatCameBeforeTheResetStaysAnEnd,
    ClosingWithUnreadBytesIsAReset, WritingToAClosedPeerEndsInAReset, ConnectingToNobodyIsRefused,
    ConnectingUnderACancelledTokenEndsAtOnce, AddressHasOneListenerUnlessAllShareIt, EachEndKnowsItsPeer,
    CancelEndsAReadThroughTheQueueAndFailsLaterOnes, CancelEndsAWriteThroughTheQueueAndFailsLaterOnes,
    CancelEndsAnAccept, WhatHadComeBeforeACancelIsStillAccepted, ObserverIsToldWhatArrivesWhileNobodyReads,
    ObserverIsNotToldWhatAReaderGets, ObserverHearsOfAResetWhileAWriteWaits,
    ObserverHearsOfAResetThatCameWithTheBytesForAReader, WaitForReadableEndsWhenTheObserverCancelsAtAReset,
    StreamIsCleanAfterAReadThatFilledItsBuffer);

}  // namespace sluice::io::contract
