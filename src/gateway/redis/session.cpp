#include "gateway/redis/session.h"

#include "gateway/redis/topology.h"
#include "io/linked_token.h"
#include "io/sleep.h"

namespace sluice::gateway {

namespace {

constexpr std::string_view kEnded = "the connection has ended";
/// Of answers about a topology: each slot may be an entry of its own.
constexpr RedisReplyReader::Bounds kTopologyBounds{.bytes = 4 << 20, .items = kSlots};

}  // namespace

RedisSession::~RedisSession() {
  if (!connection_) return;
  connection_->stream().unbind();
  pool_->give_back(connection_, false);
}

io::Task<std::expected<void, std::string>> RedisSession::open(const RedisLogin& login, uint32_t database,
                                                              bool must_be_master) {
  const Upstream& upstream = *store_.upstream;
  pool_ = &environment_.pools.of(target_, upstream);
  ConnectionPool::Wish wish{.opaque = true};
  auto connection = co_await pool_->connect(token_, upstream.timeouts.connect, wish);
  if (!connection) co_return std::unexpected(std::string(io::error_text(connection.error().code)));
  connection_ = *connection;
  connection_->stream().bind(token_);
  auto greeted = co_await greet(login, database, must_be_master);
  co_return greeted;
}

io::Task<std::expected<void, std::string>> RedisSession::greet(const RedisLogin& login, uint32_t database,
                                                               bool must_be_master) {
  std::string greeting;
  int replies = 0;
  auto say = [&](std::string command) {
    greeting += command;
    ++replies;
  };
  if (!login.password.empty())
    say(login.user.empty() ? redis_command({"AUTH", login.password})
                           : redis_command({"AUTH", login.user, login.password}));
  if (database != 0) say(redis_command({"SELECT", std::to_string(database)}));
  if (must_be_master) say(redis_command({"ROLE"}));
  if (replies == 0) co_return std::expected<void, std::string>();
  io::Deadline deadline(environment_.loop, environment_.loop.now() + store_.upstream->timeouts.connect,
                        token_);
  bool written = co_await write(greeting);
  std::optional<RedisReply> reply;
  for (int i = 0; i < replies && written; ++i) {
    reply = co_await read();
    if (!reply) break;
    if (reply->kind == RedisReply::Kind::kError) co_return std::unexpected(reply->text);
  }
  if (!reply) co_return std::unexpected(std::string(kEnded));
  if (must_be_master && !is_master(*reply)) co_return std::unexpected(target_.authority + " is no master");
  co_return std::expected<void, std::string>();
}

io::Task<bool> RedisSession::write(std::string_view bytes) {
  iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  auto written = co_await connection_->stream().write({&piece, 1});
  co_return written.has_value();
}

io::Task<std::optional<RedisReply>> RedisSession::read() {
  for (;;) {
    auto reply = reader_.next();
    if (reply || reader_.broken()) co_return reply;
    auto bytes = co_await connection_->stream().read();
    if (!bytes || bytes->empty()) co_return std::nullopt;
    reader_.feed(bytes->bytes());
  }
}

io::Task<std::expected<RedisReply, std::string>> ask_once(RedisEnvironment environment,
                                                          const RedisStore& store, Target target,
                                                          const RedisLogin& login, std::string command,
                                                          io::CancelToken& token) {
  io::LinkedToken patience(token);
  io::Deadline deadline(environment.loop, environment.loop.now() + store.upstream->timeouts.connect,
                        patience);
  RedisSession session(environment, store, std::move(target), patience, kTopologyBounds);
  auto opened = co_await session.open(login, 0, false);
  if (!opened) co_return std::unexpected(opened.error());
  bool written = co_await session.write(command);
  std::optional<RedisReply> reply;
  if (written) reply = co_await session.read();
  if (!reply) co_return std::unexpected(std::string(kEnded));
  if (reply->kind == RedisReply::Kind::kError) co_return std::unexpected(reply->text);
  co_return std::move(*reply);
}

}  // namespace sluice::gateway
