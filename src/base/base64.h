// Base64 (RFC 4648), of whole texts and of texts that come in pieces.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::base64 {

/// Appends the text of `bytes`, padded.
void append_encoded(std::string_view bytes, std::string& out);

/// Both alphabets (RFC 4648, sections 4 and 5), padded or not; nullopt: it is no base64.
std::optional<std::string> decode(std::string_view text);

/// A text that comes in pieces, and may be several padded texts one after another, as gRPC-Web sends them.
class StreamDecoder {
 public:
  /// Appends what `text` adds; false: it is no base64.
  bool decode(std::string_view text, std::string& out);
  /// Nothing of a group of four is left over: the text may end here.
  bool between_groups() const { return count_ == 0; }

 private:
  uint32_t group_ = 0;
  uint8_t count_ = 0;    // characters of the group that have come, padding too
  uint8_t padding_ = 0;  // of them
};

}  // namespace sluice::base64
