// One way from an HTTP request to a gRPC method: which parts of the request are which fields of the message,
// and what of the answer is sent.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/arena.h"
#include "policies/transform/grpc_transcode/field_text.h"
#include "policies/transform/grpc_transcode/http_template.h"
#include "policies/transform/grpc_transcode/message_codec.h"
#include "policies/transform/grpc_transcode/schema.h"

namespace sluice::policies::grpc {

/// What a query may have that is no field.
struct QueryRules {
  std::vector<std::string> ignored;
  bool ignore_unknown = false;
};

class Binding {
 public:
  using Result = std::expected<void, std::string>;  // the error is a sentence for the caller

  /// `method` must outlive it. The error is a sentence.
  static std::expected<Binding, std::string> compile(const Method& method, const HttpRule& rule);

  const Method& method() const { return *method_; }
  const HttpRule& rule() const { return *rule_; }
  const HttpTemplate& path() const { return path_; }
  bool takes_body() const { return body_ != Part::kNone; }
  /// The body is a google.api.HttpBody: bytes of any type, no JSON.
  bool takes_raw_body() const { return raw_body_; }
  bool answers_raw() const { return raw_answer_; }

  /// Appends what the path, below the API's, and the query say.
  Result write_url(std::string_view path, std::string_view query, const QueryRules& rules,
                   const MessageCodec& codec, Arena& arena, std::string& out) const;
  /// Appends what a body of one JSON value says.
  Result write_body(std::string_view json, const MessageCodec& codec, std::string& out) const;
  /// The same of a body of any type.
  void write_raw_body(std::string_view content_type, std::string_view body, std::string& out) const;
  /// Appends an answer's JSON.
  Result write_answer(std::string_view message, const MessageCodec& codec, std::string& out) const;

  /// A google.api.HttpBody taken apart.
  struct Raw {
    std::string_view content_type;
    std::string_view data;
  };
  Raw raw_of(std::string_view message) const;

 private:
  enum class Part : uint8_t { kNone, kWhole, kField };
  Result write_query(std::string_view query, const QueryRules& rules, const MessageCodec& codec, Arena& arena,
                     std::string& out) const;
  std::expected<TextField, std::string> find_query_field(std::string_view name) const;

  const Method* method_ = nullptr;
  const HttpRule* rule_ = nullptr;
  HttpTemplate path_;
  std::vector<TextField> path_fields_;  // of its variables
  Part body_ = Part::kNone;
  const google::protobuf::FieldDescriptor* body_field_ = nullptr;
  const google::protobuf::FieldDescriptor* answer_field_ = nullptr;  // null: the whole
  bool raw_body_ = false;
  bool raw_answer_ = false;
};

}  // namespace sluice::policies::grpc
