// Fields of a request that a URL gives as text: found by their path, written as protobuf's wire format.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "policies/transform/grpc_transcode/message_codec.h"

namespace sluice::policies::grpc {

/// A field that a text can say: a scalar, an enum, or a message whose JSON is a string or a number (a
/// timestamp, a duration, a mask, a wrapper).
class TextField {
 public:
  /// By a path of names as the .proto has them or as JSON has them: "book.pageCount". The error is the end of
  /// a sentence that starts with the path: "is not a field of `shop.Book`".
  static std::expected<TextField, std::string> find(const google::protobuf::Descriptor& message,
                                                    std::string_view path);

  bool repeated() const;
  /// Appends the field with this value; several values of a repeated field, and fields of one message, add
  /// up. The error is a sentence about the value.
  std::expected<void, std::string> write(std::string_view value, const MessageCodec& codec,
                                         std::string& out) const;
  /// The path with the names of the .proto: whatever it was called, a field has one.
  const std::string& name() const { return name_; }

 private:
  std::expected<void, std::string> write_alone(std::string_view value, const MessageCodec& codec,
                                               std::string& out) const;

  std::vector<uint32_t> parents_;  // numbers of the fields around it, outermost first
  const google::protobuf::FieldDescriptor* field_ = nullptr;
  std::string name_;
};

/// By either name; null: there is none.
const google::protobuf::FieldDescriptor* find_field(const google::protobuf::Descriptor& message,
                                                    std::string_view name);

}  // namespace sluice::policies::grpc
