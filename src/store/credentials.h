// Who may present which secret: one table of credentials for the whole process, a million of them, changed
// without a new snapshot while every worker reads it. Secrets are not in it: only their keyed digests are.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/arena.h"
#include "store/epoch.h"
#include "store/keyed_hasher.h"

namespace sluice::store {

/// What logs may show of a secret: its first four characters if it has at least 16, all four of them visible
/// ASCII; else nothing, since it would reveal too much of it.
class PublicPrefix {
 public:
  static constexpr size_t kLength = 4;
  static constexpr size_t kMinimumSecret = 16;

  PublicPrefix() = default;
  static PublicPrefix of(std::string_view secret);
  std::string_view view() const { return {text_.data(), text_[0] ? kLength : 0}; }
  friend bool operator==(const PublicPrefix&, const PublicPrefix&) = default;

 private:
  std::array<char, kLength> text_{};
};

/// A consumer's right to an API, under a plan; both by name.
struct Subscription {
  std::string api;
  std::string plan;
  friend bool operator==(const Subscription&, const Subscription&) = default;
};

/// Whom a credential belongs to. Immutable; a reload makes a new one if anything of it changed.
struct Consumer {
  std::string name;
  std::vector<std::string> groups;
  std::vector<std::string> roles;
  std::string groups_text;  // the groups, joined by ", ", as X-Consumer-Groups shows them
  std::vector<Subscription> subscriptions;

  static Consumer of(std::string name, std::vector<std::string> groups, std::vector<std::string> roles,
                     std::vector<Subscription> subscriptions = {});
  friend bool operator==(const Consumer&, const Consumer&) = default;
};

/// One record of the table, immutable. In one cache line, since a probe waits for it.
struct alignas(64) Credential {
  Digest digest;
  const Consumer* consumer;
  PublicPrefix prefix;
};

/// What an exchange keeps of a credential that it found. The texts are its own, in its arena.
struct Identity {
  std::string_view consumer;
  std::string_view groups;          // joined, see Consumer::groups_text
  std::string_view credential;      // its public prefix
  std::string_view credential_key;  // tells credentials apart, reveals nothing: a part of its keyed digest
  std::span<const std::string_view> roles;
  struct Subscribed {
    std::string_view api;
    std::string_view plan;
  };
  std::span<const Subscribed> subscriptions = {};

  static Identity copy(const Credential& credential, Arena& arena);
  bool is_in(std::string_view group) const;
};

/// Digest -> credential. Any number of readers, wait-free against each other and against writers; writers
/// exclude each other and may be any thread, usually the main loop's or the one that compiles configurations.
///
/// What `find` returns, and the Consumer behind it, stays valid until the reader's thread is next quiescent
/// or offline (see EpochReader), thus not across a suspension. An exchange that needs it longer copies the
/// few short texts (`Identity::copy`): it pins nothing, however long it streams, and nobody touches a shared
/// count.
class CredentialTable {
 public:
  /// A credential to be: `consumer` is an index into the consumers that come with it.
  struct Entry {
    Digest digest;
    uint32_t consumer;
    PublicPrefix prefix;
  };
  struct Replaced {
    size_t added = 0;
    size_t changed = 0;  // other consumer, consumer changed, or other prefix
    size_t removed = 0;
    size_t kept = 0;
    /// Indices of entries whose digest an earlier entry has already; these were left out.
    std::vector<size_t> duplicates;
  };

  explicit CredentialTable(EpochDomain& domain);
  CredentialTable(const CredentialTable&) = delete;
  CredentialTable& operator=(const CredentialTable&) = delete;
  /// No reader may be left that uses this table.
  ~CredentialTable();

  /// The calling thread is online in the table's domain. nullptr: no such credential.
  const Credential* find(const Digest& digest) const;

  /// Makes the table hold exactly this. Readers see all of the old or all of the new. Records and consumers
  /// that stay the same are kept, so a reload allocates for what changed, and 16 to 26 bytes a key for the
  /// new index. Consumer names are unique; of two with one name the first counts.
  Replaced replace_all(std::vector<Consumer> consumers, std::span<const Entry> entries);

  /// Adds a consumer or replaces the one of that name for all of its credentials, each at its own moment.
  /// Reads the whole table when the consumer existed and differs.
  void put_consumer(Consumer consumer);
  /// Adds a credential or gives it another owner. False: no consumer of that name.
  bool upsert(const Digest& digest, std::string_view consumer, PublicPrefix prefix);
  /// False: there was none.
  bool erase(const Digest& digest);
  /// Gives back what readers have left behind. Writers do so too; call it now and then (say once a second),
  /// else the last change's memory waits for the next one.
  void collect();

  size_t size() const { return size_.load(std::memory_order_relaxed); }
  /// Memory of index and records (without consumers), including what waits for readers.
  size_t bytes() const;

 private:
  struct Index;
  class Records;
  using Consumers = std::unordered_map<std::string_view, std::unique_ptr<const Consumer>>;

  void retire(const Credential* credential);
  void publish(std::unique_ptr<Index> index, std::vector<const Credential*> dropped,
               Consumers dropped_consumers);
  void make_room();

  std::atomic<const Index*> index_;
  std::atomic<size_t> size_ = 0;

  mutable std::mutex writer_;  // guards all below
  std::unique_ptr<Index> owned_index_;
  std::unique_ptr<Records> records_;
  Consumers consumers_;
  size_t retired_index_bytes_ = 0;
  RetireList retired_;  // last: what it disposes of goes to the others
};

}  // namespace sluice::store
