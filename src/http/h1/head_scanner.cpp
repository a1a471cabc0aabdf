#include "http/h1/head_scanner.h"

#include "http/h1/byte_scan.h"
#include "http/h1/errors.h"
#include "http/syntax.h"

namespace sluice::http::h1 {
namespace {

/// What a request line may have besides its target: the longest registered method has 17 bytes.
constexpr uint32_t kLineBesidesTarget = 64;
constexpr unsigned kNoBit = 64;

unsigned first_bit(uint64_t bits) { return bits ? static_cast<unsigned>(std::countr_zero(bits)) : kNoBit; }
/// How many bytes of a block of 64 are before the limit; kNoBit when all are.
unsigned bytes_before(uint64_t limit, uint64_t position) {
  uint64_t left = limit > position ? limit - position : 0;
  return left < kNoBit ? static_cast<unsigned>(left) : kNoBit;
}

}  // namespace

HeadScanner::HeadScanner(Side side, const Limits& limits)
    : side_(side),
      head_limit_(side == Side::kRequest ? limits.request_head : limits.response_head),
      line_limit_(side == Side::kRequest && limits.request_target < UINT32_MAX - kLineBesidesTarget
                      ? limits.request_target + kLineBesidesTarget
                      : UINT32_MAX) {}

void HeadScanner::reset() {
  skip_ = 0;
  line_ended_ = false;
  recent_cr_ = 0;
  recent_lf_ = 0;
  position_ = 0;
}

std::expected<HeadScanner::Progress, Error> HeadScanner::fail(const Error& error) const {
  return std::unexpected(side_ == Side::kRequest ? error : errors::of_upstream(error));
}

/// Takes a leading CRLF (RFC 9112, section 2.2: at least one is ignored; we ignore exactly one) and looks at
/// the first byte of the start line, so that a TLS or binary greeting is refused at once.
const Error* HeadScanner::take_start(std::string_view& piece) {
  for (; !piece.empty(); piece.remove_prefix(1)) {
    char c = piece.front();
    if (skip_ == 1) {
      if (c != '\n') return &errors::kBareCr;
      skip_ = 2;
    } else if (c == '\r' && skip_ == 0 && side_ == Side::kRequest) {
      skip_ = 1;
    } else if (c == '\n') {
      return &errors::kBareLf;
    } else {
      return is_token_char(c) ? nullptr : &errors::kBadStartLine;
    }
  }
  return nullptr;
}

/// Takes the whole blocks in which neither an end nor an error nor a limit is met: most of a head.
void HeadScanner::skip_plain_blocks(std::string_view& piece) {
  while (piece.size() >= 64) {
    uint32_t limit = line_ended_ ? head_limit_ : std::min(head_limit_, line_limit_);
    if (position_ + 64 >= limit) return;
    LineEnds found = find_line_ends(piece.data(), 64);
    uint64_t mismatch = found.lf ^ (found.cr << 1 | recent_cr_);
    uint64_t end = found.lf & (found.lf << 2 | recent_lf_);
    if (mismatch | end) return;
    line_ended_ |= found.lf != 0;
    position_ += 64;
    recent_cr_ = found.cr >> 63;
    recent_lf_ = found.lf >> 62;
    piece.remove_prefix(64);
  }
}

std::expected<HeadScanner::Progress, Error> HeadScanner::feed(std::string_view piece) {
  std::string_view rest = piece;
  if (position_ == 0) {
    if (const Error* error = take_start(rest)) return fail(*error);
  }
  skip_plain_blocks(rest);
  while (!rest.empty()) {
    auto size = static_cast<unsigned>(std::min<size_t>(rest.size(), 64));
    uint64_t valid = ~uint64_t{0} >> (64 - size);
    LineEnds found = find_line_ends(rest.data(), size, piece.size() - rest.size());
    // Every LF must follow a CR and every CR be followed by an LF; so an LF two bytes after another ends the
    // head.
    uint64_t mismatch = (found.lf ^ (found.cr << 1 | recent_cr_)) & valid;
    uint64_t end = found.lf & (found.lf << 2 | recent_lf_);

    unsigned stop = std::min(first_bit(mismatch), first_bit(end));
    unsigned too_large = bytes_before(head_limit_, position_);
    unsigned too_long = kNoBit;
    if (!line_ended_) {
      too_long = bytes_before(line_limit_, position_);
      if (first_bit(found.lf) < too_long) {
        line_ended_ = true;
        too_long = kNoBit;
      }
    }
    if (std::min({stop, too_large, too_long}) < size) [[unlikely]] {
      if (too_long <= stop && too_long <= too_large && too_long < size) return fail(errors::kTargetTooLong);
      if (too_large <= stop) return fail(errors::kHeadTooLarge);
      if (mismatch >> stop & 1) return fail(found.lf >> stop & 1 ? errors::kBareLf : errors::kBareCr);
      return Progress{true, piece.size() - rest.size() + stop + 1, skip_};
    }
    position_ += size;
    recent_cr_ = found.cr >> (size - 1) & 1;
    recent_lf_ = size > 1 ? static_cast<uint8_t>(found.lf >> (size - 2) & 3)
                          : static_cast<uint8_t>(recent_lf_ >> 1 | (found.lf & 1) << 1);
    rest.remove_prefix(size);
  }
  return Progress{false, piece.size(), skip_};
}

}  // namespace sluice::http::h1
