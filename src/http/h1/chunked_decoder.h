// Decodes the chunked transfer coding (RFC 9112, section 7.1) from bytes that arrive in any pieces, without
// copying body bytes. It stops exactly at the end of the body, so that what was pipelined behind it is left
// alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string_view>

#include "http/error.h"
#include "http/fields.h"
#include "http/h1/framing.h"
#include "http/limits.h"

namespace sluice::http::h1 {

/// Whether a field may not come in a trailer (RFC 9110, section 6.5.1).
bool is_forbidden_trailer(const Field& field);

class ChunkedDecoder {
 public:
  struct Step {
    std::string_view data;  // the next bytes of the body: a view of the input
    bool done = false;      // the body has ended, trailers are complete, the input starts after it
  };

  /// `trailers` gets the trailer fields, without those that may not stand there (RFC 9110, section 6.5.1:
  /// framing, routing, authorization, content handling, and our own); their texts live in its arena.
  ChunkedDecoder(Side side, const Limits& limits, Fields& trailers);

  /// Takes bytes off the front of `input` up to and including one run of body bytes, or the end of the body.
  /// Without data and not done, the input is used up and more is needed. Not to be called after done or an
  /// error.
  std::expected<Step, Error> next(std::string_view& input);

  /// Bytes of the current chunk that are still to come.
  uint64_t chunk_left() const { return left_; }

 private:
  enum class State : uint8_t {
    kSize,
    kExtensionSpace,  // before ";"
    kExtensionStart,  // before a name
    kExtensionName,
    kExtensionNameEnd,  // before "=", ";" or the line's end
    kExtensionValue,    // before a value
    kExtensionToken,
    kExtensionQuoted,
    kExtensionEscaped,
    kExtensionEnd,  // before ";" or the line's end
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailers,
    kDone,
  };

  const Error* take_line_byte(char c);
  const Error* take_extension_byte(char c);
  const Error* end_size();
  const Error* take_trailers(std::string_view& input);
  const Error* end_trailer_line();
  void keep_trailer_bytes(std::string_view part);

  Side side_;
  State state_ = State::kSize;
  uint8_t digits_ = 0;            // of the current chunk size
  uint32_t line_bytes_ = 0;       // of the current chunk-size line
  uint32_t line_limit_;           // bytes
  uint32_t trailer_limit_;        // bytes of the trailer section
  uint32_t trailer_count_limit_;  // fields
  uint32_t trailer_bytes_ = 0;    // of the trailer section so far
  uint32_t trailer_count_ = 0;    // fields seen, dropped ones too
  uint32_t line_size_ = 0;        // bytes in line_
  uint32_t line_capacity_ = 0;
  char* line_ = nullptr;  // the current trailer line, in the arena
  uint64_t left_ = 0;     // bytes of the current chunk still to come
  int64_t overhead_ = 0;  // bytes of size lines that no data has paid for
  Fields* trailers_;
};

}  // namespace sluice::http::h1
