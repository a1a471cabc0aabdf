#include "policies/transform/grpc_transcode/proto_files.h"

#include "policies/transform/grpc_transcode/proto_source.h"

namespace sluice::config {

namespace {
using policies::grpc::ProtoFiles;
using policies::grpc::ProtoSource;
using policies::grpc::Schema;
}  // namespace

bool TypeOf<ProtoFiles>::read(const Node& node, void* into, Reader& reader) const {
  auto& files = *static_cast<ProtoFiles*>(into);
  if (node.is_sequence()) {
    if (!type_of<std::vector<std::string>>().read(node, &files.paths, reader)) return false;
  } else if (!type_of<std::string>().read(node, &files.paths.emplace_back(), reader)) {
    return false;
  }
  if (files.paths.empty()) return reader.expected(node, "at least one file");
  FileSource* source = reader.files();
  if (!source) return reader.error(node, "unreadable-file", "no file can be read here");
  ProtoSource sources([&](std::string_view path) { return source->read(path); });
  for (size_t i = 0; i < files.paths.size(); ++i) {
    std::string problem = sources.add(files.paths[i]);
    if (!problem.empty())
      return reader.error(node.is_sequence() ? node.items()[i] : node, "descriptors", problem);
  }
  auto set = sources.finish();
  if (!set) return reader.error(node, "descriptors", set.error());
  auto schema = Schema::build(*set);
  if (!schema) return reader.error(node, "descriptors", schema.error());
  files.schema = std::move(*schema);
  return true;
}

void TypeOf<ProtoFiles>::write(const void* from, JsonWriter& json) const {
  const auto& files = *static_cast<const ProtoFiles*>(from);
  json.begin_array();
  for (const std::string& path : files.paths) json.string(path);
  if (json.is_for_digest() && files.schema) json.unsigned_integer(files.schema->fingerprint());
  json.end_array();
}

void TypeOf<ProtoFiles>::write_schema(JsonWriter& json, SchemaWriter&, const Facts&) const {
  json.key("anyOf").begin_array();
  json.begin_object();
  json.member("type", "string");
  json.end_object();
  json.begin_object();
  json.member("type", "array");
  json.key("items").begin_object();
  json.member("type", "string");
  json.end_object();
  json.end_object();
  json.end_array();
}

}  // namespace sluice::config
