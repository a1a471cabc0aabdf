// What protobuf's JSON functions ask about a message's type, made once: they ask anew for every message.
#pragma once

#include <memory>
#include <span>
#include <string>

namespace google::protobuf {
class DescriptorPool;
namespace util {
class TypeResolver;
}
}  // namespace google::protobuf

namespace sluice::policies::grpc {

inline constexpr const char* kTypePrefix = "type.googleapis.com";

/// Of every type in these files and in what they import; `pool` must outlive it. May be used by many threads.
std::unique_ptr<google::protobuf::util::TypeResolver> make_type_table(
    const google::protobuf::DescriptorPool& pool, std::span<const std::string> files);

}  // namespace sluice::policies::grpc
