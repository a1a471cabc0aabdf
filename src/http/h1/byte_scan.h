// Scans over the bytes of a head, sixteen at a time where SSE2 is there (any x86-64); the plain loops are for
// other machines and for the last bytes, because nothing is read beyond the end.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace sluice::http::h1 {

/// Bit i: byte i is CR, or LF.
struct LineEnds {
  uint64_t cr = 0;
  uint64_t lf = 0;
};

/// Of up to 64 bytes; `before`: how many bytes in front of them may be read.
inline LineEnds find_line_ends(const char* at, size_t size, size_t before = 0) {
  LineEnds found;
#if defined(__SSE2__)
  char copy[64];
  if (size < 64) {
    size_t missing = 64 - size;
    if (before >= missing) {
      found = find_line_ends(at - missing, 64);
      return {found.cr >> missing, found.lf >> missing};
    }
    std::memset(copy, 0, sizeof copy);
    std::memcpy(copy, at, size);
    at = copy;
  }
  const __m128i cr = _mm_set1_epi8('\r');
  const __m128i lf = _mm_set1_epi8('\n');
  for (unsigned i = 0; i < 4; ++i) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 16 * i));
    auto cr_bits = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, cr)));
    auto lf_bits = static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, lf)));
    found.cr |= uint64_t{cr_bits} << (16 * i);
    found.lf |= uint64_t{lf_bits} << (16 * i);
  }
#else
  for (size_t i = 0; i < size; ++i) {
    found.cr |= uint64_t{at[i] == '\r'} << i;
    found.lf |= uint64_t{at[i] == '\n'} << i;
  }
#endif
  return found;
}

/// The first byte below `kBelow` (unsigned) or equal to DEL in [at, end), or `end`.
template <uint8_t kBelow>
inline const char* find_control(const char* at, const char* end) {
#if defined(__SSE2__)
  const __m128i highest = _mm_set1_epi8(static_cast<char>(kBelow - 1));
  const __m128i del = _mm_set1_epi8(0x7f);
  for (; end - at >= 16; at += 16) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    __m128i below = _mm_cmpeq_epi8(_mm_min_epu8(bytes, highest), bytes);
    int bits = _mm_movemask_epi8(_mm_or_si128(below, _mm_cmpeq_epi8(bytes, del)));
    if (bits) return at + __builtin_ctz(static_cast<unsigned>(bits));
  }
#endif
  for (; at != end; ++at)
    if (static_cast<uint8_t>(*at) < kBelow || *at == 0x7f) return at;
  return end;
}

/// The first colon in [at, end), or `end`.
inline const char* find_colon(const char* at, const char* end) {
#if defined(__SSE2__)
  const __m128i colon = _mm_set1_epi8(':');
  for (; end - at >= 16; at += 16) {
    __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    int bits = _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, colon));
    if (bits) return at + __builtin_ctz(static_cast<unsigned>(bits));
  }
#endif
  for (; at != end; ++at)
    if (*at == ':') return at;
  return end;
}

/// Whether [at, at + size) has letters, digits and "-" only, as nearly all names. False also when it is long,
/// or so near to `end` that this cannot be told at once.
inline bool is_plain_name(const char* at, size_t size, const char* end) {
#if defined(__SSE2__)
  if (size == 0 || size > 16 || end - at < 16) return false;
  auto within = [](__m128i bytes, char first, char last) {
    __m128i bounded = _mm_max_epu8(_mm_min_epu8(bytes, _mm_set1_epi8(last)), _mm_set1_epi8(first));
    return _mm_cmpeq_epi8(bounded, bytes);
  };
  __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  __m128i letters = within(_mm_or_si128(bytes, _mm_set1_epi8(0x20)), 'a', 'z');
  __m128i others = _mm_or_si128(within(bytes, '0', '9'), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-')));
  auto plain = static_cast<unsigned>(_mm_movemask_epi8(_mm_or_si128(letters, others)));
  return (~plain & ((1u << size) - 1)) == 0;
#else
  return false;
#endif
}

}  // namespace sluice::http::h1
