// gRPC messages: read in pieces they are what they are in one piece, and nothing is larger than the bound.
// What only looks at them sees the same.
#include <algorithm>
#include <string>

#include "check.h"
#include "http/grpc_frame.h"

using namespace sluice::http;

namespace {

constexpr size_t kMost = 1000;

/// All messages of `text` written one after another, then how it ended.
std::string read_in_pieces(std::string_view text, size_t piece) {
  GrpcFrameReader reader(kMost);
  std::string seen;
  while (!text.empty()) {
    std::string_view bytes = text.substr(0, piece);
    text.remove_prefix(bytes.size());
    while (!bytes.empty()) {
      auto frame = reader.next(bytes);
      if (!frame) return seen + "too large";
      if (!*frame) continue;
      SLUICE_FUZZ_CHECK((*frame)->message.size() <= kMost);
      auto prefix = grpc_prefix(static_cast<uint32_t>((*frame)->message.size()), (*frame)->flags);
      seen.append(prefix.data(), prefix.size()).append((*frame)->message);
    }
  }
  return seen + (reader.between_messages() ? "whole" : "cut");
}

/// Whether a meter lets all of it pass.
bool passes(std::string_view text, size_t piece) {
  GrpcMessageMeter meter(kMost);
  for (; !text.empty(); text.remove_prefix(std::min(piece, text.size())))
    if (meter.pass(text.substr(0, piece)) < std::min(piece, text.size())) return false;
  return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  std::string whole = read_in_pieces(text, text.size() + 1);
  SLUICE_FUZZ_CHECK(read_in_pieces(text, size_t{data[0]} + 1) == whole);
  SLUICE_FUZZ_CHECK(passes(text, size_t{data[0]} + 1) == !whole.ends_with("too large"));
  SLUICE_FUZZ_CHECK(!whole.ends_with("whole") || whole.substr(0, whole.size() - 5) == text);
  return 0;
}
