#include "config/json_schema.h"

#include "config/document.h"

namespace sluice::config {

namespace {

constexpr std::string_view kDraft = "http://json-schema.org/draft-07/schema#";
constexpr std::string_view kPoliciesName = "policy";

/// A struct itself, not a list or a map of it.
bool is_struct(const Type& type) { return type.structure() && !type.item_type(); }

void write_field(JsonWriter& json, SchemaWriter& schema, const StructBase& of, const Field& field) {
  const Type& type = field.type();
  json.key(field.name).begin_object();
  json.member("description", field.doc);
  if (const std::string value = default_json(of, field); !value.empty()) json.key("default").raw(value);
  if (is_struct(type)) {
    // Draft-07 ignores what stands beside a `$ref`.
    json.key("allOf").begin_array();
    json.begin_object();
    type.write_schema(json, schema, field);
    json.end_object();
    json.end_array();
  } else {
    type.write_schema(json, schema, field);
  }
  json.end_object();
}

void write_required(JsonWriter& json, const StructBase& type) {
  json.key("required").begin_array();
  for (const Field& field : type.fields())
    if (field.required) json.string(field.name);
  json.end_array();
}

bool has_required(const StructBase& type) { return std::ranges::any_of(type.fields(), &Field::required); }

void write_properties(JsonWriter& json, SchemaWriter& schema, std::span<const StructBase* const> parts) {
  json.member("type", "object");
  json.key("properties").begin_object();
  for (const StructBase* part : parts)
    for (const Field& field : part->fields()) write_field(json, schema, *part, field);
  json.end_object();
  json.key("additionalProperties").boolean(false);
}

/// The keywords of an object; with a shorthand, of either form.
void write_object(JsonWriter& json, SchemaWriter& schema, const StructBase& type) {
  const StructBase* parts[] = {&type};
  json.member("description", type.doc());
  const auto object = [&] {
    write_properties(json, schema, parts);
    if (has_required(type)) write_required(json, type);
  };
  const Field* shorthand = type.shorthand_field();
  if (!shorthand) return object();
  json.key("anyOf").begin_array();
  json.begin_object();
  object();
  json.end_object();
  json.begin_object();
  shorthand->type().write_schema(json, schema, *shorthand);
  json.end_object();
  json.end_array();
}

/// A policy that is only switched off need not have its required fields.
void write_required_unless_disabled(JsonWriter& json, const StructBase& type) {
  json.key("anyOf").begin_array();
  json.begin_object();
  write_required(json, type);
  json.end_object();
  json.begin_object();
  json.key("required").begin_array();
  json.string("enabled");
  json.end_array();
  json.key("properties").begin_object();
  json.key("enabled").begin_object();
  json.key("const").boolean(false);
  json.end_object();
  json.end_object();
  json.end_object();
  json.end_array();
}

void write_policy_fields(JsonWriter& json, SchemaWriter& schema, const StructBase& type) {
  const StructBase* parts[] = {&PolicyCommon::schema(), &type};
  const auto object = [&] {
    write_properties(json, schema, parts);
    if (has_required(type)) write_required_unless_disabled(json, type);
  };
  json.member("description", type.doc());
  const Field* shorthand = type.shorthand_field();
  if (!shorthand) return object();
  json.key("anyOf").begin_array();
  json.begin_object();
  object();
  json.end_object();
  json.begin_object();
  shorthand->type().write_schema(json, schema, *shorthand);
  json.end_object();
  json.end_array();
}

/// `{ KEY: ... }` and nothing else.
template <class Write>
void write_one_key(JsonWriter& json, std::string_view key, Write value) {
  json.begin_object();
  json.member("type", "object");
  json.key("properties").begin_object();
  json.key(key).begin_object();
  value();
  json.end_object();
  json.end_object();
  json.key("required").begin_array();
  json.string(key);
  json.end_array();
  json.key("additionalProperties").boolean(false);
  json.end_object();
}

void write_policy_entry(JsonWriter& json, SchemaWriter& schema) {
  json.key(kPoliciesName).begin_object();
  json.member("description", "An entry of a list of policies: one key, the policy's type.");
  json.key("oneOf").begin_array();
  write_one_key(json, "use", [&] {
    json.member("description", "The chain whose policies stand here.");
    json.member("type", "string");
  });
  if (const PolicyCatalog* catalog = schema.catalog())
    for (std::string_view name : catalog->names())
      if (const StructBase* type = catalog->find(name))
        write_one_key(json, name, [&] { write_policy_fields(json, schema, *type); });
  json.end_array();
  json.end_object();
}

}  // namespace

std::string SchemaWriter::reference_to(const StructBase& type) {
  auto [found, added] = names_.try_emplace(&type);
  if (added) {
    std::string name(type.struct_name());
    for (int number = 2; name == kPoliciesName || name == "reference" || !taken_.insert(name).second;
         ++number)
      name = std::string(type.struct_name()) + "_" + std::to_string(number);
    found->second = std::move(name);
    waiting_.push_back(&type);
  }
  return "#/definitions/" + found->second;
}

std::string SchemaWriter::reference_to_policies() {
  policies_asked_ = true;
  return "#/definitions/" + std::string(kPoliciesName);
}

void SchemaWriter::write_definitions(JsonWriter& json) {
  json.key("definitions").begin_object();
  json.key("reference").begin_object();
  json.member("description",
              "A value from outside: `${env:NAME}`, `${env:NAME:-default}` or `${file:PATH}`.");
  json.member("type", "string");
  json.member("pattern", "\\$\\{(env|file):");
  json.end_object();
  for (bool policies_written = false; !waiting_.empty() || (policies_asked_ && !policies_written);) {
    if (waiting_.empty()) {
      policies_written = true;
      write_policy_entry(json, *this);
      continue;
    }
    const StructBase& type = *waiting_.front();
    waiting_.pop_front();
    json.key(names_.at(&type)).begin_object();
    write_object(json, *this, type);
    json.end_object();
  }
  json.end_object();
}

std::string json_schema(const StructBase& type, const PolicyCatalog* catalog) {
  JsonWriter json;
  SchemaWriter schema(catalog);
  json.begin_object();
  json.member("$schema", kDraft);
  json.member("title", type.struct_name());
  write_object(json, schema, type);
  schema.write_definitions(json);
  json.end_object();
  return json.take() + "\n";
}

std::string document_schema(const PolicyCatalog* catalog) { return json_schema(Document::schema(), catalog); }

std::string default_json(const StructBase& type, const Field& field) {
  if (field.required || field.secret || is_struct(field.type())) return {};
  const void* value = static_cast<const std::byte*>(type.defaults()) + field.offset;
  if (!field.type().is_set(value) || field.type().item_count(value) == 0) return {};
  JsonWriter json(false);
  field.type().write(value, json);
  std::string text = json.take();
  return text == "\"\"" ? std::string() : text;
}

std::string to_json(const StructBase& type, const void* value) {
  JsonWriter json;
  type.write(value, json);
  return json.take() + "\n";
}

}  // namespace sluice::config
