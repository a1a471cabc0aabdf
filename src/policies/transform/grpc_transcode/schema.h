// The services that a descriptor set describes, and how they are bound to HTTP. protobuf's own types stay
// behind it.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace google::protobuf {
class Descriptor;
class FieldDescriptor;
class MethodDescriptor;
namespace util {
class TypeResolver;
}
}  // namespace google::protobuf

namespace sluice::policies::grpc {

/// One `google.api.http` rule (google/api/http.proto).
struct HttpRule {
  std::string method;         // "GET"; empty: any
  std::string path;           // a path template
  std::string body;           // empty: none; "*"; or a field
  std::string response_body;  // empty: the whole message; or a field
};

struct Method {
  std::string path;     // "/shop.v1.Books/Get"
  std::string service;  // "shop.v1.Books"
  const google::protobuf::Descriptor* input = nullptr;
  const google::protobuf::Descriptor* output = nullptr;
  bool client_streams = false;
  bool server_streams = false;
  std::vector<HttpRule> rules;
  HttpRule own_rule;  // the call itself, with JSON in its body

  /// "shop.v1.Books/Get"
  std::string_view name() const { return std::string_view(path).substr(1); }
};

/// Immutable; may be used by many threads.
class Schema {
 public:
  /// Of a serialised FileDescriptorSet in which imports come first. The error is a sentence.
  static std::expected<std::shared_ptr<const Schema>, std::string> build(std::string_view descriptor_set);
  ~Schema();

  /// In the order of the files.
  std::span<const Method> methods() const { return methods_; }
  /// Tells two sets apart.
  uint64_t fingerprint() const { return fingerprint_; }
  google::protobuf::util::TypeResolver& types() const;

 private:
  struct Pool;
  Schema();
  std::unique_ptr<Pool> pool_;
  std::vector<Method> methods_;
  uint64_t fingerprint_ = 0;
};

}  // namespace sluice::policies::grpc
