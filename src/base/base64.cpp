#include "base/base64.h"

#include <array>

namespace sluice::base64 {

namespace {

constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// By character; 64: none.
constexpr auto kValues = [] {
  std::array<uint8_t, 256> values;
  values.fill(64);
  for (uint8_t i = 0; i < 64; ++i) values[static_cast<unsigned char>(kDigits[i])] = i;
  values['-'] = 62;
  values['_'] = 63;
  return values;
}();

}  // namespace

void append_encoded(std::string_view bytes, std::string& out) {
  out.reserve(out.size() + (bytes.size() + 2) / 3 * 4);
  auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[i])); };
  size_t i = 0;
  for (; i + 3 <= bytes.size(); i += 3) {
    uint32_t group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    for (int shift = 18; shift >= 0; shift -= 6) out += kDigits[group >> shift & 63];
  }
  size_t left = bytes.size() - i;
  if (left == 0) return;
  uint32_t group = byte(i) << 16 | (left == 2 ? byte(i + 1) << 8 : 0);
  out += kDigits[group >> 18];
  out += kDigits[group >> 12 & 63];
  out += left == 2 ? kDigits[group >> 6 & 63] : '=';
  out += '=';
}

std::optional<std::string> decode(std::string_view text) {
  std::string out;
  StreamDecoder decoder;
  size_t padding = text.find('=');
  bool padded = padding != std::string_view::npos;
  if (padded && padding + 2 < text.size()) return std::nullopt;  // it would be two texts
  if (!decoder.decode(text, out)) return std::nullopt;
  if (!padded && text.size() % 4 > 1 && !decoder.decode(text.size() % 4 == 2 ? "==" : "=", out))
    return std::nullopt;
  return decoder.between_groups() ? std::optional(std::move(out)) : std::nullopt;
}

bool StreamDecoder::decode(std::string_view text, std::string& out) {
  for (char c : text) {
    if (c == '=') {
      if (count_ < 2) return false;
      ++padding_;
      group_ <<= 6;
    } else {
      uint8_t value = kValues[static_cast<unsigned char>(c)];
      if (value == 64 || padding_ > 0) return false;
      group_ = group_ << 6 | value;
    }
    if (++count_ < 4) continue;
    out += static_cast<char>(group_ >> 16);
    if (padding_ < 2) out += static_cast<char>(group_ >> 8);
    if (padding_ < 1) out += static_cast<char>(group_);
    group_ = 0;
    count_ = padding_ = 0;
  }
  return true;
}

}  // namespace sluice::base64
