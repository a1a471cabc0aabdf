#include "gateway/connection_limits.h"

#include <cstring>

namespace sluice::gateway {

namespace {
/// ::ffff:0:0/96: an IPv4 client on a socket for both (RFC 4291, section 2.5.5.2).
constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
/// Keeps IPv4 clients apart from networks: no network is given out below 1::/16.
constexpr uint64_t kIpv4 = 1ULL << 32;

uint64_t number_of(const uint8_t* bytes, size_t count) {
  uint64_t number = 0;
  for (size_t i = 0; i < count; ++i) number = number << 8 | bytes[i];
  return number;
}
}  // namespace

ConnectionLimits::Client ConnectionLimits::client_of(const io::Address& peer) {
  const uint8_t* bytes = peer.bytes.data();
  if (!peer.ipv6) return kIpv4 | number_of(bytes, 4);
  if (std::memcmp(bytes, kMapped, sizeof kMapped) == 0) return kIpv4 | number_of(bytes + sizeof kMapped, 4);
  return number_of(bytes, 8);
}

ConnectionLimits::Verdict ConnectionLimits::take_one(uint32_t configured) {
  uint32_t ceiling = ceiling_.load(std::memory_order_relaxed);
  uint32_t total = total_.load(std::memory_order_relaxed);
  do {
    if (configured > 0 && total >= configured) return Verdict::kTotal;
    if (ceiling > 0 && total >= ceiling) return Verdict::kDescriptors;
  } while (!total_.compare_exchange_weak(total, total + 1, std::memory_order_relaxed));
  return Verdict::kAdmitted;
}

ConnectionLimits::Verdict ConnectionLimits::admit(const io::Address& peer, const ConnectionBounds& bounds,
                                                  bool exempt) {
  Client client = mixed(peer);
  Shard& shard = shard_of(client);
  std::lock_guard lock(shard.mutex);
  auto known = shard.open.find(client);
  uint32_t open = known == shard.open.end() ? 0 : known->second;
  if (!exempt && bounds.per_address > 0 && open >= bounds.per_address) return Verdict::kAddress;
  Verdict verdict = take_one(bounds.total);
  if (verdict != Verdict::kAdmitted) return verdict;
  if (known == shard.open.end())
    shard.open.emplace(client, 1);
  else
    ++known->second;
  return verdict;
}

void ConnectionLimits::release(const io::Address& peer) {
  Client client = mixed(peer);
  Shard& shard = shard_of(client);
  std::lock_guard lock(shard.mutex);
  auto known = shard.open.find(client);
  if (--known->second == 0) shard.open.erase(known);
  total_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace sluice::gateway
