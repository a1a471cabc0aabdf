#include "store/quotas.h"

#include <algorithm>
#include <unordered_map>

#include "base/hash.h"
#include "io/linked_token.h"
#include "io/sleep.h"
#include "telemetry/process_log.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace sluice::store {

namespace {

/// A request waits for the disk no longer.
constexpr Duration kPatience = std::chrono::seconds(1);
/// Of a limit, a block is so small a part, and never larger than kMostBlock.
constexpr uint64_t kPart = 200;
constexpr uint64_t kMostBlock = 10'000;
/// Counters that are remembered while the disk fails; what others are granted then is lost with the process.
constexpr size_t kMostOwed = 65'536;

}  // namespace

uint64_t Quotas::block(uint64_t limit) { return std::clamp<uint64_t>(limit / kPart, 1, kMostBlock); }

int64_t Quotas::seconds_now(const io::Loop& loop) {
  return std::chrono::duration_cast<std::chrono::seconds>(loop.wall_now().time_since_epoch()).count();
}

LocalStore::Outcome Quotas::open(const std::string& folder) {
  if (store_.is_open()) return {};
  return store_.open(folder);
}

void Quotas::write_on(io::Loop& loop, io::Offload& offload) {
  loop_ = &loop;
  offload_ = &offload;
}

CounterKey Quotas::key(std::string_view identity, std::string_view text) const {
  XXH128_hash_t first = XXH3_128bits_withSeed(identity.data(), identity.size(), store_.seed());
  XXH128_hash_t whole = XXH3_128bits_withSeed(text.data(), text.size(), first.low64 ^ mix64(first.high64));
  return {whole.high64, whole.low64};
}

void Quotas::ask_for_more(const QuotaDemand& demand) { enqueue({demand, nullptr}); }

io::Task<> Quotas::await_more(io::Loop& loop, const QuotaDemand& demand, io::CancelToken& token) {
  auto waiter = std::make_shared<Waiter>(loop);
  enqueue({demand, waiter});
  io::LinkedToken patience(token);
  io::Deadline deadline(loop, loop.now() + kPatience, patience);
  while (!waiter->done && !patience.cancelled()) co_await waiter->signal.wait(patience);
  if (waiter->done) co_return;
  {
    std::lock_guard lock(mutex_);
    waiter->has_left = true;
  }
  if (token.cancelled()) co_return;
  failures_.fetch_add(1, std::memory_order_relaxed);
  grant_unwritten(demand, block(demand.limit) + demand.cost, seconds_now(loop));
}

void Quotas::grant_unwritten(const QuotaDemand& demand, uint64_t amount, int64_t now) {
  table_.grant_unwritten(demand.key, demand.period_end, amount, now);
  std::lock_guard lock(mutex_);
  if (owed_.size() < kMostOwed || owed_.contains(demand.key.low)) owed_[demand.key.low] = demand;
}

/// What the file is to be told of them.
std::vector<Grant> Quotas::owed_grants() {
  std::lock_guard lock(mutex_);
  std::vector<Grant> grants;
  for (const auto& [low, demand] : owed_)
    grants.push_back({.key = demand.key,
                      .period_end = demand.period_end,
                      .limit = demand.limit,
                      .wanted = 0,
                      .floor = table_.granted_until(demand.key, demand.period_end)});
  owed_.clear();
  return grants;
}

void Quotas::enqueue(Asked asked) {
  std::lock_guard lock(mutex_);
  queue_.push_back(std::move(asked));
  if (std::exchange(writing_, true)) return;
  loop_->post([this] { scope_.spawn(write_queue()); });
}

/// All that has come meanwhile goes into one transaction.
io::Task<> Quotas::write_queue() {
  for (;;) {
    std::vector<Asked> batch;
    {
      std::lock_guard lock(mutex_);
      batch.swap(queue_);
      writing_ = !batch.empty();
    }
    if (batch.empty()) co_return;
    std::vector<Grant> grants = grants_for(batch);
    if (grants.empty()) {
      tell(batch);
      continue;
    }
    size_t asked = grants.size();
    std::ranges::move(owed_grants(), std::back_inserter(grants));
    auto written = co_await offload_->run(*loop_, [this, &grants] { return store_.grant(grants); });
    bool good = written.has_value() && written->has_value();
    if (good) {
      writes_.fetch_add(1, std::memory_order_relaxed);
      if (std::exchange(failing_, false)) telemetry::log::info("the state can be written again");
    } else {
      report(written ? written->error() : "too much waits for the disk");
    }
    int64_t now = seconds_now(*loop_);
    for (const Grant& grant : grants) {
      bool is_owed = asked == 0;
      if (!is_owed) --asked;
      if (!good)
        grant_unwritten({.key = grant.key, .period_end = grant.period_end, .limit = grant.limit},
                        is_owed ? 0 : grant.wanted, now);
      else if (!is_owed)
        table_.granted(grant, now);
    }
    tell(batch);
  }
}

/// One for each counter. Whoever waits may find by now that it need not.
std::vector<Grant> Quotas::grants_for(const std::vector<Asked>& batch) const {
  std::vector<Grant> grants;
  std::unordered_map<uint64_t, size_t> places;  // by a half of the key
  for (const Asked& each : batch) {
    const QuotaDemand& demand = each.demand;
    if (each.waiter && peek(demand).outcome != QuotaTable::Taken::Outcome::kUnknown) continue;
    auto [place, is_new] = places.try_emplace(demand.key.low, grants.size());
    uint64_t wanted = std::max(block(demand.limit), demand.cost);
    if (is_new || grants[place->second].key != demand.key)
      // What was granted while the disk failed is not in the file.
      grants.push_back({.key = demand.key,
                        .period_end = demand.period_end,
                        .limit = demand.limit,
                        .wanted = wanted,
                        .floor = table_.granted_until(demand.key, demand.period_end)});
    else
      grants[place->second].wanted += demand.cost;
  }
  return grants;
}

void Quotas::tell(const std::vector<Asked>& batch) {
  std::lock_guard lock(mutex_);
  for (const Asked& each : batch) {
    if (!each.waiter || each.waiter->has_left) continue;
    each.waiter->loop.post([waiter = each.waiter] {
      waiter->done = true;
      waiter->signal.tell();
    });
  }
}

void Quotas::report(const std::string& problem) {
  failures_.fetch_add(1, std::memory_order_relaxed);
  if (!std::exchange(failing_, true))
    telemetry::log::error("quotas are counted in memory alone: {}", problem);
}

void Quotas::close() {
  if (!store_.is_open() || !loop_) return;
  int64_t now = seconds_now(*loop_);
  std::vector<Grant> owed = owed_grants();
  auto given = store_.grant(owed);
  if (given) given = store_.give_back(table_.unspent(now));
  if (given) given = store_.forget_before(now);
  if (!given) report(given.error());
}

}  // namespace sluice::store
