#include "call.h"

#include <charconv>
#include <cstring>

#include "base/hash.h"

namespace sluice::sim {

Call* Ledger::find(std::string_view number) {
  size_t value = 0;
  auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || end != number.data() + number.size() || value >= calls.size()) return nullptr;
  return &calls[value];
}

Serving& Ledger::serve(Call& call) {
  Serving& serving = servings.emplace_back();
  serving.number = static_cast<uint32_t>(servings.size() - 1);
  serving.call = &call;
  call.servings.push_back(&serving);
  return serving;
}

std::string identity_bytes(uint64_t owner, size_t size) {
  std::string bytes(size, '\0');
  for (size_t at = 0; at < size; at += 8) {
    uint64_t word = mix64(owner * 0x9e3779b97f4a7c15ULL + at);
    std::memcpy(&bytes[at], &word, std::min<size_t>(8, size - at));
  }
  return bytes;
}

}  // namespace sluice::sim
