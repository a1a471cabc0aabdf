// JSON to messages and back, as protobuf's JSON mapping says. protobuf's own types stay behind it.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>

#include "config/types.h"
#include "policies/transform/grpc_transcode/schema.h"

namespace sluice::policies::grpc {

/// How messages are written as JSON; the names are Envoy's.
struct PrintOptions {
  bool add_whitespace = false;
  bool always_print_primitive_fields = false;
  bool always_print_enums_as_ints = false;
  bool preserve_proto_field_names = false;
  static const config::Struct<PrintOptions>& schema();
};

class MessageCodec {
 public:
  /// The error of each is a sentence for the caller: printable, short, with the path of the field.
  using Error = std::string;

  /// For messages of `schema`, which must outlive it.
  MessageCodec(const Schema& schema, const PrintOptions& print, bool ignore_unknown_fields);

  /// Appends the message that `json`, an object or what a well-known type is written as, says.
  std::expected<void, Error> to_message(const google::protobuf::Descriptor& type, std::string_view json,
                                        std::string& out) const;
  /// Appends the JSON of a message.
  std::expected<void, Error> to_json(const google::protobuf::Descriptor& type, std::string_view message,
                                     std::string& out) const;
  /// The same of one field alone.
  std::expected<void, Error> to_json(const google::protobuf::FieldDescriptor& field, std::string_view message,
                                     std::string& out) const;
  /// The key of a field in JSON that is printed.
  const std::string& key_of(const google::protobuf::FieldDescriptor& field) const;

 private:
  google::protobuf::util::TypeResolver& types_;
  PrintOptions print_;
  bool ignore_unknown_fields_;
};

}  // namespace sluice::policies::grpc
