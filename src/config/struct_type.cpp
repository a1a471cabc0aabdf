#include "config/struct_type.h"

#include "config/json_schema.h"

namespace sluice::config {

namespace {

const std::byte* member(const void* of, const Field& field) {
  return static_cast<const std::byte*>(of) + field.offset;
}
std::byte* member(void* of, const Field& field) { return static_cast<std::byte*>(of) + field.offset; }

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 253 && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
}

bool check_names(const Node& map, Reader& reader) {
  bool good = true;
  for (uint32_t i = 0; i < map.member_count(); ++i)
    if (!is_name(map.key(i).text))
      good = reader.error(map.key(i), "invalid-name",
                          "a name is made of letters, digits, `.`, `_` and `-`, 253 at most");
  return good;
}

bool check_range(const Field& field, const void* value, const Node& node, Reader& reader) {
  const Type& type = field.type();
  const auto magnitude = type.magnitude(value);
  if (!magnitude) return true;
  const bool low = field.minimum && *magnitude < *field.minimum;
  const bool high = field.maximum && *magnitude > *field.maximum;
  if (!low && !high) return true;
  std::string message = "`" + std::string(field.name) + "` must be ";
  if (field.minimum && field.minimum == field.maximum)
    message += type.bound_text(*field.minimum);
  else if (field.minimum && field.maximum)
    message += "from " + type.bound_text(*field.minimum) + " to " + type.bound_text(*field.maximum);
  else if (field.minimum)
    message += "at least " + type.bound_text(*field.minimum);
  else
    message += "at most " + type.bound_text(*field.maximum);
  return reader.error(node, "out-of-range", message);
}

bool read_field(const Field& field, void* into, const Node& node, Reader& reader) {
  const Type& type = field.type();
  if (field.one_or_many && !node.is_sequence()) {
    Node alone = node;
    Node list;
    list.kind = Node::Kind::kSequence;
    list.at = node.at;
    list.count = 1;
    list.children = &alone;
    if (!type.read(list, into, reader)) return false;
  } else if (!type.read(node, into, reader)) {
    return false;
  }
  if (field.min_items > 0 && type.item_count(into).value_or(field.min_items) < field.min_items)
    return reader.error(node, "too-few-items",
                        "`" + std::string(field.name) + "` needs at least " +
                            std::to_string(field.min_items) + (field.min_items == 1 ? " item" : " items"));
  if (field.names && !check_names(node, reader)) return false;
  return check_range(field, into, node, reader);
}

/// Where a key was found among several structs.
struct Slot {
  const Field* field = nullptr;
  size_t part = 0;
  size_t number = 0;  // of the field in its struct
};

Slot find_slot(std::span<const StructBase::Part> parts, std::string_view key) {
  for (size_t part = 0; part < parts.size(); ++part) {
    const auto fields = parts[part].type.fields();
    for (size_t number = 0; number < fields.size(); ++number)
      if (fields[number].name == key) return {&fields[number], part, number};
  }
  return {};
}

bool report_unknown(const Node& key, std::span<const StructBase::Part> parts, Reader& reader) {
  std::vector<std::string_view> known;
  for (const auto& part : parts)
    for (const Field& field : part.type.fields()) known.push_back(field.name);
  return reader.error(key, "unknown-key",
                      "unknown key `" + std::string(key.text) + "`" + suggest(key.text, known));
}

}  // namespace

const Field* StructBase::find(std::string_view name) const {
  auto found = std::ranges::find(fields_, name, &Field::name);
  return found == fields_.end() ? nullptr : &*found;
}

bool StructBase::read_parts(const Node& node, std::span<const Part> parts, Reader& reader, bool complete) {
  bool good = true;
  std::array<uint64_t, 4> seen{};  // a bit a field, for each part
  for (uint32_t i = 0; i < node.count; ++i) {
    const Node& key = node.key(i);
    const Slot slot = find_slot(parts, key.text);
    if (!slot.field) {
      good = report_unknown(key, parts, reader);
      continue;
    }
    const uint64_t bit = uint64_t{1} << slot.number;
    // The reader of YAML reported the second one; the first counts, as for Node::find.
    if (seen[slot.part] & bit) continue;
    seen[slot.part] |= bit;
    good &= read_field(*slot.field, member(parts[slot.part].into, *slot.field), node.value(i), reader);
  }
  for (size_t part = 0; part < parts.size(); ++part) {
    const StructBase& type = parts[part].type;
    for (size_t number = 0; complete && number < type.fields_.size(); ++number)
      if (type.fields_[number].required && !(seen[part] >> number & 1))
        good =
            reader.error(node, "missing-key", "`" + std::string(type.fields_[number].name) + "` is missing");
    type.set_origin(parts[part].into, node.at);
  }
  if (good && complete)
    for (const Part& part : parts) {
      const size_t before = reader.diagnostics().error_count();
      part.type.run_checks(part.into, node, reader);
      good &= reader.diagnostics().error_count() == before;
    }
  return good;
}

bool StructBase::read(const Node& node, void* into, Reader& reader) const {
  if (node.is_mapping()) {
    const Part part{*this, into};
    return read_parts(node, {&part, 1}, reader);
  }
  const Field* field = shorthand_field();
  if (!field) return reader.expected(node, "a mapping");
  set_origin(into, node.at);
  if (!read_field(*field, member(into, *field), node, reader)) return false;
  const size_t before = reader.diagnostics().error_count();
  run_checks(into, node, reader);
  return reader.diagnostics().error_count() == before;
}

void StructBase::write(const void* from, JsonWriter& json) const {
  json.begin_object();
  write_members(from, json);
  json.end_object();
}

void StructBase::write_members(const void* from, JsonWriter& json) const {
  for (const Field& field : fields_) {
    const void* value = member(from, field);
    if (!field.type().is_set(value)) continue;
    // A list that was left out stays out: some keys mean something by being there.
    if (field.type().item_count(value) == 0 && field.type().item_count(member(defaults(), field)) == 0)
      continue;
    json.key(field.name);
    if (field.secret)
      json.string("***");
    else
      field.type().write(value, json);
  }
}

void StructBase::write_schema(JsonWriter& json, SchemaWriter& schema, const Facts&) const {
  json.member("$ref", schema.reference_to(*this));
}

}  // namespace sluice::config
