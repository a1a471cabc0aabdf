#include "policies/transform/grpc_transcode/schema.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/unknown_field_set.h>
#include <google/protobuf/util/type_resolver.h>

#include "base/hash.h"
#include "policies/transform/grpc_transcode/type_table.h"

namespace sluice::policies::grpc {

namespace {

namespace pb = google::protobuf;

/// The number of the extension `google.api.http` of MethodOptions.
constexpr int kHttpExtension = 72295728;

/// Keeps the first error.
class PoolErrors final : public pb::DescriptorPool::ErrorCollector {
 public:
  void AddError(const std::string& file, const std::string& element, const pb::Message*, ErrorLocation,
                const std::string& message) override {
    if (first.empty()) first = fmt::format("{}: {}: {}", file, element, message);
  }
  std::string first;
};

/// HttpRule from its bytes: the descriptors of google.api are not compiled in.
bool read_rule(const std::string& bytes, std::vector<HttpRule>& rules, bool nested) {
  pb::UnknownFieldSet fields;
  if (!fields.ParseFromString(bytes)) return false;
  size_t at = rules.size();
  rules.emplace_back();
  bool good = true;
  for (int i = 0; i < fields.field_count(); ++i) {
    const pb::UnknownField& field = fields.field(i);
    if (field.type() != pb::UnknownField::TYPE_LENGTH_DELIMITED) continue;
    const std::string& value = field.length_delimited();
    constexpr std::string_view kMethods[] = {"GET", "PUT", "POST", "DELETE", "PATCH"};
    switch (field.number()) {
      case 2:
      case 3:
      case 4:
      case 5:
      case 6:
        rules[at].method = kMethods[field.number() - 2];
        rules[at].path = value;
        break;
      case 8: {
        pb::UnknownFieldSet custom;
        good &= custom.ParseFromString(value);
        for (int j = 0; j < custom.field_count(); ++j) {
          if (custom.field(j).type() != pb::UnknownField::TYPE_LENGTH_DELIMITED) continue;
          const std::string& text = custom.field(j).length_delimited();
          if (custom.field(j).number() == 1) rules[at].method = text == "*" ? std::string() : text;
          if (custom.field(j).number() == 2) rules[at].path = text;
        }
        break;
      }
      case 7:
        rules[at].body = value;
        break;
      case 12:
        rules[at].response_body = value;
        break;
      case 11:
        good &= !nested && read_rule(value, rules, true);
        break;
      default:
        break;
    }
  }
  return good && !rules[at].path.empty();
}

std::expected<Method, std::string> read_method(const pb::MethodDescriptor& descriptor) {
  Method method;
  method.service = descriptor.service()->full_name();
  method.path = "/" + method.service + "/" + descriptor.name();
  method.own_rule = {"POST", method.path, "*", {}};
  method.input = descriptor.input_type();
  method.output = descriptor.output_type();
  method.client_streams = descriptor.client_streaming();
  method.server_streams = descriptor.server_streaming();
  const pb::UnknownFieldSet& options = descriptor.options().unknown_fields();
  for (int i = 0; i < options.field_count(); ++i) {
    const pb::UnknownField& option = options.field(i);
    if (option.number() != kHttpExtension || option.type() != pb::UnknownField::TYPE_LENGTH_DELIMITED)
      continue;
    if (!read_rule(option.length_delimited(), method.rules, false))
      return std::unexpected(fmt::format("`{}`: its google.api.http option is no HttpRule", method.path));
  }
  return method;
}

}  // namespace

struct Schema::Pool {
  pb::DescriptorPool descriptors;
  std::unique_ptr<pb::util::TypeResolver> types;
};

Schema::Schema() : pool_(std::make_unique<Pool>()) {}
Schema::~Schema() = default;

pb::util::TypeResolver& Schema::types() const { return *pool_->types; }

std::expected<std::shared_ptr<const Schema>, std::string> Schema::build(std::string_view descriptor_set) {
  pb::FileDescriptorSet set;
  if (!set.ParseFromArray(descriptor_set.data(), static_cast<int>(descriptor_set.size())))
    return std::unexpected("the descriptor set cannot be read");
  auto schema = std::shared_ptr<Schema>(new Schema);
  schema->fingerprint_ = hash64(descriptor_set, 0);
  std::vector<std::string> files;
  for (const pb::FileDescriptorProto& file : set.file()) {
    PoolErrors errors;
    const pb::FileDescriptor* built = schema->pool_->descriptors.BuildFileCollectingErrors(file, &errors);
    if (!built) return std::unexpected(errors.first);
    files.push_back(file.name());
    for (int i = 0; i < built->service_count(); ++i) {
      for (int j = 0; j < built->service(i)->method_count(); ++j) {
        auto method = read_method(*built->service(i)->method(j));
        if (!method) return std::unexpected(method.error());
        schema->methods_.push_back(std::move(*method));
      }
    }
  }
  if (schema->methods_.empty()) return std::unexpected("the descriptors describe no service");
  schema->pool_->types = make_type_table(schema->pool_->descriptors, files);
  return schema;
}

}  // namespace sluice::policies::grpc
