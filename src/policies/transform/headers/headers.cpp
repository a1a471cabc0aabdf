#include "policies/transform/headers/headers.h"

#include <fmt/format.h>

#include "gateway/exchange.h"
#include "http/syntax.h"

namespace sluice::policies {

namespace {

using http::FieldName;

/// Fields that frame a message or belong to one connection are the codec's alone (RFC 9110, section 7.6.1).
bool is_off_limits(std::string_view name) {
  switch (http::intern_field_name(name)) {
    case FieldName::kConnection:
    case FieldName::kContentLength:
    case FieldName::kHost:
    case FieldName::kHttp2Settings:
    case FieldName::kKeepAlive:
    case FieldName::kProxyConnection:
    case FieldName::kTe:
    case FieldName::kTrailer:
    case FieldName::kTransferEncoding:
    case FieldName::kUpgrade:
      return true;
    default:
      return false;
  }
}

void check_changes(const FieldChanges& changes, const config::Node& node, config::Reader& reader) {
  auto check_name = [&](const std::string& name) {
    if (!http::is_token(name))
      reader.error(node, "invalid-name", fmt::format("`{}` is no name of a header field", name));
    else if (is_off_limits(name))
      reader.error(
          node, "forbidden-field",
          fmt::format("`{}` frames the message or belongs to the connection: it cannot be changed", name));
  };
  auto check_pair = [&](const auto& pair) {
    check_name(pair.first);
    if (!http::is_field_value(pair.second))
      reader.error(node, "invalid-value",
                   fmt::format("the value of `{}` cannot stand in a header field", pair.first));
  };
  for (const auto& pair : changes.set) check_pair(pair);
  for (const auto& pair : changes.add) check_pair(pair);
  for (const std::string& name : changes.remove) check_name(name);
}

}  // namespace

const config::Struct<FieldChanges>& FieldChanges::schema() {
  static const auto schema =
      config::Struct<FieldChanges>("field_changes", "What is changed of a message's header fields.")
          .field("set", &FieldChanges::set, "Replaces every field of that name, or adds it.")
          .field("add", &FieldChanges::add, "Adds one more field.")
          .field("remove", &FieldChanges::remove, "Removes every field of that name.")
          .check(check_changes);
  return schema;
}

const config::Struct<HeadersConfig>& HeadersConfig::schema() {
  static const auto schema =
      config::Struct<HeadersConfig>("headers", "Changes header fields: removes, then sets, then adds.")
          .field("request", &HeadersConfig::request, "Of the request, on its way to the upstream.")
          .field("response", &HeadersConfig::response, "Of the answer, on its way to the client.");
  return schema;
}

Headers::Changes::Changes(const FieldChanges& configured) {
  auto named = [](const std::string& name, const std::string& value) {
    return Named{name, value, http::intern_field_name(name)};
  };
  for (const auto& [name, value] : configured.set) set_.push_back(named(name, value));
  for (const auto& [name, value] : configured.add) add_.push_back(named(name, value));
  for (const std::string& name : configured.remove) remove_.push_back(named(name, {}));
}

void Headers::Changes::apply(http::Fields& fields) const {
  for (const Named& field : remove_) fields.remove(field.id, field.name);
  for (const Named& field : set_) fields.set(http::Field{field.name, field.value, field.id});
  for (const Named& field : add_) fields.add(http::Field{field.name, field.value, field.id});
}

Headers::Headers(const HeadersConfig& configured)
    : request_(configured.request), response_(configured.response) {}

gateway::Step Headers::on_request(gateway::Exchange& exchange) const {
  request_.apply(exchange.request.fields);
  return gateway::Step::next();
}

void Headers::on_response(gateway::Exchange& exchange) const { response_.apply(exchange.response.fields); }

const gateway::PolicyType& Headers::type() {
  static const gateway::PolicyType type{
      .name = "headers",
      .schema = &HeadersConfig::schema(),
      .build = [](const void* config, const gateway::PolicyContext&)
          -> std::expected<std::shared_ptr<const gateway::Policy>, std::string> {
        return std::make_shared<const Headers>(*static_cast<const HeadersConfig*>(config));
      },
  };
  return type;
}

}  // namespace sluice::policies
