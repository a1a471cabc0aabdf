#include "policies/transform/grpc_transcode/wire.h"

#include <google/protobuf/descriptor.h>

namespace sluice::policies::grpc {

namespace {
/// Groups in groups, or messages in messages; protobuf's own bound is 100.
constexpr int kMostNesting = 100;

bool is_well_formed(const google::protobuf::Descriptor& type, std::string_view message, int nesting) {
  if (nesting > kMostNesting) return false;
  WireReader reader(message);
  WireReader::Field field;
  while (reader.next(field)) {
    if (field.type != WireType::kBytes) continue;
    const auto* known = type.FindFieldByNumber(static_cast<int>(field.number));
    bool is_message = known && known->type() == google::protobuf::FieldDescriptor::TYPE_MESSAGE;
    if (is_message && !is_well_formed(*known->message_type(), field.bytes, nesting + 1)) return false;
  }
  return !reader.bad();
}
}  // namespace

void append_varint(uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void append_fixed32(uint32_t value, std::string& out) {
  for (int i = 0; i < 4; ++i) out += static_cast<char>(value >> (8 * i));
}

void append_fixed64(uint64_t value, std::string& out) {
  for (int i = 0; i < 8; ++i) out += static_cast<char>(value >> (8 * i));
}

void append_tag(uint32_t number, WireType type, std::string& out) {
  append_varint(uint64_t{number} << 3 | static_cast<uint64_t>(type), out);
}

void append_bytes(uint32_t number, std::string_view bytes, std::string& out) {
  append_tag(number, WireType::kBytes, out);
  append_varint(bytes.size(), out);
  out += bytes;
}

std::optional<uint64_t> WireReader::varint() {
  uint64_t value = 0;
  for (int shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
    auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

bool WireReader::skip(uint64_t bytes) {
  if (rest_.size() < bytes) return false;
  rest_.remove_prefix(bytes);
  return true;
}

bool WireReader::skip_group(uint32_t number) {
  // Groups left open, innermost last.
  uint32_t open[kMostNesting];
  int depth = 0;
  open[depth++] = number;
  while (depth > 0) {
    auto tag = varint();
    if (!tag) return false;
    auto of = static_cast<uint32_t>(*tag >> 3);
    bool good = true;
    switch (static_cast<WireType>(*tag & 7)) {
      case WireType::kVarint:
        good = varint().has_value();
        break;
      case WireType::kFixed64:
        good = skip(8);
        break;
      case WireType::kFixed32:
        good = skip(4);
        break;
      case WireType::kBytes: {
        auto size = varint();
        good = size && skip(*size);
        break;
      }
      case WireType::kGroupStart:
        good = depth < kMostNesting;
        if (good) open[depth++] = of;
        break;
      case WireType::kGroupEnd:
        good = open[--depth] == of;
        break;
      default:
        good = false;
    }
    if (!good) return false;
  }
  return true;
}

bool WireReader::next(Field& field) {
  if (rest_.empty() || bad_) return false;
  const char* begin = rest_.data();
  auto tag = varint();
  bad_ = !tag || *tag >> 3 == 0 || *tag >> 32 != 0;
  if (bad_) return false;
  field = {static_cast<uint32_t>(*tag >> 3), static_cast<WireType>(*tag & 7), {}, {}};
  switch (field.type) {
    case WireType::kVarint:
      bad_ = !varint();
      break;
    case WireType::kFixed64:
      bad_ = !skip(8);
      break;
    case WireType::kFixed32:
      bad_ = !skip(4);
      break;
    case WireType::kBytes: {
      auto size = varint();
      if (size) field.bytes = rest_.substr(0, *size);
      bad_ = !size || !skip(*size);
      break;
    }
    case WireType::kGroupStart:
      bad_ = !skip_group(field.number);
      break;
    default:
      bad_ = true;
  }
  field.whole = {begin, static_cast<size_t>(rest_.data() - begin)};
  return !bad_;
}

std::string only_field(std::string_view message, uint32_t number) {
  std::string out;
  WireReader reader(message);
  WireReader::Field field;
  while (reader.next(field))
    if (field.number == number) out += field.whole;
  return out;
}

std::string_view last_bytes(std::string_view message, uint32_t number) {
  std::string_view found;
  WireReader reader(message);
  WireReader::Field field;
  while (reader.next(field))
    if (field.number == number && field.type == WireType::kBytes) found = field.bytes;
  return found;
}

bool is_well_formed(const google::protobuf::Descriptor& type, std::string_view message) {
  return is_well_formed(type, message, 0);
}

}  // namespace sluice::policies::grpc
