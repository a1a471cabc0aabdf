#include "io/relay.h"

#include "io/linked_token.h"
#include "io/scope.h"
#include "io/timer.h"

namespace sluice::io {

namespace {

using End = RelayResult::End;

/// Reads of one direction in a row before the loop's other work has a turn.
constexpr int kReadsInARow = 16;

class Relay final : private Timer {
 public:
  Relay(Loop& loop, Stream& client, Stream& server, CancelToken& token, const RelayOptions& options)
      : loop_(loop),
        client_(client),
        server_(server),
        token_(token),
        options_(options),
        from_client_{client, server, options.from_client, End::kClientFailed, End::kServerFailed},
        from_server_{server, client, options.from_server, End::kServerFailed, End::kClientFailed} {
    for (Direction* direction : {&from_client_, &from_server_}) {
      direction->relay = this;
      direction->from.bind(token_);
      direction->from.observe(direction);
    }
    progress_ = progress();
    if (options_.idle > Duration::zero()) loop_.timers().arm(*this, loop_.now() + options_.idle / 2);
  }
  ~Relay() {
    client_.observe(nullptr);
    server_.observe(nullptr);
  }

  Task<RelayResult> run() {
    TaskScope scope;
    scope.spawn(copy(from_client_));
    scope.spawn(copy(from_server_));
    co_await scope.join();
    result_.from_client = from_client_.copied;
    result_.from_server = from_server_.copied;
    result_.client_ended = from_client_.ended;
    result_.server_ended = from_server_.ended;
    co_return result_;
  }

 private:
  /// What `from` sends to `to`. Watches `from` once nothing more is read of it.
  struct Direction final : Stream::Observer {
    Direction(Stream& source, Stream& sink, RelayTap* looking, End source_failed, End sink_failed)
        : from(source), to(sink), tap(looking), from_failed(source_failed), to_failed(sink_failed) {}
    void on_disturbed(bool broken) override {
      // While it is read, the reader finds out, after what came before.
      if (broken && ended) relay->finish(from_failed, {ErrorCode::kReset});
    }

    Stream& from;
    Stream& to;
    RelayTap* const tap;
    const End from_failed;
    const End to_failed;
    Relay* relay = nullptr;
    uint64_t copied = 0;
    bool ended = false;  // `from` has sent its end, and that was passed on
  };

  Task<> copy(Direction& direction) {
    for (int reads = 1;; ++reads) {
      auto lease = co_await direction.from.read();
      if (!lease) {
        finish(direction.from_failed, lease.error());
        co_return;
      }
      if (lease->empty()) {
        direction.ended = true;
        direction.to.shutdown_write();
        co_return;
      }
      std::string_view bytes = lease->bytes();
      size_t passing = direction.tap ? direction.tap->pass(bytes) : bytes.size();
      iovec piece{const_cast<char*>(bytes.data()), passing};
      auto written = co_await direction.to.write({&piece, 1});
      if (!written) {
        fail_to_write(direction, written.error());
        co_return;
      }
      direction.copied += passing;
      if (passing < bytes.size()) {
        finish(End::kStopped, {});
        co_return;
      }
      if (reads % kReadsInARow == 0) co_await loop_.yield();
    }
  }

  /// What a side sent before it broke is still passed on: the other direction ends by itself.
  void fail_to_write(const Direction& direction, const Error& error) {
    if (token_.cancelled()) return finish(End::kCancelled, error);
    if (result_.end == End::kComplete) result_ = {.end = direction.to_failed, .error = error};
    const Direction& back = &direction == &from_client_ ? from_server_ : from_client_;
    if (back.ended) token_.cancel(CancelReason::kClientGone);
  }

  /// The first reason stays.
  void finish(End end, const Error& error) {
    if (token_.cancelled()) {
      if (result_.end == End::kComplete) result_.end = End::kCancelled;
      return;
    }
    if (result_.end == End::kComplete) result_ = {.end = end, .error = error};
    token_.cancel(CancelReason::kClientGone);
  }

  uint64_t progress() const {
    return client_.bytes_read() + client_.bytes_written() + server_.bytes_read() + server_.bytes_written();
  }
  void on_timer() override {
    uint64_t now = progress();
    quiet_looks_ = now == progress_ ? quiet_looks_ + 1 : 0;
    progress_ = now;
    if (quiet_looks_ == 2) return finish(End::kIdle, {});
    loop_.timers().arm(*this, loop_.now() + options_.idle / 2);
  }

  Loop& loop_;
  Stream& client_;
  Stream& server_;
  CancelToken& token_;
  const RelayOptions options_;
  Direction from_client_;
  Direction from_server_;
  RelayResult result_;
  uint64_t progress_ = 0;
  int quiet_looks_ = 0;  // of the timer, in a row
};

}  // namespace

Task<RelayResult> relay(Loop& loop, Stream& client, Stream& server, CancelToken& token,
                        RelayOptions options) {
  LinkedToken own(token);
  Relay relaying(loop, client, server, own, options);
  auto result = co_await relaying.run();
  client.unbind();
  server.unbind();
  co_return result;
}

}  // namespace sluice::io
