// Redis's replies: read in pieces they are what they are in one piece, and nothing is larger than the bounds.
// What they say about a topology is believed only when all of it holds together.
#include <algorithm>
#include <string>

#include "check.h"
#include "gateway/redis/limit_script.h"
#include "gateway/redis/reply.h"
#include "gateway/redis/topology.h"

using namespace sluice::gateway;

namespace {

constexpr RedisReplyReader::Bounds kBounds{.bytes = 4 << 20, .items = kSlots};

void check(const RedisAddress& address) {
  auto again = sluice::config::parse_redis_address(sluice::config::to_text(address));
  SLUICE_FUZZ_CHECK(again && *again == address);
}

void check_topology(const RedisReply& reply) {
  if (auto master = read_master_address(reply)) check(*master);
  if (auto redirection = read_redirection(reply, "asked")) {
    check(redirection->to);
    SLUICE_FUZZ_CHECK(redirection->slot < kSlots);
  }
  is_master(reply);
  auto slots = read_cluster_slots(reply, "asked");
  if (!slots) return;
  SLUICE_FUZZ_CHECK(!slots->nodes.empty() && slots->nodes.size() <= kMostNodes);
  for (const RedisAddress& node : slots->nodes) check(node);
  int before = -1;
  for (const ClusterSlots::Range& range : slots->ranges) {
    SLUICE_FUZZ_CHECK(range.first > before && range.last >= range.first && range.last < kSlots);
    SLUICE_FUZZ_CHECK(range.node < slots->nodes.size());
    before = range.last;
  }
}

void write(const RedisReply& reply, std::string& out) {
  SLUICE_FUZZ_CHECK(reply.items.size() <= kBounds.items);
  out += std::to_string(static_cast<int>(reply.kind)) + "," + std::to_string(reply.integer) + "," +
         reply.text + "(";
  for (const RedisReply& item : reply.items) write(item, out);
  out += ")";
}

/// All replies of `text`, then how it ended.
std::string read_in_pieces(std::string_view text, size_t piece) {
  RedisReplyReader reader(kBounds);
  std::string seen;
  while (!text.empty()) {
    std::string_view bytes = text.substr(0, piece);
    text.remove_prefix(bytes.size());
    if (!reader.feed(bytes)) break;
    while (auto reply = reader.next()) {
      write(*reply, seen);
      check_topology(*reply);
      for (size_t limits : {size_t{1}, size_t{2}}) read_decisions(*reply, limits);
    }
    if (reader.broken()) break;
  }
  return seen + (reader.broken() ? "broken" : "whole");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string whole = read_in_pieces(text, std::max<size_t>(text.size(), 1));
  SLUICE_FUZZ_CHECK(slot_of(text) < kSlots);
  SLUICE_FUZZ_CHECK(read_in_pieces(text, 1) == whole);
  SLUICE_FUZZ_CHECK(read_in_pieces(text, 7) == whole);
  return 0;
}
