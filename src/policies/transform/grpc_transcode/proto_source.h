// Collects descriptors from files: sets that protoc wrote, and .proto sources with all that they import.
#pragma once

#include <expected>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace sluice::policies::grpc {

/// An import is looked for beside the file that names it and in each folder above, so that the usual trees of
/// .proto files need no list of roots. What Google's runtimes bring (google/protobuf/*, google/api/http,
/// annotations and httpbody) needs no file.
class ProtoSource {
 public:
  using ReadFile = std::function<std::expected<std::string, std::string>(std::string_view path)>;

  explicit ProtoSource(ReadFile read_file);
  ~ProtoSource();

  /// A file ending in ".proto", or a FileDescriptorSet. The problem, a sentence, or empty.
  std::string add(const std::string& path);
  /// All of it as one serialised FileDescriptorSet, each file behind those that it imports.
  std::expected<std::string, std::string> finish();

 private:
  struct Files;
  std::unique_ptr<Files> files_;
};

}  // namespace sluice::policies::grpc
