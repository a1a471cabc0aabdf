#include "policies/transform/grpc_transcode/message_codec.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/type_resolver.h>

#include "policies/transform/grpc_transcode/json_scanner.h"
#include "policies/transform/grpc_transcode/type_table.h"
#include "policies/transform/grpc_transcode/wire.h"

namespace sluice::policies::grpc {

namespace {

namespace pb = google::protobuf;

constexpr size_t kMostErrorBytes = 300;

std::string type_url(const pb::Descriptor& type) {
  return std::string(kTypePrefix).append("/").append(type.full_name());
}

/// protobuf's sentence without its internals: "(a.b): invalid value "x" for type TYPE_INT32".
std::string tidy(const pb::util::Status& status) {
  std::string text(status.message());
  text.resize(std::min(text.find('\n'), text.size()));  // then a picture of the place
  if (text.size() > kMostErrorBytes) text.resize(kMostErrorBytes);
  for (std::string_view noise : {"type.googleapis.com/", "TYPE_"})
    for (size_t at = text.find(noise); at != std::string::npos; at = text.find(noise))
      text.erase(at, noise.size());
  if (text.starts_with('(')) text.erase(0, 1).erase(std::min(text.find(')'), text.size() - 1), 1);
  for (char& c : text)
    if (c < 0x20 || c > 0x7e) c = '?';
  return text;
}

pb::util::JsonPrintOptions to_protobuf(const PrintOptions& print) {
  pb::util::JsonPrintOptions options;
  options.add_whitespace = print.add_whitespace;
  options.always_print_primitive_fields = print.always_print_primitive_fields;
  options.always_print_enums_as_ints = print.always_print_enums_as_ints;
  options.preserve_proto_field_names = print.preserve_proto_field_names;
  return options;
}

std::expected<void, MessageCodec::Error> print(pb::util::TypeResolver& types, const pb::Descriptor& type,
                                               std::string_view message,
                                               const pb::util::JsonPrintOptions& options, std::string& out) {
  if (!is_well_formed(type, message)) return std::unexpected("the message is not what its type says");
  pb::io::ArrayInputStream in(message.data(), static_cast<int>(message.size()));
  pb::io::StringOutputStream to(&out);
  auto status = pb::util::BinaryToJsonStream(&types, type_url(type), &in, &to, options);
  if (!status.ok()) return std::unexpected(tidy(status));
  return {};
}

/// The value of a member of an object as protobuf writes it without white space, or empty; false: too deep.
bool find_member(std::string_view object, std::string_view key, std::string_view& value) {
  auto take_value = [&](std::string_view& taken) {
    JsonScanner scanner;
    size_t used = 0;
    bool whole = scanner.scan(object, used) == JsonScanner::Status::kWhole;
    taken = object.substr(0, used);
    object.remove_prefix(used);
    return whole;
  };
  object.remove_prefix(1);
  while (object.size() > 1) {
    std::string_view name;
    if (!take_value(name)) return false;
    object.remove_prefix(1);  // the colon
    if (!take_value(value)) return false;
    if (name.substr(1, name.size() - 2) == key) return true;
    object.remove_prefix(1);  // a comma, or the end
  }
  value = {};
  return true;
}

/// A field that is not set.
std::string default_json(const pb::FieldDescriptor& field, bool enums_as_numbers) {
  if (field.is_map()) return "{}";
  if (field.is_repeated()) return "[]";
  switch (field.cpp_type()) {
    case pb::FieldDescriptor::CPPTYPE_MESSAGE:
      return "null";
    case pb::FieldDescriptor::CPPTYPE_STRING:
      return "\"\"";
    case pb::FieldDescriptor::CPPTYPE_BOOL:
      return "false";
    case pb::FieldDescriptor::CPPTYPE_INT64:
    case pb::FieldDescriptor::CPPTYPE_UINT64:
      return "\"0\"";
    case pb::FieldDescriptor::CPPTYPE_ENUM:
      if (enums_as_numbers) return std::to_string(field.default_value_enum()->number());
      return "\"" + field.default_value_enum()->name() + "\"";
    default:
      return "0";
  }
}

}  // namespace

const config::Struct<PrintOptions>& PrintOptions::schema() {
  static const auto schema =
      config::Struct<PrintOptions>("grpc_print", "How answers are written as JSON.")
          .field("add_whitespace", &PrintOptions::add_whitespace,
                 "Indent; not in streams, where a message is a line.")
          .field("always_print_primitive_fields", &PrintOptions::always_print_primitive_fields,
                 "Write numbers, strings, booleans and lists that have their default too.")
          .field("always_print_enums_as_ints", &PrintOptions::always_print_enums_as_ints,
                 "Write enums as numbers.")
          .field("preserve_proto_field_names", &PrintOptions::preserve_proto_field_names,
                 "`page_size` instead of `pageSize`.");
  return schema;
}

MessageCodec::MessageCodec(const Schema& schema, const PrintOptions& print, bool ignore_unknown_fields)
    : types_(schema.types()), print_(print), ignore_unknown_fields_(ignore_unknown_fields) {
  // What is wrong comes back as an error; protobuf would also write it to stderr.
  static const auto kQuiet = pb::SetLogHandler(nullptr);
  std::ignore = kQuiet;
}

std::expected<void, MessageCodec::Error> MessageCodec::to_message(const pb::Descriptor& type,
                                                                  std::string_view json,
                                                                  std::string& out) const {
  pb::util::JsonParseOptions options;
  options.ignore_unknown_fields = ignore_unknown_fields_;
  pb::io::ArrayInputStream in(json.data(), static_cast<int>(json.size()));
  pb::io::StringOutputStream to(&out);
  auto status = pb::util::JsonToBinaryStream(&types_, type_url(type), &in, &to, options);
  if (!status.ok()) return std::unexpected(tidy(status));
  return {};
}

std::expected<void, MessageCodec::Error> MessageCodec::to_json(const pb::Descriptor& type,
                                                               std::string_view message,
                                                               std::string& out) const {
  return print(types_, type, message, to_protobuf(print_), out);
}

std::expected<void, MessageCodec::Error> MessageCodec::to_json(const pb::FieldDescriptor& field,
                                                               std::string_view message,
                                                               std::string& out) const {
  std::string alone = only_field(message, static_cast<uint32_t>(field.number()));
  // A message of that field alone is an object with that member, and perhaps the defaults of others.
  auto options = to_protobuf(print_);
  options.add_whitespace = false;
  std::string object;
  auto done = print(types_, *field.containing_type(), alone, options, object);
  if (!done) return done;
  std::string_view value;
  if (!find_member(object, key_of(field), value)) return std::unexpected("the message nests too deep");
  out += value.empty() ? default_json(field, print_.always_print_enums_as_ints) : std::string(value);
  return {};
}

const std::string& MessageCodec::key_of(const pb::FieldDescriptor& field) const {
  return print_.preserve_proto_field_names ? field.name() : field.json_name();
}

}  // namespace sluice::policies::grpc
