#include "http/h1/chunked_decoder.h"

#include "http/h1/connection_fields.h"

namespace sluice::http::h1 {
namespace {

constexpr uint8_t kMostDigits = 16;
constexpr uint32_t kFirstLineCapacity = 256;
/// Bytes of chunk-size lines that a body may have beyond kFreeLineBytes a chunk and twice its data: no limit
/// on bodies counts them, so that a peer could send without end.
constexpr int64_t kMostOverhead = 16 * 1024;
constexpr int64_t kFreeLineBytes = 16;

/// What may not come in a trailer: framing, routing, request modifiers, authentication, content handling,
/// control data (RFC 9110, section 6.5.1), and what the gateway itself says to an upstream.
constexpr uint64_t kForbiddenTrailers =
    ConnectionFields::kNames |
    name_set(FieldName::kHost, FieldName::kTrailer, FieldName::kExpect, FieldName::kMaxForwards,
             FieldName::kRange, FieldName::kAuthorization, FieldName::kWwwAuthenticate, FieldName::kCookie,
             FieldName::kSetCookie, FieldName::kContentEncoding, FieldName::kContentType,
             FieldName::kCacheControl, FieldName::kAge, FieldName::kDate, FieldName::kLocation,
             FieldName::kRetryAfter, FieldName::kForwarded, FieldName::kVia, FieldName::kXForwardedFor,
             FieldName::kXForwardedHost, FieldName::kXForwardedPrefix, FieldName::kXForwardedProto,
             FieldName::kXOriginalUrl, FieldName::kXRewriteUrl, FieldName::kXRequestId,
             FieldName::kXConsumerId, FieldName::kXConsumerGroups, FieldName::kOrigin);

}  // namespace

bool is_forbidden_trailer(const Field& field) {
  FieldName id = field.id == FieldName::kUnknown ? intern_dashed_field_name(field.name) : field.id;
  if (id != FieldName::kUnknown) return kForbiddenTrailers >> static_cast<int>(id) & 1;
  std::string_view name = field.name;
  return ascii::equal_ignoring_case(name.substr(0, 3), "if-") ||
         ascii::equal_ignoring_case(name, "content-range") || ascii::equal_ignoring_case(name, "expires") ||
         ascii::equal_ignoring_case(name, "vary");
}

ChunkedDecoder::ChunkedDecoder(Side side, const Limits& limits, Fields& trailers)
    : side_(side),
      line_limit_(limits.chunk_line),
      trailer_limit_(limits.trailer_bytes),
      trailer_count_limit_(side == Side::kRequest ? limits.request_fields : limits.response_fields),
      trailers_(&trailers) {}

std::expected<ChunkedDecoder::Step, Error> ChunkedDecoder::next(std::string_view& input) {
  const Error* error = nullptr;
  while (!input.empty() && !error) {
    if (state_ == State::kData) {
      Step step;
      step.data = input.substr(0, static_cast<size_t>(std::min<uint64_t>(left_, input.size())));
      input.remove_prefix(step.data.size());
      left_ -= step.data.size();
      if (left_ == 0) state_ = State::kDataCr;
      return step;
    }
    if (state_ == State::kTrailers) {
      error = take_trailers(input);
      if (!error && state_ == State::kDone) return Step{{}, true};
      continue;
    }
    error = take_line_byte(input.front());
    if (!error) input.remove_prefix(1);
  }
  if (error) return std::unexpected(side_ == Side::kRequest ? *error : errors::of_upstream(*error));
  return Step{};
}

/// One byte of what is around the data: chunk-size [chunk-ext] CRLF, and the CRLF behind the data.
const Error* ChunkedDecoder::take_line_byte(char c) {
  if (state_ == State::kDataCr || state_ == State::kDataLf) {
    if (c != (state_ == State::kDataCr ? '\r' : '\n')) return &errors::kBadChunkEnd;
    state_ = state_ == State::kDataCr ? State::kDataLf : State::kSize;
    return nullptr;
  }
  if (++line_bytes_ > line_limit_) return &errors::kChunkLineTooLong;
  if (state_ == State::kSizeLf) return c == '\n' ? end_size() : &errors::kBareCr;
  if (state_ != State::kSize) return take_extension_byte(c);
  if (int digit = ascii::hex_value(c); digit >= 0) {
    if (digits_ == kMostDigits) return &errors::kBadChunkSize;
    ++digits_;
    left_ = left_ << 4 | static_cast<uint64_t>(digit);
    // Sums of a size and what is at hand must not overflow.
    return left_ <= INT64_MAX ? nullptr : &errors::kBadChunkSize;
  }
  if (digits_ == 0) return &errors::kBadChunkSize;
  state_ = State::kExtensionSpace;
  if (c == '\r' || c == ';' || c == ' ' || c == '\t') {
    if (c == '\r') state_ = State::kSizeLf;
    if (c == ';') state_ = State::kExtensionStart;
    return nullptr;
  }
  return c == '\n' ? &errors::kBareLf : &errors::kBadChunkSize;
}

/// *( BWS ";" BWS name [ BWS "=" BWS ( token / quoted-string ) ] ) (RFC 9112, section 7.1.1). Read only to
/// know that it is one; a line end inside a quoted string is where readers differ, so it is refused like any
/// control.
const Error* ChunkedDecoder::take_extension_byte(char c) {
  if (c == '\n') return &errors::kBareLf;
  if (!is_field_char(c) && c != '\r') return &errors::kBadChunkExtension;
  bool space = c == ' ' || c == '\t';
  auto go = [this](State state) {
    state_ = state;
    return static_cast<const Error*>(nullptr);
  };
  // Where an extension may be over: another one or the end of the line may follow.
  auto after_extension = [&](State when_space) -> const Error* {
    if (space) return go(when_space);
    if (c == ';') return go(State::kExtensionStart);
    if (c == '\r') return go(State::kSizeLf);
    return &errors::kBadChunkExtension;
  };
  switch (state_) {
    case State::kExtensionSpace:  // "5 " alone is no chunk size
      if (c == ';') return go(State::kExtensionStart);
      return space ? nullptr : &errors::kBadChunkSize;
    case State::kExtensionStart:
      if (is_token_char(c)) return go(State::kExtensionName);
      return space ? nullptr : &errors::kBadChunkExtension;
    case State::kExtensionName:
      if (is_token_char(c)) return nullptr;
      [[fallthrough]];
    case State::kExtensionNameEnd:
      if (c == '=') return go(State::kExtensionValue);
      return after_extension(State::kExtensionNameEnd);
    case State::kExtensionValue:
      if (c == '"') return go(State::kExtensionQuoted);
      if (is_token_char(c)) return go(State::kExtensionToken);
      return space ? nullptr : &errors::kBadChunkExtension;
    case State::kExtensionToken:
      if (is_token_char(c)) return nullptr;
      [[fallthrough]];
    case State::kExtensionEnd:
      return after_extension(State::kExtensionEnd);
    case State::kExtensionQuoted:
      if (c == '\r') return &errors::kBadChunkExtension;
      if (c == '"') return go(State::kExtensionEnd);
      if (c == '\\') return go(State::kExtensionEscaped);
      return nullptr;
    case State::kExtensionEscaped:
      return c == '\r' ? &errors::kBadChunkExtension : go(State::kExtensionQuoted);
    default:
      return &errors::kBadChunkExtension;
  }
}

const Error* ChunkedDecoder::end_size() {
  int64_t paid = kFreeLineBytes + 2 * static_cast<int64_t>(std::min<uint64_t>(left_, kMostOverhead));
  overhead_ = std::max<int64_t>(0, overhead_ + line_bytes_ - paid);
  if (overhead_ > kMostOverhead) return &errors::kChunkOverhead;
  state_ = left_ == 0 ? State::kTrailers : State::kData;
  digits_ = 0;
  line_bytes_ = 0;
  return nullptr;
}

/// Takes a line of the trailer section, or what there is of it. The lines are kept in the arena; only one
/// that comes in pieces is written there byte by byte.
const Error* ChunkedDecoder::take_trailers(std::string_view& input) {
  size_t lf = input.find('\n');
  bool whole = lf != std::string_view::npos;
  std::string_view part = input.substr(0, whole ? lf + 1 : input.size());
  if (part.size() > trailer_limit_ - trailer_bytes_) return &errors::kTrailersTooLarge;
  trailer_bytes_ += static_cast<uint32_t>(part.size());
  input.remove_prefix(part.size());
  keep_trailer_bytes(part);
  return whole ? end_trailer_line() : nullptr;
}

void ChunkedDecoder::keep_trailer_bytes(std::string_view part) {
  uint32_t needed = line_size_ + static_cast<uint32_t>(part.size());
  if (needed > line_capacity_) {
    uint32_t capacity = std::max({needed, line_capacity_ * 2, kFirstLineCapacity});
    char* larger = trailers_->arena().allocate_chars(capacity);
    if (line_size_ != 0) std::memcpy(larger, line_, line_size_);
    line_ = larger;
    line_capacity_ = capacity;
  }
  std::memcpy(line_ + line_size_, part.data(), part.size());
  line_size_ = needed;
}

const Error* ChunkedDecoder::end_trailer_line() {
  std::string_view line(line_, line_size_);
  line_ += line_size_;  // what is kept stays; the next line goes behind it
  line_capacity_ -= line_size_;
  line_size_ = 0;
  if (!line.ends_with("\r\n")) return &errors::kBareLf;
  if (line.size() == 2) {
    state_ = State::kDone;
    return nullptr;
  }
  if (trailer_count_ == trailer_count_limit_) return &errors::kTrailersTooLarge;
  ++trailer_count_;
  Field field;
  const char* at = line.data();
  if (const Error* error = read_field_line(at, line.data() + line.size(), field)) return error;
  if (!is_forbidden_trailer(field)) trailers_->add(field);
  return nullptr;
}

}  // namespace sluice::http::h1
