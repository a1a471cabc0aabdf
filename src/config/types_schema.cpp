// What the types of types.h say in JSON Schema.
#include "config/json_schema.h"
#include "config/types.h"

namespace sluice::config::detail {

namespace {

/// A value that is no string may also come out of a reference, so a string with one is accepted.
template <class Write>
void or_reference(JsonWriter& json, Write write) {
  json.key("anyOf").begin_array();
  json.begin_object();
  write();
  json.end_object();
  json.begin_object();
  json.member("$ref", "#/definitions/reference");
  json.end_object();
  json.end_array();
}

void bounds(JsonWriter& json, const Facts& facts) {
  if (facts.minimum) json.key("minimum").number(*facts.minimum);
  if (facts.maximum) json.key("maximum").number(*facts.maximum);
}

void write_item(JsonWriter& json, SchemaWriter& schema, const Type& item) {
  json.begin_object();
  item.write_schema(json, schema, {});
  json.end_object();
}

}  // namespace

void schema_boolean(JsonWriter& json) {
  or_reference(json, [&] { json.member("type", "boolean"); });
}

void schema_integer(JsonWriter& json, const Facts& facts, int64_t minimum, uint64_t maximum) {
  or_reference(json, [&] {
    json.member("type", "integer");
    if (facts.minimum)
      json.key("minimum").number(*facts.minimum);
    else
      json.key("minimum").integer(minimum);
    if (facts.maximum)
      json.key("maximum").number(*facts.maximum);
    else
      json.key("maximum").unsigned_integer(maximum);
  });
}

void schema_double(JsonWriter& json, const Facts& facts) {
  or_reference(json, [&] {
    json.member("type", "number");
    bounds(json, facts);
  });
}

void schema_string(JsonWriter& json) { json.member("type", "string"); }

void schema_scalar(JsonWriter& json, std::string_view pattern, bool plain_number) {
  if (pattern.empty() && !plain_number) return schema_string(json);
  json.key("anyOf").begin_array();
  if (plain_number) {
    json.begin_object();
    json.member("type", "integer");
    json.key("minimum").integer(0);
    json.end_object();
  }
  json.begin_object();
  json.member("type", "string");
  if (!pattern.empty()) json.member("pattern", pattern);
  json.end_object();
  json.begin_object();
  json.member("$ref", "#/definitions/reference");
  json.end_object();
  json.end_array();
}

void schema_choice(JsonWriter& json, std::span<const EnumChoice> choices) {
  or_reference(json, [&] {
    json.key("enum").begin_array();
    for (const EnumChoice& choice : choices)
      if (!choice.unsupported) json.string(choice.text);
    json.end_array();
  });
}

void schema_list(JsonWriter& json, SchemaWriter& schema, const Facts& facts, const Type& item) {
  const auto list = [&] {
    json.member("type", "array");
    if (facts.min_items > 0) json.key("minItems").unsigned_integer(facts.min_items);
    json.key("items");
    write_item(json, schema, item);
  };
  if (!facts.one_or_many) return list();
  json.key("anyOf").begin_array();
  json.begin_object();
  list();
  json.end_object();
  write_item(json, schema, item);
  json.end_array();
}

void schema_map(JsonWriter& json, SchemaWriter& schema, const Facts& facts, const Type& item) {
  json.member("type", "object");
  if (facts.min_items > 0) json.key("minProperties").unsigned_integer(facts.min_items);
  if (facts.names) {
    json.key("propertyNames").begin_object();
    json.member("pattern", "^[A-Za-z0-9._-]{1,253}$");
    json.end_object();
  }
  json.key("additionalProperties");
  write_item(json, schema, item);
}

}  // namespace sluice::config::detail
