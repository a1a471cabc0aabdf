#include "gateway/redis/connection.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/redis/sentinel.h"
#include "io/linked_token.h"
#include "io/sleep.h"
#include "telemetry/process_log.h"

namespace sluice::gateway {

namespace {

using Failure = telemetry::StoreResult;

/// Between two tries to connect; doubled each time.
constexpr Duration kFirstPause = std::chrono::milliseconds(50);
constexpr Duration kLongestPause = std::chrono::seconds(2);
/// A reply that does not come for so long never comes: the connection is given up.
constexpr Duration kSilence = std::chrono::seconds(1);

}  // namespace

RedisConnection::RedisConnection(const RedisEnvironment& environment, const RedisStore& store,
                                 std::optional<Target> node)
    : environment_(environment),
      loop_(environment.loop),
      store_(store),
      node_(std::move(node)),
      more_(environment.loop) {}

io::Task<RedisAnswer> RedisConnection::ask(std::string_view command, bool asking, io::CancelToken& token,
                                           Instant until) {
  bool rests = state_ == State::kDown && loop_.now() < retry_at_;
  if (closed_ || rests || waiting_.size() >= kMostWaiting) co_return std::unexpected(Failure::kDisconnected);
  // Replies come in order: while an earlier command is overdue, this one's would be too.
  Duration behind = waiting_.empty() ? Duration::zero() : loop_.now() - waiting_.front()->since;
  if (behind >= store_.timeout) {
    if (behind > kSilence && state_ == State::kReady) token_->cancel(io::CancelReason::kDeadline);
    co_return std::unexpected(Failure::kTimeout);
  }
  if (state_ == State::kDown) {
    state_ = State::kConnecting;
    scope_.spawn(run());
  }
  auto mine = std::make_shared<Waiting>(loop_, loop_.now());
  mine->asking = asking;
  waiting_.push_back(mine);
  if (asking) out_ += redis_command({"ASKING"});
  out_ += command;
  more_.tell();
  ++asking_;
  io::LinkedToken patience(token);
  io::Deadline deadline(loop_, until, patience);
  while (!mine->done && !mine->failed && !patience.cancelled()) co_await mine->signal.wait(patience);
  --asking_;
  if (mine->failed) co_return std::unexpected(Failure::kDisconnected);
  if (!mine->done) co_return std::unexpected(Failure::kTimeout);
  co_return std::move(mine->reply);
}

/// One connection from its beginning to its end.
io::Task<> RedisConnection::run() {
  token_ = std::make_unique<io::CancelToken>();
  std::string why = co_await connect_and_use();
  went_down(why);
  if (follows_sentinels()) store_.forget_nodes(environment_.pools);
}

/// Why it has ended.
io::Task<std::string> RedisConnection::connect_and_use() {
  std::expected<Target, std::string> target = node_ ? *node_ : store_.named().front();
  if (follows_sentinels()) {
    target = co_await find_master(environment_, store_, first_sentinel_, *token_);
  }
  if (!target) co_return target.error();
  RedisSession session(environment_, store_, std::move(*target), *token_);
  auto opened = co_await session.open(store_.login, store_.database, follows_sentinels());
  if (!opened) {
    ++first_sentinel_;  // another one may know better
    co_return opened.error();
  }
  auto why = co_await use(session);
  co_return why;
}

io::Task<std::string> RedisConnection::use(RedisSession& session) {
  state_ = State::kReady;
  pause_ = {};
  environment_.metrics.add(store_.metrics.connected, 1);
  io::TaskScope writing;
  writing.spawn(write(session));
  std::string why = "the connection has ended";
  while (!closed_) {
    auto reply = co_await session.read();
    if (!reply || waiting_.empty()) break;
    bool demoted =
        follows_sentinels() && reply->kind == RedisReply::Kind::kError && reply->text.starts_with("READONLY");
    take(std::move(*reply));
    if (!demoted) continue;
    why = "it is no master any more";
    break;
  }
  environment_.metrics.add(store_.metrics.connected, -1);
  token_->cancel(io::CancelReason::kRevoked);
  co_await writing.join();
  co_return why;
}

void RedisConnection::take(RedisReply reply) {
  std::shared_ptr<Waiting>& first = waiting_.front();
  if (std::exchange(first->asking, false)) return;
  first->reply = std::move(reply);
  first->done = true;
  first->signal.tell();
  waiting_.pop_front();
}

io::Task<> RedisConnection::write(RedisSession& session) {
  for (;;) {
    while (out_.empty() && !token_->cancelled()) co_await more_.wait(*token_);
    if (token_->cancelled()) co_return;
    std::string piece = std::exchange(out_, {});
    bool written = co_await session.write(piece);
    if (written) continue;
    token_->cancel(io::CancelReason::kRevoked);
    co_return;
  }
}

void RedisConnection::went_down(std::string_view why) {
  bool first = pause_ == Duration::zero();
  pause_ = std::clamp(pause_ * 2, kFirstPause, kLongestPause);
  retry_at_ = loop_.now() + pause_;
  state_ = State::kDown;
  out_.clear();
  for (const auto& each : waiting_) {
    each->failed = true;
    each->signal.tell();
  }
  waiting_.clear();
  if (!first || closed_) return;
  std::string which = node_ ? fmt::format("node {} of store {}", node_->authority, store_.name)
                            : fmt::format("store {}", store_.name);
  telemetry::log::warning("{} cannot be used: {}", which, why);
}

void RedisConnection::close() {
  closed_ = true;
  if (token_) token_->cancel(io::CancelReason::kDrain);
}

}  // namespace sluice::gateway
