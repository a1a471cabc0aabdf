#include "policies/transform/grpc_transcode/google_api.h"

namespace sluice::policies::grpc {

namespace {

constexpr std::string_view kAnnotations = R"(
syntax = "proto3";
package google.api;
import "google/api/http.proto";
import "google/protobuf/descriptor.proto";
extend google.protobuf.MethodOptions { HttpRule http = 72295728; }
)";

constexpr std::string_view kHttp = R"(
syntax = "proto3";
package google.api;
message Http {
  repeated HttpRule rules = 1;
  bool fully_decode_reserved_expansion = 2;
}
message HttpRule {
  string selector = 1;
  oneof pattern {
    string get = 2;
    string put = 3;
    string post = 4;
    string delete = 5;
    string patch = 6;
    CustomHttpPattern custom = 8;
  }
  string body = 7;
  string response_body = 12;
  repeated HttpRule additional_bindings = 11;
}
message CustomHttpPattern {
  string kind = 1;
  string path = 2;
}
)";

constexpr std::string_view kHttpBody = R"(
syntax = "proto3";
package google.api;
import "google/protobuf/any.proto";
message HttpBody {
  string content_type = 1;
  bytes data = 2;
  repeated google.protobuf.Any extensions = 3;
}
)";

// Hints for documents and clients: nothing of them changes what is transcoded.
constexpr std::string_view kFieldBehavior = R"(
syntax = "proto3";
package google.api;
import "google/protobuf/descriptor.proto";
extend google.protobuf.FieldOptions { repeated FieldBehavior field_behavior = 1052; }
enum FieldBehavior {
  FIELD_BEHAVIOR_UNSPECIFIED = 0;
  OPTIONAL = 1;
  REQUIRED = 2;
  OUTPUT_ONLY = 3;
  INPUT_ONLY = 4;
  IMMUTABLE = 5;
  UNORDERED_LIST = 6;
  NON_EMPTY_DEFAULT = 7;
  IDENTIFIER = 8;
}
)";

constexpr std::string_view kClient = R"(
syntax = "proto3";
package google.api;
import "google/protobuf/descriptor.proto";
extend google.protobuf.MethodOptions { repeated string method_signature = 1051; }
extend google.protobuf.ServiceOptions {
  string default_host = 1049;
  string oauth_scopes = 1050;
}
)";

}  // namespace

std::string_view google_api_source(std::string_view name) {
  if (name == "google/api/annotations.proto") return kAnnotations;
  if (name == "google/api/http.proto") return kHttp;
  if (name == "google/api/httpbody.proto") return kHttpBody;
  if (name == "google/api/field_behavior.proto") return kFieldBehavior;
  if (name == "google/api/client.proto") return kClient;
  return {};
}

}  // namespace sluice::policies::grpc
