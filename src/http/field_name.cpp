#include "http/field_name.h"

#include "base/ascii.h"

namespace sluice::http {
namespace {

static_assert(std::endian::native == std::endian::little, "names are packed into words byte by byte");

constexpr size_t kShortest = 2;  // "TE"
constexpr size_t kLongest = 19;  // "Proxy-Authorization"
constexpr uint64_t kCaseBits = 0x2020202020202020;

/// A name of kShortest to kLongest bytes as three words; parts may overlap, so that no byte beyond it is
/// read.
struct Packed {
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t middle = 0;
  bool operator==(const Packed&) const = default;
};

template <class Word>
constexpr uint64_t load(const char* at) {
  if consteval {
    uint64_t word = 0;
    for (size_t i = 0; i < sizeof(Word); ++i) word |= uint64_t{static_cast<uint8_t>(at[i])} << (8 * i);
    return word;
  } else {
    Word word;
    std::memcpy(&word, at, sizeof word);
    return word;
  }
}

constexpr Packed pack(const char* text, size_t size) {
  Packed packed;
  if (size >= 8) {
    packed.first = load<uint64_t>(text);
    packed.last = load<uint64_t>(text + size - 8);
    if (size > 16) packed.middle = load<uint64_t>(text + 8);
  } else if (size >= 4) {
    packed.first = load<uint32_t>(text) | load<uint32_t>(text + size - 4) << 32;
  } else {
    packed.first = load<uint16_t>(text) | load<uint8_t>(text + size - 1) << 16;
  }
  return packed;
}

constexpr uint8_t slot_of(const Packed& packed, size_t size, uint64_t multiplier) {
  uint64_t mixed = (packed.first | kCaseBits) ^ std::rotl(packed.last | kCaseBits, 27) ^ size;
  return static_cast<uint8_t>((mixed * multiplier) >> 56);
}

constexpr std::string_view kTexts[] = {"",
#define SLUICE_FIELD_TEXT(name, text) text,
                                       SLUICE_FIELD_NAMES(SLUICE_FIELD_TEXT)
#undef SLUICE_FIELD_TEXT
};
constexpr size_t kCount = std::size(kTexts);
static_assert(kCount == static_cast<size_t>(FieldName::kCount));

/// A multiplier for which no two names share a slot.
constexpr uint64_t kMultiplier = [] {
  uint64_t candidate = 0x9e3779b97f4a7c15;
  for (;;) {
    bool used[256] = {};
    bool collides = false;
    for (size_t i = 1; i < kCount && !collides; ++i) {
      uint8_t slot = slot_of(pack(kTexts[i].data(), kTexts[i].size()), kTexts[i].size(), candidate);
      collides = std::exchange(used[slot], true);
    }
    if (!collides) return candidate;
    candidate = candidate * 6364136223846793005 + 1442695040888963407;
    candidate |= 1;
  }
}();

/// A name in lower case. Only letters may differ by the case bit: CR with it would read as "-".
struct Entry {
  Packed text;
  Packed letters;  // the case bit where the name has a letter
  uint8_t size = 0;
  FieldName id = FieldName::kUnknown;
};

constexpr std::array<Entry, 256> kTable = [] {
  std::array<Entry, 256> table{};
  for (size_t i = 1; i < kCount; ++i) {
    std::string_view text = kTexts[i];
    char lower[kLongest] = {};
    char letters[kLongest] = {};
    for (size_t at = 0; at < text.size(); ++at) {
      lower[at] = ascii::lower(text[at]);
      letters[at] = ascii::is_alpha(text[at]) ? 0x20 : 0;
    }
    Packed packed = pack(lower, text.size());
    table[slot_of(packed, text.size(), kMultiplier)] = {
        packed, pack(letters, text.size()), static_cast<uint8_t>(text.size()), static_cast<FieldName>(i)};
  }
  return table;
}();

}  // namespace

FieldName intern_field_name(std::string_view name) {
  if (name.size() < kShortest || name.size() > kLongest) return FieldName::kUnknown;
  Packed packed = pack(name.data(), name.size());
  const Entry& entry = kTable[slot_of(packed, name.size(), kMultiplier)];
  uint64_t differs = ((packed.first | entry.letters.first) ^ entry.text.first) |
                     ((packed.last | entry.letters.last) ^ entry.text.last) |
                     ((packed.middle | entry.letters.middle) ^ entry.text.middle) |
                     (name.size() ^ entry.size);
  return differs ? FieldName::kUnknown : entry.id;
}

FieldName intern_dashed_field_name(std::string_view name) {
  if (name.size() > kLongest || name.find('_') == std::string_view::npos) return intern_field_name(name);
  char dashed[kLongest];
  std::replace_copy(name.begin(), name.end(), dashed, '_', '-');
  return intern_field_name({dashed, name.size()});
}

std::string_view field_name_text(FieldName name) { return kTexts[static_cast<size_t>(name)]; }

}  // namespace sluice::http
