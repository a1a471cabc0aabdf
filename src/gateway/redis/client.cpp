#include "gateway/redis/client.h"

#include <algorithm>

#include "io/linked_token.h"
#include "io/sleep.h"
#include "telemetry/process_log.h"

namespace sluice::gateway {

namespace {

/// Between two tries to connect; doubled each time.
constexpr Duration kFirstPause = std::chrono::milliseconds(50);
constexpr Duration kLongestPause = std::chrono::seconds(2);
/// A reply that does not come for so long never comes: the connection is given up.
constexpr Duration kSilence = std::chrono::seconds(1);

}  // namespace

io::Task<RedisClient::Answer> RedisClient::ask(std::string command, io::CancelToken& token) {
  bool rests = state_ == State::kDown && loop_.now() < retry_at_;
  if (closed_ || rests || waiting_.size() >= kMostWaiting) {
    count(Failure::kDisconnected);
    co_return std::unexpected(Failure::kDisconnected);
  }
  // Replies come in order: while an earlier command is overdue, this one's would be too.
  Duration behind = waiting_.empty() ? Duration::zero() : loop_.now() - waiting_.front()->since;
  if (behind >= store_->timeout) {
    count(Failure::kTimeout);
    if (behind > kSilence && state_ == State::kReady) token_->cancel(io::CancelReason::kDeadline);
    co_return std::unexpected(Failure::kTimeout);
  }
  if (state_ == State::kDown) {
    state_ = State::kConnecting;
    scope_.spawn(run());
  }
  auto mine = std::make_shared<Waiting>(loop_, loop_.now());
  waiting_.push_back(mine);
  out_ += command;
  more_.tell();
  io::LinkedToken patience(token);
  io::Deadline deadline(loop_, loop_.now() + store_->timeout, patience);
  while (!mine->done && !mine->failed && !patience.cancelled()) co_await mine->signal.wait(patience);
  Failure result = Failure::kOk;
  if (mine->failed)
    result = Failure::kDisconnected;
  else if (!mine->done)
    result = Failure::kTimeout;
  else if (mine->reply.kind == RedisReply::Kind::kError)
    result = Failure::kError;
  count(result);
  if (result == Failure::kOk || result == Failure::kError) co_return std::move(mine->reply);
  co_return std::unexpected(result);
}

/// One connection from its beginning to its end.
io::Task<> RedisClient::run() {
  const Upstream& upstream = *store_->upstream;
  ConnectionPool& pool = pools_.of(*upstream.view().targets.front(), upstream);
  token_ = std::make_unique<io::CancelToken>();
  auto connection =
      co_await pool.connect(*token_, upstream.timeouts.connect, ConnectionPool::Wish{.opaque = true});
  if (!connection) {
    went_down(io::error_text(connection.error().code));
    co_return;
  }
  io::Stream& stream = (*connection)->stream();
  stream.bind(*token_);
  co_await use(stream);
  stream.unbind();
  pool.give_back(*connection, false);
}

io::Task<> RedisClient::use(io::Stream& stream) {
  reader_ = std::make_unique<RedisReplyReader>();
  bool greeted = co_await greet(stream);
  if (!greeted) co_return;
  state_ = State::kReady;
  pause_ = {};
  metrics_.add(store_->metrics.connected, 1);
  io::TaskScope writing;
  writing.spawn(write(stream));
  while (!closed_) {
    auto reply = co_await read(stream);
    if (!reply || waiting_.empty()) break;
    std::shared_ptr<Waiting> first = std::move(waiting_.front());
    waiting_.pop_front();
    first->reply = std::move(*reply);
    first->done = true;
    first->signal.tell();
  }
  metrics_.add(store_->metrics.connected, -1);
  token_->cancel(io::CancelReason::kRevoked);
  co_await writing.join();
  went_down("the connection has ended");
}

/// Who we are, and which database; false: it was told, and has gone down.
io::Task<bool> RedisClient::greet(io::Stream& stream) {
  std::string greeting;
  int replies = 0;
  if (!store_->password.empty()) {
    greeting += store_->user.empty() ? redis_command({"AUTH", store_->password})
                                     : redis_command({"AUTH", store_->user, store_->password});
    ++replies;
  }
  if (store_->database != 0) {
    greeting += redis_command({"SELECT", std::to_string(store_->database)});
    ++replies;
  }
  if (greeting.empty()) co_return true;
  io::Deadline deadline(loop_, loop_.now() + store_->upstream->timeouts.connect, *token_);
  iovec piece{greeting.data(), greeting.size()};
  auto written = co_await stream.write({&piece, 1});
  for (int i = 0; i < replies && written; ++i) {
    auto reply = co_await read(stream);
    bool good = reply && reply->kind != RedisReply::Kind::kError;
    if (good) continue;
    went_down(reply ? reply->text : "the connection has ended");
    co_return false;
  }
  if (!written) went_down("the connection has ended");
  co_return written.has_value();
}

io::Task<> RedisClient::write(io::Stream& stream) {
  for (;;) {
    while (out_.empty() && !token_->cancelled()) co_await more_.wait(*token_);
    if (token_->cancelled()) co_return;
    std::string piece = std::exchange(out_, {});
    iovec bytes{piece.data(), piece.size()};
    auto written = co_await stream.write({&bytes, 1});
    if (written) continue;
    token_->cancel(io::CancelReason::kRevoked);
    co_return;
  }
}

/// Nothing: the connection has ended, or what comes over it is not the protocol.
io::Task<std::optional<RedisReply>> RedisClient::read(io::Stream& stream) {
  for (;;) {
    auto reply = reader_->next();
    if (reply || reader_->broken()) co_return reply;
    auto bytes = co_await stream.read();
    if (!bytes || bytes->empty()) co_return std::nullopt;
    reader_->feed(bytes->bytes());
  }
}

void RedisClient::went_down(std::string_view why) {
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
  if (first && !closed_) telemetry::log::warning("store {} cannot be used: {}", store_->name, why);
}

void RedisClient::close() {
  closed_ = true;
  if (token_) token_->cancel(io::CancelReason::kDrain);
}

RedisClient& RedisClients::of(const std::shared_ptr<const RedisStore>& store) {
  std::unique_ptr<RedisClient>& client = clients_[store.get()];
  if (!client) client = std::make_unique<RedisClient>(loop_, metrics_, pools_, store);
  return *client;
}

void RedisClients::forget_unused() {
  std::erase_if(clients_, [](const auto& each) {
    RedisClient& client = *each.second;
    if (client.store().use_count() > 1) return false;
    client.close();
    return client.is_idle();
  });
}

io::Task<> RedisClients::close() {
  for (auto& [store, client] : clients_) client->close();
  for (auto& [store, client] : clients_) co_await client->join();
}

}  // namespace sluice::gateway
