// How many client connections there may be, in all and from one client: counted for the whole process and
// exact, whichever worker accepts.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "base/hash.h"
#include "io/address.h"

namespace sluice::gateway {

/// From the configuration; 0: none.
struct ConnectionBounds {
  uint32_t total = 0;
  uint32_t per_address = 0;
};

/// All methods may be called from any thread. They are for connections that come and go, not for requests:
/// each takes the lock of one shard for a moment. An address takes memory while it has connections.
class ConnectionLimits {
 public:
  enum class Verdict : uint8_t { kAdmitted, kTotal, kAddress, kDescriptors };

  /// `seed` keeps clients from choosing addresses that fall into one bucket.
  explicit ConnectionLimits(uint64_t seed) : seed_(seed) {}

  /// What the process's descriptors allow, whatever the configuration says; 0: nothing is known of that.
  void set_ceiling(uint32_t connections) { ceiling_.store(connections, std::memory_order_relaxed); }

  /// An admitted connection holds its place until `release` with the same peer. `exempt`: bound by the total
  /// alone, for many clients come from that address.
  Verdict admit(const io::Address& peer, const ConnectionBounds& bounds, bool exempt);
  void release(const io::Address& peer);

  uint32_t total() const { return total_.load(std::memory_order_relaxed); }

 private:
  /// An IPv4 address, or the first 64 bits of an IPv6 address: what one client has at the least (RFC 6177).
  using Client = uint64_t;
  static Client client_of(const io::Address& peer);

  struct alignas(64) Shard {
    std::mutex mutex;
    std::unordered_map<Client, uint32_t> open;  // by what `mixed` made of a client
  };
  static constexpr size_t kShards = 64;

  /// One to one, and not to be foreseen.
  Client mixed(const io::Address& peer) const { return mix64(client_of(peer) ^ seed_); }
  Shard& shard_of(Client mixed) { return shards_[mixed % kShards]; }
  Verdict take_one(uint32_t configured);

  uint64_t seed_;
  std::atomic<uint32_t> total_{0};
  std::atomic<uint32_t> ceiling_{0};
  std::array<Shard, kShards> shards_;
};

}  // namespace sluice::gateway
