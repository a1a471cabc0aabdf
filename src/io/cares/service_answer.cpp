#include "io/cares/service_answer.h"

#include <ares.h>

#include <algorithm>
#include <limits>
#include <memory>

#include "base/ascii.h"

namespace sluice::io {

namespace {

// RFC 1035, sections 3.2.4, 4.1.1 and 4.1.3; RFC 2782.
constexpr size_t kHeaderSize = 12;
constexpr size_t kQuestionTail = 4;  // type and class
constexpr size_t kServiceHead = 6;   // priority, weight and port
constexpr uint16_t kClassInternet = 1;
constexpr uint16_t kTypeService = 33;
constexpr size_t kLongestName = 253;

bool is_host(std::string_view name) {
  return !name.empty() && name.size() <= kLongestName && std::ranges::all_of(name, [](char c) {
    return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '.' || c == '_';
  });
}

/// Reads a message from its beginning; once it has run over the end, all that it says is empty.
class Reader {
 public:
  explicit Reader(std::span<const unsigned char> message) : message_(message) {}

  bool failed() const { return failed_; }
  size_t at() const { return at_; }
  void skip(size_t bytes) {
    if (bytes > message_.size() - at_)
      failed_ = true;
    else
      at_ += bytes;
  }
  uint32_t number(size_t bytes) {
    size_t from = at_;
    skip(bytes);
    uint32_t value = 0;
    for (size_t i = from; !failed_ && i < from + bytes; ++i) value = value << 8 | message_[i];
    return value;
  }
  /// Over a name, without following it into the rest of the message: RFC 1035, section 4.1.4.
  void skip_name() {
    constexpr uint32_t kPointer = 0xC0;
    for (;;) {
      uint32_t length = number(1);
      if (failed_ || length == 0) return;
      if (length >= kPointer) return skip(1);
      skip(length);
    }
  }
  std::string name() {
    if (failed_ || at_ == message_.size()) {
      failed_ = true;
      return {};
    }
    char* text = nullptr;
    long size = 0;
    int status = ares_expand_name(message_.data() + at_, message_.data(), static_cast<int>(message_.size()),
                                  &text, &size);
    if (status != ARES_SUCCESS) {
      failed_ = true;
      return {};
    }
    std::unique_ptr<char, decltype(&ares_free_string)> owned(text, &ares_free_string);
    skip(static_cast<size_t>(size));
    return text;
  }

 private:
  std::span<const unsigned char> message_;
  size_t at_ = 0;
  bool failed_ = false;
};

}  // namespace

std::optional<ServiceRecords> parse_service_answer(std::span<const unsigned char> message) {
  Reader reader(message);
  reader.skip(4);  // its number and flags: c-ares has looked at them
  uint32_t questions = reader.number(2);
  uint32_t answers = reader.number(2);
  reader.skip(kHeaderSize - 8);
  for (uint32_t i = 0; i < questions && !reader.failed(); ++i) {
    reader.skip_name();
    reader.skip(kQuestionTail);
  }
  ServiceRecords found;
  auto ttl = uint32_t{std::numeric_limits<int32_t>::max()};
  for (uint32_t i = 0; i < answers && !reader.failed(); ++i) {
    reader.skip_name();
    uint32_t type = reader.number(2);
    uint32_t of_class = reader.number(2);
    uint32_t its_ttl = reader.number(4);
    uint32_t length = reader.number(2);
    size_t begin = reader.at();
    // RFC 2181, section 8: a TTL with the highest bit set is zero. That of an alias counts, too.
    ttl = std::min(ttl, its_ttl > std::numeric_limits<int32_t>::max() ? 0 : its_ttl);
    if (type != kTypeService || of_class != kClassInternet || found.records.size() == kMaxServiceRecords) {
      reader.skip(length);
      continue;
    }
    ServiceRecord record;
    record.priority = static_cast<uint16_t>(reader.number(2));
    record.weight = static_cast<uint16_t>(reader.number(2));
    record.port = static_cast<uint16_t>(reader.number(2));
    record.host = ascii::to_lower(reader.name());
    if (length < kServiceHead || reader.at() != begin + length) return std::nullopt;
    if (record.host.ends_with('.')) record.host.pop_back();
    if (record.port != 0 && is_host(record.host)) found.records.push_back(std::move(record));
  }
  if (reader.failed()) return std::nullopt;
  found.ttl = std::chrono::seconds(ttl);
  return found;
}

}  // namespace sluice::io
