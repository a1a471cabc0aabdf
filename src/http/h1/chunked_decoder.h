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
    kSizeStart,
    kSize,
    kExtensionSpace,  // BWS before ";"
    kExtensionStart,
    kExtensionName,
    kExtensionNameEnd,  // BWS before "="
    kExtensionEquals,
    kExtensionToken,
    kExtensionQuoted,
    kExtensionEscaped,
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailerStart,
    kTrailerLine,
    kTrailerLf,
    kEndLf,
    kDone,
  };

  const Error* take_size(char c);
  const Error* take_extension(char c);
  const Error* take_trailer(std::string_view& input);
  const Error* end_trailer_line();
  const Error* keep(std::string_view part);
  Error error(const Error& as_request) const;

  Side side_;
  State state_ = State::kSizeStart;
  uint8_t digits_ = 0;       // of the current chunk size
  uint32_t line_bytes_ = 0;  // of the current chunk-size line
  uint32_t line_limit_;
  uint32_t field_limit_;
  uint32_t trailer_limit_;  // bytes
  uint32_t trailer_bytes_ = 0;
  uint64_t left_ = 0;  // bytes of the current chunk still to come
  Fields& trailers_;
  uint32_t trailer_count_ = 0;  // lines seen, dropped ones too
  char* line_ = nullptr;        // the current trailer line, in the arena
  uint32_t line_size_ = 0;
  uint32_t line_capacity_ = 0;
};

}  // namespace sluice::http::h1
