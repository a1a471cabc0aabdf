// What Redis says about where its data is: a sentinel about the master, a node about the slots of its
// cluster, and the redirections of a node that is not the right one. Read strictly: it is input like any
// other.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "config/redis.h"
#include "gateway/redis/reply.h"

namespace sluice::gateway {

using config::RedisAddress;

/// Of a cluster.
constexpr size_t kSlots = 16384;
/// More are not believed: Redis recommends a thousand at most.
constexpr size_t kMostNodes = 1000;

/// Where a key is: CRC16 (XMODEM) of it, or of what stands in its first braces (Redis Cluster Specification,
/// "Hash tags").
uint16_t slot_of(std::string_view key);

/// What masters a cluster has, and which slots each of them.
struct ClusterSlots {
  struct Range {
    uint16_t first = 0;
    uint16_t last = 0;  // itself too
    uint16_t node = 0;  // in `nodes`
  };
  std::vector<RedisAddress> nodes;
  std::vector<Range> ranges;  // in order; none overlaps another
};

/// An answer to CLUSTER SLOTS of the node that we call `asked`, for which it need not say its own name.
/// Nothing: it is no such answer, or says that nobody has any slot.
std::optional<ClusterSlots> read_cluster_slots(const RedisReply& reply, std::string_view asked);

/// `-MOVED` and `-ASK`.
struct Redirection {
  enum class Kind : uint8_t { kMoved, kAsk };
  Kind kind = Kind::kMoved;
  uint16_t slot = 0;
  RedisAddress to;
};
std::optional<Redirection> read_redirection(const RedisReply& reply, std::string_view asked);

/// An answer to SENTINEL get-master-addr-by-name. Nothing: it names none.
std::optional<RedisAddress> read_master_address(const RedisReply& reply);
/// An answer to ROLE.
bool is_master(const RedisReply& reply);

}  // namespace sluice::gateway
