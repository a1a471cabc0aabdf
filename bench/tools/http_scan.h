// Just enough HTTP/1.1 to frame messages that the benchmark itself or a proxy under test has written: where a
// head ends, how long its body is, how to skip a chunked one. It trusts its peer; it is no parser to copy
// from.
#pragma once

#include <cstdint>
#include <string_view>

namespace bench {

struct Head {
  uint64_t content_length = 0;
  bool has_length = false;
  bool chunked = false;
  bool close = false;
};

inline bool equals_ignoring_case(std::string_view a, std::string_view lower) {
  if (a.size() != lower.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    const char c = a[i] >= 'A' && a[i] <= 'Z' ? static_cast<char>(a[i] | 0x20) : a[i];
    if (c != lower[i]) return false;
  }
  return true;
}

/// `head` is everything up to and with the empty line.
inline Head scan_head(std::string_view head) {
  Head result;
  size_t line = head.find("\r\n") + 2;
  while (line < head.size()) {
    const size_t end = head.find("\r\n", line);
    if (end == std::string_view::npos || end == line) break;
    // Only fields that begin with c or t matter.
    const char first = static_cast<char>(head[line] | 0x20);
    if (first == 'c' || first == 't') {
      const std::string_view text = head.substr(line, end - line);
      const size_t colon = text.find(':');
      const std::string_view name = text.substr(0, colon);
      std::string_view value = colon == std::string_view::npos ? "" : text.substr(colon + 1);
      while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
      if (equals_ignoring_case(name, "content-length")) {
        result.has_length = true;
        for (const char c : value) {
          if (c >= '0' && c <= '9')
            result.content_length = result.content_length * 10 + static_cast<uint64_t>(c - '0');
        }
      } else if (equals_ignoring_case(name, "transfer-encoding")) {
        result.chunked = equals_ignoring_case(value, "chunked");
      } else if (equals_ignoring_case(name, "connection")) {
        result.close = equals_ignoring_case(value, "close");
      }
    }
    line = end + 2;
  }
  return result;
}

/// Skips a chunked body, counting its payload. Trailers are skipped too.
class ChunkedSkipper {
 public:
  /// Takes bytes from the front of `input`; true once the last byte of the body has been taken.
  bool skip(std::string_view& input) {
    while (!input.empty()) {
      if (state_ == State::kData) {
        const uint64_t taken = input.size() < left_ ? input.size() : left_;
        input.remove_prefix(static_cast<size_t>(taken));
        payload_ += taken;
        left_ -= taken;
        if (left_ == 0) state_ = State::kDataEnd;
        continue;
      }
      const char c = input.front();
      input.remove_prefix(1);
      if (step(c)) return true;
    }
    return false;
  }
  uint64_t payload() const { return payload_; }

 private:
  enum class State : uint8_t { kSize, kExtension, kData, kDataEnd, kTrailer };

  bool step(char c) {
    switch (state_) {
      case State::kSize:
      case State::kExtension:
        if (c == '\n') {
          state_ = left_ == 0 ? State::kTrailer : State::kData;
          line_ = 0;
        } else if (c == ';') {
          state_ = State::kExtension;
        } else if (state_ == State::kSize && c != '\r') {
          left_ = left_ * 16 + static_cast<uint64_t>(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
        }
        return false;
      case State::kDataEnd:
        if (c == '\n') state_ = State::kSize;
        return false;
      case State::kTrailer:
        if (c == '\n') {
          if (line_ == 0) return true;
          line_ = 0;
        } else if (c != '\r') {
          ++line_;
        }
        return false;
      case State::kData:
        break;
    }
    return false;
  }

  State state_ = State::kSize;
  uint64_t left_ = 0;
  uint64_t payload_ = 0;
  size_t line_ = 0;  // bytes seen of the current trailer line
};

}  // namespace bench
