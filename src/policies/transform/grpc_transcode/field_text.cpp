#include "policies/transform/grpc_transcode/field_text.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>

#include <charconv>
#include <cmath>

#include "base/base64.h"
#include "config/json_writer.h"
#include "policies/transform/grpc_transcode/wire.h"

namespace sluice::policies::grpc {

namespace {

namespace pb = google::protobuf;
using Field = pb::FieldDescriptor;

constexpr size_t kMostPathSteps = 32;

template <class Number>
std::optional<Number> parse_number(std::string_view text) {
  Number number{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// As JSON writes what is no finite number.
template <class Real>
std::optional<Real> parse_real(std::string_view text) {
  if (text == "NaN") return std::numeric_limits<Real>::quiet_NaN();
  if (text == "Infinity") return std::numeric_limits<Real>::infinity();
  if (text == "-Infinity") return -std::numeric_limits<Real>::infinity();
  auto number = parse_number<Real>(text);
  if (number && !std::isfinite(*number)) return std::nullopt;  // "inf" is not what JSON writes
  return number;
}

uint64_t zigzag(int64_t value) {
  return static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63);
}

std::optional<int32_t> enum_number(const pb::EnumDescriptor& type, std::string_view text) {
  if (const auto* value = type.FindValueByName(std::string(text))) return value->number();
  auto number = parse_number<int32_t>(text);
  bool closed = type.file()->syntax() == pb::FileDescriptor::SYNTAX_PROTO2;
  if (number && closed && !type.FindValueByNumber(*number)) return std::nullopt;
  return number;
}

/// What the JSON mapping writes as a string or a plain value.
bool is_text_message(const pb::Descriptor& type) {
  constexpr std::string_view kTypes[] = {"Timestamp",   "Duration",   "FieldMask",   "DoubleValue",
                                         "FloatValue",  "Int64Value", "UInt64Value", "Int32Value",
                                         "UInt32Value", "BoolValue",  "StringValue", "BytesValue"};
  std::string_view name = type.full_name();
  constexpr std::string_view kPackage = "google.protobuf.";
  if (!name.starts_with(kPackage)) return false;
  name.remove_prefix(kPackage.size());
  return std::ranges::find(kTypes, name) != std::end(kTypes);
}

/// The bytes of a number behind its tag; false: `text` says none of that type.
bool append_number(Field::Type type, std::string_view text, std::string& out) {
  auto varint = [&](auto number) {
    if (number) append_varint(static_cast<uint64_t>(*number), out);
    return number.has_value();
  };
  auto fixed = [&](auto number) {
    if (!number) return false;
    if constexpr (sizeof(*number) == 4)
      append_fixed32(std::bit_cast<uint32_t>(*number), out);
    else
      append_fixed64(std::bit_cast<uint64_t>(*number), out);
    return true;
  };
  switch (type) {
    case Field::TYPE_INT32:
      return varint(parse_number<int32_t>(text).transform([](int32_t n) { return int64_t{n}; }));
    case Field::TYPE_INT64:
      return varint(parse_number<int64_t>(text));
    case Field::TYPE_UINT32:
      return varint(parse_number<uint32_t>(text));
    case Field::TYPE_UINT64:
      return varint(parse_number<uint64_t>(text));
    case Field::TYPE_SINT32:
      return varint(parse_number<int32_t>(text).transform(
          [](int32_t n) { return uint64_t{static_cast<uint32_t>(zigzag(n))}; }));
    case Field::TYPE_SINT64:
      return varint(parse_number<int64_t>(text).transform(zigzag));
    case Field::TYPE_FIXED32:
      return fixed(parse_number<uint32_t>(text));
    case Field::TYPE_SFIXED32:
      return fixed(parse_number<int32_t>(text));
    case Field::TYPE_FIXED64:
      return fixed(parse_number<uint64_t>(text));
    case Field::TYPE_SFIXED64:
      return fixed(parse_number<int64_t>(text));
    case Field::TYPE_FLOAT:
      return fixed(parse_real<float>(text));
    case Field::TYPE_DOUBLE:
      return fixed(parse_real<double>(text));
    case Field::TYPE_BOOL:
      if (text != "true" && text != "false") return false;
      append_varint(text == "true" ? 1 : 0, out);
      return true;
    default:
      return false;
  }
}

WireType wire_type(Field::Type type) {
  switch (type) {
    case Field::TYPE_FIXED32:
    case Field::TYPE_SFIXED32:
    case Field::TYPE_FLOAT:
      return WireType::kFixed32;
    case Field::TYPE_FIXED64:
    case Field::TYPE_SFIXED64:
    case Field::TYPE_DOUBLE:
      return WireType::kFixed64;
    default:
      return WireType::kVarint;
  }
}

}  // namespace

const Field* find_field(const pb::Descriptor& message, std::string_view name) {
  std::string text(name);
  if (const Field* field = message.FindFieldByName(text)) return field;
  for (int i = 0; i < message.field_count(); ++i)
    if (message.field(i)->json_name() == text) return message.field(i);
  return nullptr;
}

std::expected<TextField, std::string> TextField::find(const pb::Descriptor& message, std::string_view path) {
  TextField found;
  const pb::Descriptor* in = &message;
  for (size_t step = 0;; ++step) {
    if (step == kMostPathSteps) return std::unexpected("is too long a path of fields");
    std::string_view name = path.substr(0, path.find('.'));
    const Field* field = find_field(*in, name);
    if (!field) return std::unexpected(fmt::format("is not a field of `{}`", in->full_name()));
    if (step > 0) found.name_ += '.';
    found.name_ += field->name();
    bool last = name.size() == path.size();
    bool message_field = field->type() == Field::TYPE_MESSAGE;
    if (last) {
      if (field->type() == Field::TYPE_GROUP || (message_field && !is_text_message(*field->message_type())))
        return std::unexpected("is a message, which a text cannot say; name the fields in it");
      found.field_ = field;
      return found;
    }
    if (!message_field || field->is_repeated())
      return std::unexpected("goes through a field that is no single message");
    found.parents_.push_back(static_cast<uint32_t>(field->number()));
    in = field->message_type();
    path.remove_prefix(name.size() + 1);
  }
}

bool TextField::repeated() const { return field_->is_repeated(); }

std::expected<void, std::string> TextField::write(std::string_view value, const MessageCodec& codec,
                                                  std::string& out) const {
  if (parents_.empty()) return write_alone(value, codec, out);
  std::string inner;
  auto written = write_alone(value, codec, inner);
  if (!written) return written;
  for (size_t i = parents_.size(); i-- > 1;) {
    std::string outer;
    append_bytes(parents_[i], inner, outer);
    inner = std::move(outer);
  }
  append_bytes(parents_.front(), inner, out);
  return {};
}

std::expected<void, std::string> TextField::write_alone(std::string_view value, const MessageCodec& codec,
                                                        std::string& out) const {
  auto number = static_cast<uint32_t>(field_->number());
  auto wrong = [&](std::string_view what) {
    return std::unexpected(fmt::format("`{}` is not {}", name_, what));
  };
  switch (field_->type()) {
    case Field::TYPE_STRING:
      if (!pb::internal::IsStructurallyValidUTF8(value.data(), static_cast<int>(value.size())))
        return wrong("UTF-8");
      append_bytes(number, value, out);
      return {};
    case Field::TYPE_BYTES: {
      auto bytes = base64::decode(value);
      if (!bytes) return wrong("base64");
      append_bytes(number, *bytes, out);
      return {};
    }
    case Field::TYPE_ENUM: {
      auto known = enum_number(*field_->enum_type(), value);
      if (!known) return wrong("a value of `" + field_->enum_type()->full_name() + "`");
      append_tag(number, WireType::kVarint, out);
      append_varint(static_cast<uint64_t>(int64_t{*known}), out);
      return {};
    }
    case Field::TYPE_MESSAGE: {
      // As a member of the message around it, written as JSON.
      config::JsonWriter json(false);
      json.begin_object();
      json.key(field_->json_name());
      if (field_->is_repeated()) json.begin_array();
      json.string(value);
      if (field_->is_repeated()) json.end_array();
      json.end_object();
      std::string bytes;
      if (!codec.to_message(*field_->containing_type(), json.text(), bytes))
        return wrong("a `" + field_->message_type()->full_name() + "`");
      out += bytes;
      return {};
    }
    default:
      append_tag(number, wire_type(field_->type()), out);
      if (!append_number(field_->type(), value, out))
        return wrong(fmt::format("of the type {}", field_->type_name()));
      return {};
  }
}

}  // namespace sluice::policies::grpc
