// Finds the end of an HTTP/1.x message head in bytes that arrive in pieces. It only looks at line ends, so
// that a head that can never become valid (bare CR or LF, too long, no token at the start) is refused at the
// byte that shows it, however the bytes are split; what the lines say is the parsers' matter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>

#include "http/error.h"
#include "http/h1/framing.h"
#include "http/limits.h"

namespace sluice::http::h1 {

class HeadScanner {
 public:
  struct Progress {
    bool complete = false;
    size_t used = 0;  // bytes of this piece that belong to the head; all of it unless complete
    size_t skip = 0;  // bytes before the start line, counted from the message's first byte (a leading CRLF)
  };

  HeadScanner(Side side, const Limits& limits);

  /// `piece` is what came after the last one. Takes O(piece) time. After completion or an error call
  /// `reset()`.
  std::expected<Progress, Error> feed(std::string_view piece);
  /// Nothing of a message has been seen yet (an idle connection may be closed without a word).
  bool idle() const { return position_ == 0 && skip_ == 0; }
  void reset();

 private:
  const Error* take_start(std::string_view& piece);
  void skip_plain_blocks(std::string_view& piece);
  std::expected<Progress, Error> fail(const Error& error) const;

  Side side_;
  uint8_t skip_ = 0;         // bytes of a leading CRLF seen
  bool line_ended_ = false;  // the start line is whole
  uint8_t recent_cr_ = 0;    // bit 0: the last byte was CR
  uint8_t recent_lf_ = 0;    // bit 1: the last byte was LF, bit 0: the one before
  uint32_t head_limit_;      // bytes of the whole head
  uint32_t line_limit_;      // bytes of the start line with its CRLF
  uint32_t position_ = 0;    // bytes of the head seen, without the leading CRLF
};

}  // namespace sluice::http::h1
