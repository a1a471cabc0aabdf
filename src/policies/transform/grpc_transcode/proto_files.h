// `descriptors`: what protoc wrote (a FileDescriptorSet), or .proto files themselves. Read while the document
// is loaded, so that what is wrong is said at its place, and a changed file is a changed document.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "config/types.h"
#include "policies/transform/grpc_transcode/schema.h"

namespace sluice::policies::grpc {

struct ProtoFiles {
  std::vector<std::string> paths;        // as written
  std::shared_ptr<const Schema> schema;  // null only in a default-constructed one
};

}  // namespace sluice::policies::grpc

template <>
struct sluice::config::TypeOf<sluice::policies::grpc::ProtoFiles> final : Type {
  bool read(const Node& node, void* into, Reader& reader) const override;
  void write(const void* from, JsonWriter& json) const override;
  void write_schema(JsonWriter& json, SchemaWriter& schema, const Facts& facts) const override;
  std::string name() const override { return "file, or list of files"; }
};
