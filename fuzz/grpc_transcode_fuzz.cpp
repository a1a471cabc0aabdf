// JSON and messages: what Boost.JSON takes for JSON the scanner does too, however it is cut; JSON that became
// a message comes back as JSON that is the same message; any bytes at all are a message or are refused.
#include <boost/json.hpp>
#include <string>

#include "check.h"
#include "policies/transform/grpc_transcode/binding.h"
#include "policies/transform/grpc_transcode/json_scanner.h"
#include "policies/transform/grpc_transcode/proto_source.h"

using namespace sluice;
using namespace sluice::policies::grpc;

namespace {

constexpr std::string_view kProto = R"(
syntax = "proto3";
package f;
import "google/protobuf/timestamp.proto";
import "google/protobuf/struct.proto";
import "google/protobuf/wrappers.proto";
import "google/protobuf/any.proto";
enum E { A = 0; B = 1; }
message M {
  string s = 1;
  bytes b = 2;
  int64 i = 3;
  double d = 4;
  E e = 5;
  repeated M m = 6;
  map<string, M> map = 7;
  google.protobuf.Timestamp at = 8;
  google.protobuf.Value value = 9;
  google.protobuf.BoolValue flag = 10;
  google.protobuf.Any any = 11;
  oneof o { string x = 12; fixed32 y = 13; }
}
service S { rpc R(M) returns (M); }
)";

const Schema& schema() {
  static const auto kSchema = [] {
    ProtoSource source([](std::string_view path) -> std::expected<std::string, std::string> {
      if (path == "f.proto") return std::string(kProto);
      return std::unexpected("none");
    });
    SLUICE_FUZZ_CHECK(source.add("f.proto").empty());
    auto built = Schema::build(*source.finish());
    SLUICE_FUZZ_CHECK(built.has_value());
    return *built;
  }();
  return *kSchema;
}

/// Whether `text` is one JSON value.
bool scans(std::string_view text, size_t piece) {
  JsonScanner scanner;
  bool whole = false;
  while (!text.empty()) {
    std::string_view bytes = text.substr(0, piece);
    if (whole) return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
    size_t used = 0;
    JsonScanner::Status status = scanner.scan(bytes, used);
    if (status == JsonScanner::Status::kBad || status == JsonScanner::Status::kDeep) return false;
    whole = status == JsonScanner::Status::kWhole;
    text.remove_prefix(used);
  }
  return whole || scanner.end() == JsonScanner::Status::kWhole;
}

void check_scanner(std::string_view text, size_t piece) {
  bool whole = scans(text, text.size() + 1);
  SLUICE_FUZZ_CHECK(scans(text, piece) == whole);
  boost::system::error_code error;
  boost::json::parse_options options;
  options.max_depth = JsonScanner::kMaxDepth;
  boost::json::parse(boost::json::string_view(text.data(), text.size()), error, {}, options);
  SLUICE_FUZZ_CHECK(error || whole);
}

void check_codec(std::string_view text) {
  static const MessageCodec kCodec(schema(), {}, false);
  const Method& method = schema().methods().front();
  std::string json;
  if (kCodec.to_json(*method.output, text, json)) {
    JsonScanner scanner;
    size_t used = 0;
    SLUICE_FUZZ_CHECK(scanner.scan(json, used) != JsonScanner::Status::kBad);
    SLUICE_FUZZ_CHECK(scanner.between_values() ? used == json.size() : json.size() > JsonScanner::kMaxDepth);
  }
  std::string message;
  if (!scans(text, text.size() + 1) || !kCodec.to_message(*method.input, text, message)) return;
  json.clear();
  if (!kCodec.to_json(*method.output, message, json)) return;  // deeper than it writes
  std::string again;
  SLUICE_FUZZ_CHECK(kCodec.to_message(*method.input, json, again).has_value());
}

void check_url(std::string_view text) {
  static const MessageCodec kCodec(schema(), {}, false);
  static const HttpRule kRule{"GET", "/{s}", {}, {}};
  static const auto kBinding = *Binding::compile(schema().methods().front(), kRule);
  Arena arena;
  std::string message;
  if (!kBinding.write_url("/x", text, {}, kCodec, arena, message)) return;
  std::string json;
  SLUICE_FUZZ_CHECK(kCodec.to_json(*schema().methods().front().input, message, json).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
  check_scanner(text, size_t{data[0]} + 1);
  check_codec(text);
  check_url(text);
  return 0;
}
