#include "policies/transform/grpc_transcode/type_table.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/type.pb.h>
#include <google/protobuf/util/type_resolver.h>
#include <google/protobuf/util/type_resolver_util.h>

#include <unordered_map>

namespace sluice::policies::grpc {

namespace {

namespace pb = google::protobuf;

std::string url_of(const std::string& name) { return std::string(kTypePrefix).append("/").append(name); }

class TypeTable final : public pb::util::TypeResolver {
 public:
  TypeTable(const pb::DescriptorPool& pool, std::span<const std::string> files)
      : all_(pb::util::NewTypeResolverForDescriptorPool(kTypePrefix, &pool)) {
    for (const std::string& name : files) {
      const pb::FileDescriptor& file = *pool.FindFileByName(name);
      for (int i = 0; i < file.message_type_count(); ++i) add(*file.message_type(i));
      for (int i = 0; i < file.enum_type_count(); ++i) add(*file.enum_type(i));
    }
  }

  pb::util::Status ResolveMessageType(const std::string& url, pb::Type* type) override {
    auto known = messages_.find(url);
    if (known == messages_.end()) return all_->ResolveMessageType(url, type);
    *type = known->second;
    return {};
  }

  pb::util::Status ResolveEnumType(const std::string& url, pb::Enum* type) override {
    auto known = enums_.find(url);
    if (known == enums_.end()) return all_->ResolveEnumType(url, type);
    *type = known->second;
    return {};
  }

 private:
  void add(const pb::Descriptor& message) {
    std::string url = url_of(message.full_name());
    pb::Type& type = messages_[url];
    if (!all_->ResolveMessageType(url, &type).ok()) return void(messages_.erase(url));
    // Copied for every message: what says nothing about JSON is left out.
    for (pb::Field& field : *type.mutable_fields()) field.clear_options();
    for (int i = 0; i < message.nested_type_count(); ++i) add(*message.nested_type(i));
    for (int i = 0; i < message.enum_type_count(); ++i) add(*message.enum_type(i));
  }
  void add(const pb::EnumDescriptor& descriptor) {
    std::string url = url_of(descriptor.full_name());
    if (!all_->ResolveEnumType(url, &enums_[url]).ok()) enums_.erase(url);
  }

  std::unique_ptr<pb::util::TypeResolver> all_;
  std::unordered_map<std::string, pb::Type> messages_;
  std::unordered_map<std::string, pb::Enum> enums_;
};

}  // namespace

std::unique_ptr<pb::util::TypeResolver> make_type_table(const pb::DescriptorPool& pool,
                                                        std::span<const std::string> files) {
  return std::make_unique<TypeTable>(pool, files);
}

}  // namespace sluice::policies::grpc
