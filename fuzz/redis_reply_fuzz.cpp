// Redis's replies: read in pieces they are what they are in one piece, and nothing is larger than the bounds.
#include <algorithm>
#include <string>

#include "check.h"
#include "gateway/redis/limit_script.h"
#include "gateway/redis/reply.h"

using namespace sluice::gateway;

namespace {

void write(const RedisReply& reply, std::string& out) {
  SLUICE_FUZZ_CHECK(reply.items.size() <= RedisReplyReader::kMostItems);
  out += std::to_string(static_cast<int>(reply.kind)) + "," + std::to_string(reply.integer) + "," +
         reply.text + "(";
  for (const RedisReply& item : reply.items) write(item, out);
  out += ")";
}

/// All replies of `text`, then how it ended.
std::string read_in_pieces(std::string_view text, size_t piece) {
  RedisReplyReader reader;
  std::string seen;
  while (!text.empty()) {
    std::string_view bytes = text.substr(0, piece);
    text.remove_prefix(bytes.size());
    if (!reader.feed(bytes)) break;
    while (auto reply = reader.next()) {
      write(*reply, seen);
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
  SLUICE_FUZZ_CHECK(read_in_pieces(text, 1) == whole);
  SLUICE_FUZZ_CHECK(read_in_pieces(text, 7) == whole);
  return 0;
}
