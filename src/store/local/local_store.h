// LocalStore: what of the gateway's state must survive it, in one SQLite file below `gateway.state`. Calls
// block on the disk: never on a worker's thread, one at a time.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>

namespace sluice::store {

/// A counter's name: a hash under the file's own seed.
struct CounterKey {
  uint64_t high = 0;
  uint64_t low = 0;
  friend bool operator==(const CounterKey&, const CounterKey&) = default;
};

/// What may be spent ahead of a counter, written before it is. Times are seconds since 1970.
struct Grant {
  CounterKey key;
  int64_t period_end = 0;  // in: the period asked for; out: of the counter, later if that has gone further
  uint64_t limit = 0;      // of the period
  uint64_t wanted = 0;     // at most so many more
  uint64_t floor = 0;      // so much of the period is gone already, whatever the file says
  // Out: [from, to) may be spent; empty when the limit is reached.
  uint64_t from = 0;
  uint64_t to = 0;
};

/// What was granted and not spent.
struct Unspent {
  CounterKey key;
  int64_t period_end = 0;
  uint64_t granted = 0;  // up to here; nothing happens if others have been granted more since
  uint64_t spent = 0;    // of it
};

/// Errors are texts of the system or of SQLite.
class LocalStore {
 public:
  using Outcome = std::expected<void, std::string>;

  LocalStore();
  ~LocalStore();
  LocalStore(const LocalStore&) = delete;
  LocalStore& operator=(const LocalStore&) = delete;

  /// Opens the file in `folder`, or makes both, readable by nobody else. Empty: in memory alone. Several
  /// processes may have one open, and then share its counters.
  Outcome open(const std::string& folder);
  bool is_open() const;
  /// Drawn when the file was made.
  uint64_t seed() const;

  /// All of them in one transaction, on the disk when it returns.
  Outcome grant(std::span<Grant> grants);
  Outcome give_back(std::span<const Unspent> unspent);
  /// Counters of periods that have ended before.
  Outcome forget_before(int64_t period_end);

 private:
  struct Database;
  std::unique_ptr<Database> database_;
};

}  // namespace sluice::store
