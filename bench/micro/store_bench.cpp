// What a request pays for its limit and its credential. "Dependent" probes wait for each other, as the one
// probe of a request does; independent ones overlap in the processor and show throughput.
#include <benchmark/benchmark.h>

#include <array>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "base/random.h"
#include "store/credentials.h"
#include "store/quota_table.h"
#include "store/rate_table.h"
#include "store/window_table.h"

namespace sluice::store {
namespace {

const Instant kStart = Instant(std::chrono::seconds(1000));

void rate_key(benchmark::State& state) {
  RateTable table(1);
  std::string text(static_cast<size_t>(state.range(0)), 'x');
  for (auto _ : state) {
    benchmark::DoNotOptimize(text.data());
    benchmark::DoNotOptimize(table.key(7, text));
  }
}
BENCHMARK(rate_key)->Arg(10)->Arg(40);

void rate_take_one_key(benchmark::State& state) {
  static RateTable table(1);
  RateKey key = table.key(1, "a");
  RateRule limit = RateRule::of(1'000'000, std::chrono::seconds(1), 1'000'000);
  Instant now = kStart;
  for (auto _ : state) {
    now += std::chrono::microseconds(1);
    benchmark::DoNotOptimize(table.take(key, limit, now));
  }
}
BENCHMARK(rate_take_one_key)->Threads(1)->Threads(2);

void rate_refuse_one_key(benchmark::State& state) {
  RateTable table(1);
  RateKey key = table.key(1, "a");
  RateRule limit = RateRule::of(1, std::chrono::hours(1), 1);
  for (auto _ : state) benchmark::DoNotOptimize(table.take(key, limit, kStart));
}
BENCHMARK(rate_refuse_one_key);

/// Live keys asked in a random order, each only after the one before was answered.
void rate_take_many_keys(benchmark::State& state) {
  auto many = static_cast<size_t>(state.range(0));
  RateTable table(1);
  RateRule limit = RateRule::of(1'000'000, std::chrono::hours(1), 1'000'000);
  std::vector<RateKey> keys;
  for (size_t i = 0; i < many; ++i) {
    keys.push_back(table.key(i, "address"));
    table.take(keys.back(), limit, kStart);
  }
  Random random(1);
  std::vector<RateKey> asked;
  for (size_t i = 0; i < 65'536; ++i) asked.push_back(keys[random.below(many)]);
  size_t at = 0;
  for (auto _ : state) {
    RateDecision decision = table.take(asked[at & 65'535], limit, kStart);
    at += 1 + (decision.remaining >> 60);  // adds 1
  }
  state.counters["evictions"] = static_cast<double>(table.evictions());
}
BENCHMARK(rate_take_many_keys)->Arg(1'000)->Arg(50'000)->Arg(1'000'000);

uint64_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  uint64_t whole = 0;
  uint64_t resident = 0;
  statm >> whole >> resident;
  return resident * 4096;
}

/// What a million live keys take of memory, and that none has to make room for another.
template <class Table, class Take>
void live_keys(benchmark::State& state, Table& table, Take take) {
  constexpr size_t kKeys = 1'000'000;
  uint64_t before = resident_bytes();
  for (auto _ : state)
    for (size_t i = 0; i < kKeys; ++i) take(table, i);
  state.counters["bytes_a_key"] = static_cast<double>(resident_bytes() - before) / kKeys;
  state.counters["target_bytes_a_key"] = 100;
  state.counters["evictions"] = static_cast<double>(table.evictions());
  state.counters["target_evictions"] = 0;
}

void rate_live_keys(benchmark::State& state) {
  RateTable table(1);
  RateRule limit = RateRule::of(10, std::chrono::hours(1), 10);
  live_keys(state, table, [&](RateTable& of, size_t i) { of.take(of.key(i, "address"), limit, kStart); });
}
BENCHMARK(rate_live_keys)->Iterations(1)->Unit(benchmark::kMillisecond);

void window_live_keys(benchmark::State& state) {
  WindowTable table(1);
  WindowRule limit = WindowRule::of(10, std::chrono::hours(1));
  live_keys(state, table, [&](WindowTable& of, size_t i) { of.take(of.key(i, "address"), limit, kStart); });
}
BENCHMARK(window_live_keys)->Iterations(1)->Unit(benchmark::kMillisecond);

void quota_live_keys(benchmark::State& state) {
  QuotaTable table;
  live_keys(state, table, [](QuotaTable& of, size_t i) {
    CounterKey key{mix64(i), mix64(i + (uint64_t{1} << 40))};
    of.granted({.key = key, .period_end = 2'000'000'000, .from = 0, .to = 10}, 1'000'000'000);
    of.take(key, 2'000'000'000, 1000, 10, 1);
  });
}
BENCHMARK(quota_live_keys)->Iterations(1)->Unit(benchmark::kMillisecond);

std::string secret(size_t number) {
  return "sk_live_" + std::to_string(number * 2'654'435'761 + 10'000'000'000'000'000);
}

struct Million {
  static constexpr size_t kKeys = 1'000'000;
  static constexpr size_t kAsked = 65'536;

  Million() : hasher(std::array<std::byte, KeyedHasher::kKeyBytes>{}) {
    for (size_t i = 0; i < 1000; ++i)
      consumers.push_back(Consumer::of("consumer-" + std::to_string(i), {"partners"}, {}));
    for (size_t i = 0; i < kKeys; ++i)
      entries.push_back({hasher(secret(i)), static_cast<uint32_t>(i % 1000), PublicPrefix::of(secret(i))});
    table.replace_all(consumers, entries);
    Random random(1);
    for (size_t i = 0; i < kAsked; ++i) {
      size_t which = random.below(kKeys);
      secrets.push_back(secret(which));
      digests.push_back(entries[which].digest);
    }
  }
  static Million& get() {
    static Million million;
    return million;
  }

  KeyedHasher hasher;
  std::vector<Consumer> consumers;
  std::vector<CredentialTable::Entry> entries;
  std::vector<std::string> secrets;
  std::vector<Digest> digests;
  EpochDomain domain;
  CredentialTable table{domain};
};

void credential_digest(benchmark::State& state) {
  KeyedHasher hasher(std::array<std::byte, KeyedHasher::kKeyBytes>{});
  std::string text(static_cast<size_t>(state.range(0)), 'x');
  for (auto _ : state) {
    Digest digest = hasher(text);
    text[0] = static_cast<char>('a' + (digest.words[0] & 7));
  }
}
BENCHMARK(credential_digest)->Arg(24)->Arg(55)->Arg(100);

void credential_probe(benchmark::State& state) {
  Million& million = Million::get();
  size_t at = 0;
  for (auto _ : state)
    benchmark::DoNotOptimize(million.table.find(million.digests[at++ % Million::kAsked])->consumer);
  state.counters["bytes_a_key"] = static_cast<double>(million.table.bytes()) / Million::kKeys;
}
BENCHMARK(credential_probe);

void credential_probe_dependent(benchmark::State& state) {
  Million& million = Million::get();
  size_t at = 0;
  for (auto _ : state) {
    const Credential* found = million.table.find(million.digests[at % Million::kAsked]);
    at += 1 + (reinterpret_cast<uintptr_t>(found->consumer) >> 60);  // adds 1
  }
}
BENCHMARK(credential_probe_dependent);

/// An unknown secret: what a guesser costs.
void credential_probe_absent(benchmark::State& state) {
  Million& million = Million::get();
  size_t at = 0;
  for (auto _ : state) {
    Digest digest = million.digests[at % Million::kAsked];
    digest.words[3] ^= 1;
    digest.words[1] ^= uint64_t{1} << 50;
    at += 1 + (million.table.find(digest) != nullptr);
  }
}
BENCHMARK(credential_probe_absent);

void credential_digest_and_probe(benchmark::State& state) {
  Million& million = Million::get();
  size_t at = 0;
  for (auto _ : state) {
    const Credential* found = million.table.find(million.hasher(million.secrets[at % Million::kAsked]));
    at += 1 + (reinterpret_cast<uintptr_t>(found->consumer) >> 60);  // adds 1
  }
}
BENCHMARK(credential_digest_and_probe);

void credential_identity_copy(benchmark::State& state) {
  Million& million = Million::get();
  const Credential* found = million.table.find(million.digests[0]);
  std::array<std::byte, 1024> first;
  Arena arena(first);
  for (auto _ : state) {
    benchmark::DoNotOptimize(Identity::copy(*found, arena));
    arena.reset();
  }
}
BENCHMARK(credential_identity_copy);

void epoch_quiescent(benchmark::State& state) {
  EpochDomain domain;
  EpochReader reader(domain);
  reader.online();
  for (auto _ : state) reader.quiescent();
}
BENCHMARK(epoch_quiescent);

void epoch_offline_online(benchmark::State& state) {
  EpochDomain domain;
  EpochReader reader(domain);
  for (auto _ : state) {
    reader.online();
    reader.offline();
  }
}
BENCHMARK(epoch_offline_online);

/// A reload that changes nothing of a million credentials, and then one key by itself.
void credential_replace_all(benchmark::State& state) {
  Million& million = Million::get();
  for (auto _ : state) million.table.replace_all(million.consumers, million.entries);
}
BENCHMARK(credential_replace_all)->Unit(benchmark::kMillisecond);

void credential_upsert_erase(benchmark::State& state) {
  Million& million = Million::get();
  Digest digest = million.hasher("one more");
  for (auto _ : state) {
    million.table.upsert(digest, "consumer-1", {});
    million.table.erase(digest);
  }
}
BENCHMARK(credential_upsert_erase);

}  // namespace
}  // namespace sluice::store
