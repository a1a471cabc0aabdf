#include "store/credentials.h"

#include <algorithm>
#include <bit>
#include <cassert>
#include <new>
#include <utility>

#include "store/zeroed_pages.h"

namespace sluice::store {

PublicPrefix PublicPrefix::of(std::string_view secret) {
  PublicPrefix prefix;
  std::string_view first = secret.substr(0, kLength);
  bool visible = std::ranges::all_of(first, [](char c) { return c > ' ' && c <= '~'; });
  if (secret.size() >= kMinimumSecret && visible) std::ranges::copy(first, prefix.text_.begin());
  return prefix;
}

Consumer Consumer::of(std::string name, std::vector<std::string> groups, std::vector<std::string> roles,
                      std::vector<Subscription> subscriptions) {
  std::string text;
  for (const std::string& group : groups) {
    if (!text.empty()) text += ", ";
    text += group;
  }
  return {std::move(name), std::move(groups), std::move(roles), std::move(text), std::move(subscriptions)};
}

bool Identity::is_in(std::string_view group) const {
  for (std::string_view rest = groups; !rest.empty();) {
    size_t comma = rest.find(", ");
    if (rest.substr(0, comma) == group) return true;
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 2);
  }
  return false;
}

Identity Identity::copy(const Credential& credential, Arena& arena) {
  const Consumer& consumer = *credential.consumer;
  std::span<std::string_view> roles;
  if (!consumer.roles.empty()) {
    roles = arena.allocate_array<std::string_view>(consumer.roles.size());
    std::ranges::transform(consumer.roles, roles.begin(),
                           [&](const std::string& r) { return arena.copy(r); });
  }
  std::span<Subscribed> subscriptions;
  if (!consumer.subscriptions.empty()) {
    subscriptions = arena.allocate_array<Subscribed>(consumer.subscriptions.size());
    std::ranges::transform(consumer.subscriptions, subscriptions.begin(), [&](const Subscription& each) {
      return Subscribed{arena.copy(each.api), arena.copy(each.plan)};
    });
  }
  std::string_view digest(reinterpret_cast<const char*>(credential.digest.words.data()), 16);
  return {arena.copy(consumer.name),
          arena.copy(consumer.groups_text),
          arena.copy(credential.prefix.view()),
          arena.copy(digest),
          roles,
          subscriptions};
}

/// Open-addressed, linear probing. A slot is a record's address with 16 bits of its digest in front, so that
/// a probe reads no record but, nearly always, the right one. Digests are keyed: nobody can choose where they
/// fall.
struct CredentialTable::Index {
  using Slot = std::atomic<uint64_t>;
  static constexpr uint64_t kEmpty = 0;
  static constexpr uint64_t kErased = 1;  // a probe goes on
  static constexpr int kAddressBits = 48;
  static constexpr uint64_t kAddress = (uint64_t{1} << kAddressBits) - 1;
  static constexpr size_t kMinimumSlots = 512;  // one page

  /// With room for `keys` at most 5/8 full.
  explicit Index(size_t keys)
      : slots_count(std::max(kMinimumSlots, std::bit_ceil(keys * 8 / 5 + 1))),
        memory(slots_count * sizeof(Slot)),
        slots(static_cast<Slot*>(memory.data())) {}

  static uint64_t tag(const Digest& digest) { return (digest.words[1] | uint64_t{1} << 63) & ~kAddress; }
  static const Credential* record(uint64_t slot) {
    return reinterpret_cast<const Credential*>(slot & kAddress);
  }
  static uint64_t slot_of(const Credential* record) {
    auto address = reinterpret_cast<uintptr_t>(record);
    assert(address <= kAddress);
    return address | tag(record->digest);
  }
  static bool holds(uint64_t slot) { return slot > kErased; }

  /// The slot that holds the digest, or else the empty one at which its probe ends.
  std::pair<Slot*, const Credential*> locate(const Digest& digest) const {
    uint64_t wanted = tag(digest);
    for (uint64_t at = digest.words[0];; ++at) {
      Slot& slot = slots[at & (slots_count - 1)];
      uint64_t value = slot.load(std::memory_order_acquire);
      if (value == kEmpty) return {&slot, nullptr};
      if ((value & ~kAddress) == wanted && record(value)->digest == digest) return {&slot, record(value)};
    }
  }
  bool has_room() const { return (used + 1) * 8 <= slots_count * 5; }
  /// Where a digest that is not held goes: an erased slot is used again, else one key that comes and goes
  /// would make its probe longer each time.
  Slot& vacancy(const Digest& digest) const {
    for (uint64_t at = digest.words[0];; ++at) {
      Slot& slot = slots[at & (slots_count - 1)];
      if (!holds(slot.load(std::memory_order_relaxed))) return slot;
    }
  }
  void insert(Slot& vacant, const Credential* record) {
    used += vacant.load(std::memory_order_relaxed) == kEmpty;
    ++live;
    vacant.store(slot_of(record), std::memory_order_release);
  }
  template <class F>
  void for_each(F visit) {
    for (Slot& slot : std::span(slots, slots_count)) {
      uint64_t value = slot.load(std::memory_order_relaxed);
      if (holds(value)) visit(slot, record(value));
    }
  }

  size_t slots_count;
  ZeroedPages memory;
  Slot* slots;
  // The writer's.
  size_t used = 0;  // with the erased ones
  size_t live = 0;
};

/// Memory of the records, in chunks that grow with the table and are reused, not given back.
class CredentialTable::Records {
 public:
  const Credential* make(const Digest& digest, const Consumer* consumer, PublicPrefix prefix) {
    void* at;
    if (free_) {
      at = free_;
      free_ = free_->next;
    } else {
      if (left_ == 0) grow();
      --left_;
      at = next_;
      next_ += sizeof(Credential);
    }
    return new (at) Credential{digest, consumer, prefix};
  }
  void give_back(const Credential* record) { free_ = new (const_cast<Credential*>(record)) Free{free_}; }
  size_t bytes() const { return bytes_; }

 private:
  struct Free {
    Free* next;
  };
  static constexpr size_t kFirstChunk = 4096;
  static constexpr size_t kLargestChunk = size_t{4} << 20;

  void grow() {
    const ZeroedPages& chunk = chunks_.emplace_back(std::clamp(bytes_, kFirstChunk, kLargestChunk));
    bytes_ += chunk.bytes();
    next_ = static_cast<std::byte*>(chunk.data());
    left_ = chunk.bytes() / sizeof(Credential);
  }

  std::vector<ZeroedPages> chunks_;
  size_t bytes_ = 0;
  std::byte* next_ = nullptr;
  size_t left_ = 0;
  Free* free_ = nullptr;
};

CredentialTable::CredentialTable(EpochDomain& domain)
    : owned_index_(std::make_unique<Index>(0)), records_(std::make_unique<Records>()), retired_(domain) {
  static_assert(sizeof(Credential) == 64);
  index_.store(owned_index_.get(), std::memory_order_release);
}

CredentialTable::~CredentialTable() = default;

const Credential* CredentialTable::find(const Digest& digest) const {
  return index_.load(std::memory_order_acquire)->locate(digest).second;
}

CredentialTable::Replaced CredentialTable::replace_all(std::vector<Consumer> consumers,
                                                       std::span<const Entry> entries) {
  std::lock_guard lock(writer_);
  retired_.collect();
  Replaced result;

  Consumers next_consumers;
  std::vector<const Consumer*> by_index;
  by_index.reserve(consumers.size());
  for (Consumer& consumer : consumers) {
    auto known = next_consumers.find(consumer.name);
    if (known == next_consumers.end()) {
      auto old = consumers_.find(consumer.name);
      if (old != consumers_.end() && *old->second == consumer) {
        known = next_consumers.insert(consumers_.extract(old)).position;
      } else {
        auto made = std::make_unique<const Consumer>(std::move(consumer));
        std::string_view name = made->name;
        known = next_consumers.emplace(name, std::move(made)).first;
      }
    }
    by_index.push_back(known->second.get());
  }

  auto next = std::make_unique<Index>(entries.size());
  for (size_t i = 0; i < entries.size(); ++i) {
    const Entry& entry = entries[i];
    assert(entry.consumer < by_index.size());
    auto [slot, earlier] = next->locate(entry.digest);
    if (earlier) {
      result.duplicates.push_back(i);
      continue;
    }
    const Consumer* consumer = by_index[entry.consumer];
    const Credential* old = owned_index_->locate(entry.digest).second;
    bool same = old && old->consumer == consumer && old->prefix == entry.prefix;
    ++(same ? result.kept : old ? result.changed : result.added);
    next->insert(*slot, same ? old : records_->make(entry.digest, consumer, entry.prefix));
  }
  result.removed = owned_index_->live - result.kept - result.changed;

  std::vector<const Credential*> dropped;
  dropped.reserve(owned_index_->live - result.kept);
  owned_index_->for_each([&](const Index::Slot&, const Credential* old) {
    if (next->locate(old->digest).second != old) dropped.push_back(old);
  });
  std::swap(consumers_, next_consumers);
  publish(std::move(next), std::move(dropped), std::move(next_consumers));
  return result;
}

void CredentialTable::put_consumer(Consumer consumer) {
  std::lock_guard lock(writer_);
  retired_.collect();
  auto known = consumers_.find(consumer.name);
  if (known != consumers_.end() && *known->second == consumer) return;
  auto made = std::make_unique<const Consumer>(std::move(consumer));
  const Consumer* now = made.get();
  if (known == consumers_.end()) {
    consumers_.emplace(now->name, std::move(made));
    return;
  }
  std::vector<const Credential*> dropped;
  owned_index_->for_each([&](Index::Slot& slot, const Credential* old) {
    if (old->consumer != known->second.get()) return;
    slot.store(Index::slot_of(records_->make(old->digest, now, old->prefix)), std::memory_order_release);
    dropped.push_back(old);
  });
  std::unique_ptr<const Consumer> before = std::move(known->second);
  consumers_.erase(known);
  consumers_.emplace(now->name, std::move(made));
  retired_.retire([this, dropped = std::move(dropped), before = std::move(before)] {
    for (const Credential* record : dropped) records_->give_back(record);
  });
}

bool CredentialTable::upsert(const Digest& digest, std::string_view consumer, PublicPrefix prefix) {
  std::lock_guard lock(writer_);
  retired_.collect();
  auto known = consumers_.find(consumer);
  if (known == consumers_.end()) return false;
  const Consumer* owner = known->second.get();
  auto [slot, old] = owned_index_->locate(digest);
  if (old && old->consumer == owner && old->prefix == prefix) return true;
  const Credential* made = records_->make(digest, owner, prefix);
  if (old) {
    slot->store(Index::slot_of(made), std::memory_order_release);
    retire(old);
    return true;
  }
  if (!owned_index_->has_room()) make_room();
  owned_index_->insert(owned_index_->vacancy(digest), made);
  size_.store(owned_index_->live, std::memory_order_relaxed);
  return true;
}

bool CredentialTable::erase(const Digest& digest) {
  std::lock_guard lock(writer_);
  retired_.collect();
  auto [slot, old] = owned_index_->locate(digest);
  if (!old) return false;
  slot->store(Index::kErased, std::memory_order_release);
  --owned_index_->live;
  size_.store(owned_index_->live, std::memory_order_relaxed);
  retire(old);
  return true;
}

void CredentialTable::collect() {
  std::lock_guard lock(writer_);
  retired_.collect();
}

size_t CredentialTable::bytes() const {
  std::lock_guard lock(writer_);
  return owned_index_->memory.bytes() + records_->bytes() + retired_index_bytes_;
}

void CredentialTable::retire(const Credential* credential) {
  retired_.retire([this, credential] { records_->give_back(credential); });
}

void CredentialTable::publish(std::unique_ptr<Index> index, std::vector<const Credential*> dropped,
                              Consumers dropped_consumers) {
  std::swap(owned_index_, index);
  index_.store(owned_index_.get(), std::memory_order_release);
  size_.store(owned_index_->live, std::memory_order_relaxed);
  retired_index_bytes_ += index->memory.bytes();
  retired_.retire([this, old = std::move(index), dropped = std::move(dropped),
                   consumers = std::move(dropped_consumers)]() mutable {
    for (const Credential* record : dropped) records_->give_back(record);
    retired_index_bytes_ -= old->memory.bytes();
  });
}

/// Rebuilds the index for a quarter more than there is: this drops the erased slots and grows as needed.
void CredentialTable::make_room() {
  auto next = std::make_unique<Index>(owned_index_->live + owned_index_->live / 4 + 1);
  owned_index_->for_each([&](const Index::Slot&, const Credential* record) {
    next->insert(next->vacancy(record->digest), record);
  });
  publish(std::move(next), {}, {});
}

}  // namespace sluice::store
