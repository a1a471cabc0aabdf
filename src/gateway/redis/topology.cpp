#include "gateway/redis/topology.h"

#include <algorithm>
#include <array>
#include <map>

#include "base/ascii.h"

namespace sluice::gateway {

namespace {

using Kind = RedisReply::Kind;

constexpr std::array<uint16_t, 256> crc_table() {
  constexpr uint16_t kPolynomial = 0x1021;
  std::array<uint16_t, 256> table{};
  for (unsigned i = 0; i < 256; ++i) {
    unsigned value = i << 8;
    for (int bit = 0; bit < 8; ++bit) value = (value << 1) ^ (value & 0x8000 ? kPolynomial : 0);
    table[i] = static_cast<uint16_t>(value);
  }
  return table;
}

uint16_t crc16(std::string_view bytes) {
  static constexpr std::array<uint16_t, 256> kTable = crc_table();
  unsigned crc = 0;
  for (char c : bytes) crc = ((crc << 8) & 0xffff) ^ kTable[(crc >> 8) ^ static_cast<unsigned char>(c)];
  return static_cast<uint16_t>(crc);
}

/// Redis writes IPv6 addresses without brackets.
std::optional<RedisAddress> address_of(std::string_view host, uint64_t port) {
  if (port == 0 || port > 65535) return std::nullopt;
  auto address = config::parse_redis_address(
      config::to_text(RedisAddress{std::string(host), static_cast<uint16_t>(port)}));
  if (!address) return std::nullopt;
  return *address;
}

std::optional<uint16_t> slot_number(const RedisReply& item) {
  if (item.kind != Kind::kInteger || item.integer < 0 || item.integer >= static_cast<int64_t>(kSlots))
    return std::nullopt;
  return static_cast<uint16_t>(item.integer);
}

/// The first node of an entry of CLUSTER SLOTS, which is the master.
std::optional<RedisAddress> master_of(const RedisReply& entry, std::string_view asked) {
  if (entry.kind != Kind::kArray || entry.items.size() < 2) return std::nullopt;
  const RedisReply& host = entry.items[0];
  const RedisReply& port = entry.items[1];
  if (port.kind != Kind::kInteger || port.integer < 0) return std::nullopt;
  if (host.kind != Kind::kText && host.kind != Kind::kNil) return std::nullopt;
  return address_of(host.text.empty() ? asked : host.text, static_cast<uint64_t>(port.integer));
}

bool overlap(const std::vector<ClusterSlots::Range>& sorted) {
  for (size_t i = 1; i < sorted.size(); ++i)
    if (sorted[i].first <= sorted[i - 1].last) return true;
  return false;
}

}  // namespace

uint16_t slot_of(std::string_view key) {
  size_t open = key.find('{');
  if (open != std::string_view::npos) {
    size_t close = key.find('}', open + 1);
    if (close != std::string_view::npos && close > open + 1) key = key.substr(open + 1, close - open - 1);
  }
  return crc16(key) % kSlots;
}

std::optional<ClusterSlots> read_cluster_slots(const RedisReply& reply, std::string_view asked) {
  if (reply.kind != Kind::kArray || reply.items.empty()) return std::nullopt;
  ClusterSlots slots;
  std::map<std::string, uint16_t> numbers;
  for (const RedisReply& entry : reply.items) {
    if (entry.kind != Kind::kArray || entry.items.size() < 3) return std::nullopt;
    auto first = slot_number(entry.items[0]);
    auto last = slot_number(entry.items[1]);
    auto master = master_of(entry.items[2], asked);
    if (!first || !last || *first > *last || !master) return std::nullopt;
    auto [known, is_new] =
        numbers.try_emplace(config::to_text(*master), static_cast<uint16_t>(slots.nodes.size()));
    if (is_new) slots.nodes.push_back(std::move(*master));
    if (slots.nodes.size() > kMostNodes) return std::nullopt;
    slots.ranges.push_back({*first, *last, known->second});
  }
  std::ranges::sort(slots.ranges, {}, &ClusterSlots::Range::first);
  if (overlap(slots.ranges)) return std::nullopt;
  return slots;
}

std::optional<Redirection> read_redirection(const RedisReply& reply, std::string_view asked) {
  if (reply.kind != Kind::kError) return std::nullopt;
  std::string_view text = reply.text;
  Redirection redirection;
  if (text.starts_with("MOVED "))
    redirection.kind = Redirection::Kind::kMoved;
  else if (text.starts_with("ASK "))
    redirection.kind = Redirection::Kind::kAsk;
  else
    return std::nullopt;
  text.remove_prefix(text.find(' ') + 1);
  size_t space = text.find(' ');
  size_t colon = text.rfind(':');
  if (space == std::string_view::npos || colon == std::string_view::npos || colon < space)
    return std::nullopt;
  auto slot = ascii::parse_decimal(text.substr(0, space));
  std::string_view host = text.substr(space + 1, colon - space - 1);
  auto port = ascii::parse_decimal(text.substr(colon + 1));
  if (!slot || *slot >= kSlots || !port) return std::nullopt;
  auto to = address_of(host.empty() ? asked : host, *port);
  if (!to) return std::nullopt;
  redirection.slot = static_cast<uint16_t>(*slot);
  redirection.to = std::move(*to);
  return redirection;
}

std::optional<RedisAddress> read_master_address(const RedisReply& reply) {
  if (reply.kind != Kind::kArray || reply.items.size() != 2) return std::nullopt;
  const RedisReply& host = reply.items[0];
  const RedisReply& port = reply.items[1];
  if (host.kind != Kind::kText || port.kind != Kind::kText) return std::nullopt;
  auto number = ascii::parse_decimal(port.text);
  if (!number) return std::nullopt;
  return address_of(host.text, *number);
}

bool is_master(const RedisReply& reply) {
  return reply.kind == Kind::kArray && !reply.items.empty() && reply.items[0].text == "master";
}

}  // namespace sluice::gateway
