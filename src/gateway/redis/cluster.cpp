#include "gateway/redis/cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "io/linked_token.h"
#include "io/sleep.h"
#include "telemetry/process_log.h"

namespace sluice::gateway {

namespace {

using Failure = telemetry::StoreResult;

/// Between two looks at who has which slots; doubled while they follow each other.
constexpr Duration kFirstPause = std::chrono::milliseconds(50);
constexpr Duration kLongestPause = std::chrono::seconds(2);
/// Asked in one look; the next one asks others.
constexpr size_t kMostAsked = 8;

}  // namespace

io::Task<RedisAnswer> RedisCluster::ask(std::string_view key, std::string_view command,
                                        io::CancelToken& token, Instant until) {
  const uint16_t slot = slot_of(key);
  if (owners_.empty()) {
    auto outcome = co_await await_slots(token, until);
    if (outcome != Failure::kOk) co_return std::unexpected(outcome);
  }
  Node* node = owner(slot);
  bool asking = false;
  bool followed[2] = {};  // by kind
  for (;;) {
    if (!node) {
      refresh_soon();
      co_return std::unexpected(Failure::kDisconnected);
    }
    auto answer = co_await node->connection.ask(command, asking, token, until);
    if (!answer) {
      if (answer.error() == Failure::kDisconnected) refresh_soon();
      co_return answer;
    }
    if (answer->kind != RedisReply::Kind::kError) co_return answer;
    if (answer->text.starts_with("CLUSTERDOWN")) refresh_soon();
    auto redirection = read_redirection(*answer, node->address.host);
    if (!redirection || redirection->slot != slot) co_return answer;
    if (std::exchange(followed[static_cast<size_t>(redirection->kind)], true)) co_return answer;
    node = redirected(*redirection);
    asking = redirection->kind == Redirection::Kind::kAsk;
  }
}

/// kOk: it is known who has which slots.
io::Task<telemetry::StoreResult> RedisCluster::await_slots(io::CancelToken& token, Instant until) {
  refresh_soon();
  if (!refreshing_ || waiting_ >= RedisConnection::kMostWaiting) co_return Failure::kDisconnected;
  // As with a command that is overdue: one waits, not all.
  if (loop_.now() - refreshing_since_ >= store_.timeout) co_return Failure::kTimeout;
  Waiter waiter(loop_);
  waiters_.push_back(waiter);
  ++waiting_;
  io::LinkedToken patience(token);
  io::Deadline deadline(loop_, until, patience);
  while (refreshing_ && !patience.cancelled()) co_await waiter.signal.wait(patience);
  waiter.unlink();
  --waiting_;
  if (!owners_.empty()) co_return Failure::kOk;
  co_return refreshing_ ? Failure::kTimeout : Failure::kDisconnected;
}

RedisCluster::Node* RedisCluster::owner(uint16_t slot) const {
  uint16_t number = owners_[slot];
  return number == kNobody ? nullptr : nodes_[number].get();
}

RedisCluster::Node* RedisCluster::node_at(const RedisAddress& address) {
  auto known = std::ranges::find_if(nodes_, [&](const auto& node) { return node->address == address; });
  if (known != nodes_.end()) return known->get();
  if (closed_ || nodes_.size() >= kMostNodes) return nullptr;
  nodes_.push_back(std::make_unique<Node>(environment_, store_, address, store_.node(address)));
  return nodes_.back().get();
}

RedisCluster::Node* RedisCluster::redirected(const Redirection& to) {
  Node* node = node_at(to.to);
  if (to.kind == Redirection::Kind::kAsk) return node;
  // Where one slot has moved to, others have too.
  refresh_soon();
  if (!node) return nullptr;
  auto number = std::ranges::find(nodes_, node, [](const auto& each) { return each.get(); }) - nodes_.begin();
  owners_[to.slot] = static_cast<uint16_t>(number);
  return node;
}

/// Now, unless it was just done: then who asks next comes here again.
void RedisCluster::refresh_soon() {
  if (closed_ || refreshing_ || loop_.now() < refresh_at_) return;
  if (loop_.now() >= refresh_at_ + kLongestPause) pause_ = {};
  refreshing_ = true;
  refreshing_since_ = loop_.now();
  scope_.spawn(refresh());
}

io::Task<> RedisCluster::refresh() {
  std::string why = co_await learn();
  bool failed = !why.empty();
  if (failed && !failing_ && !closed_)
    telemetry::log::warning("store {} cannot be used: no node says who has which keys: {}", store_.name, why);
  failing_ = failed;
  pause_ = std::clamp(pause_ * 2, kFirstPause, kLongestPause);
  refresh_at_ = loop_.now() + pause_;
  refreshing_ = false;
  waiters_.for_each([](Waiter& waiter) { waiter.signal.tell(); });
  std::erase_if(leaving_, [](const auto& node) { return node->connection.is_idle(); });
  store_.forget_nodes(environment_.pools);
}

/// Why not, when nobody has answered.
io::Task<std::string> RedisCluster::learn() {
  std::string why;
  std::vector<Target> asked = whom_to_ask();
  for (const Target& target : asked) {
    if (closed_) break;
    std::string command = redis_command({"CLUSTER", "SLOTS"});
    auto reply = co_await ask_once(environment_, store_, target, store_.login, std::move(command), token_);
    if (!reply) {
      why = fmt::format("{}: {}", target.authority, reply.error());
      continue;
    }
    auto slots = read_cluster_slots(*reply, target.identity->host);
    if (!slots) {
      why = fmt::format("{} does not know it", target.authority);
      continue;
    }
    take(*slots);
    co_return std::string();
  }
  if (why.empty()) why = "it is being closed";
  co_return why;
}

/// In turn: one that is cut off from the others may say for long how they were.
std::vector<Target> RedisCluster::whom_to_ask() {
  std::vector<Target> all;
  for (const auto& node : nodes_) all.push_back(node->target);
  for (const Target& seed : store_.named()) {
    auto same = [&](const Target& target) { return target.authority == seed.authority; };
    if (std::ranges::none_of(all, same)) all.push_back(seed);
  }
  std::ranges::rotate(all, all.begin() + static_cast<ptrdiff_t>(asked_++ % all.size()));
  if (all.size() > kMostAsked) all.resize(kMostAsked);
  return all;
}

void RedisCluster::take(const ClusterSlots& slots) {
  std::map<std::string, std::unique_ptr<Node>> known;
  for (auto& node : nodes_) known.emplace(node->target.authority, std::move(node));
  nodes_.clear();
  for (const RedisAddress& address : slots.nodes) {
    std::unique_ptr<Node>& node = known[config::to_text(address)];
    if (!node) node = std::make_unique<Node>(environment_, store_, address, store_.node(address));
    nodes_.push_back(std::move(node));
  }
  for (auto& [authority, node] : known) {
    if (!node) continue;
    node->connection.close();
    leaving_.push_back(std::move(node));
  }
  owners_.assign(kSlots, kNobody);
  for (const ClusterSlots::Range& range : slots.ranges)
    std::fill(owners_.begin() + range.first, owners_.begin() + range.last + 1, range.node);
}

void RedisCluster::close() {
  closed_ = true;
  token_.cancel(io::CancelReason::kDrain);
  for (auto& node : nodes_) node->connection.close();
}

bool RedisCluster::is_idle() const {
  auto idle = [](const auto& node) { return node->connection.is_idle(); };
  return scope_.active() == 0 && waiting_ == 0 && std::ranges::all_of(nodes_, idle) &&
         std::ranges::all_of(leaving_, idle);
}

io::Task<> RedisCluster::join() {
  co_await scope_.join();
  for (auto& node : nodes_) co_await node->connection.join();
  for (auto& node : leaving_) co_await node->connection.join();
}

}  // namespace sluice::gateway
