#include "config/policy_entry.h"

#include "config/json_schema.h"
#include "config/types.h"

namespace sluice::config {

const Struct<PolicyCommon>& PolicyCommon::schema() {
  static const auto schema =
      Struct<PolicyCommon>("policy", "What every policy takes beside its own fields.")
          .field("id", &PolicyCommon::id, "Tells policies of one type apart; the type when left out.")
          .field("enabled", &PolicyCommon::enabled,
                 "`false` switches off the policy of this type and id of an outer level.")
          .field("dry_run", &PolicyCommon::dry_run,
                 "Count and log what the policy would do, but do not do it.")
          .field("locked", &PolicyCommon::locked,
                 "Inner levels cannot replace this policy or switch it off.");
  return schema;
}

namespace {

constexpr std::string_view kUse = "use";

bool read_use(const Node& value, PolicyEntry& entry, Reader& reader) {
  if (!value.is_scalar() || value.text.empty()) return reader.expected(value, "the name of a chain");
  entry.use = value.text;
  return true;
}

const StructBase* find_policy(const Node& key, Reader& reader) {
  const PolicyCatalog* catalog = reader.catalog();
  if (const StructBase* found = catalog ? catalog->find(key.text) : nullptr) return found;
  std::vector<std::string_view> known{kUse};
  if (catalog) known.insert(known.end(), catalog->names().begin(), catalog->names().end());
  reader.error(key, "unknown-policy",
               "there is no policy `" + std::string(key.text) + "`" + suggest(key.text, known));
  return nullptr;
}

bool is_switched_off(const Node& value) {
  const Node* enabled = value.find("enabled");
  return enabled && enabled->is_scalar() && scalar_kind(*enabled) == ScalarKind::kBoolean &&
         (enabled->text[0] | 0x20) == 'f';
}

bool read_config(const StructBase& schema, const Node& value, PolicyEntry& entry, Reader& reader) {
  std::shared_ptr<void> config = schema.make();
  entry.schema_of_config = &schema;
  bool good = false;
  if (value.is_mapping()) {
    const StructBase::Part parts[] = {{PolicyCommon::schema(), static_cast<PolicyCommon*>(&entry)},
                                      {schema, config.get()}};
    // What only switches off an outer policy need not repeat its fields.
    good = StructBase::read_parts(value, parts, reader, !is_switched_off(value));
  } else if (schema.shorthand_field()) {
    good = schema.read(value, config.get(), reader);
  } else {
    const bool nothing = value.is_scalar() && scalar_kind(value) == ScalarKind::kNull;
    return reader.error(value, "wrong-type",
                        "expected the fields of `" + entry.type + "`, found " + describe(value) +
                            (nothing ? "; write `{}` for the defaults" : ""));
  }
  if (entry.id.empty()) entry.id = entry.type;
  entry.config = std::move(config);
  return good;
}

}  // namespace

bool TypeOf<PolicyEntry>::read(const Node& node, void* into, Reader& reader) const {
  auto& entry = *static_cast<PolicyEntry*>(into);
  entry.origin = node.at;
  if (!node.is_mapping() || node.count == 0)
    return reader.expected(node, "a policy, `TYPE: {...}` or `use: CHAIN`");
  if (node.count > 1)
    return reader.error(node.key(1), "several-policies",
                        "a policy has one key, its type; indent its fields below `" +
                            std::string(node.key(0).text) + "`, or start the next one with `-`");
  const Node& key = node.key(0);
  const Node& value = node.value(0);
  entry.origin = key.at;
  if (key.text == kUse) return read_use(value, entry, reader);
  const StructBase* schema = find_policy(key, reader);
  if (!schema) return false;
  entry.type = key.text;
  return read_config(*schema, value, entry, reader);
}

void TypeOf<PolicyEntry>::write(const void* from, JsonWriter& json) const {
  const auto& entry = *static_cast<const PolicyEntry*>(from);
  json.begin_object();
  if (entry.type.empty()) {
    json.member(kUse, entry.use);
  } else {
    json.key(entry.type).begin_object();
    PolicyCommon::schema().write_members(static_cast<const PolicyCommon*>(&entry), json);
    if (entry.config) entry.schema_of_config->write_members(entry.config.get(), json);
    json.end_object();
  }
  json.end_object();
}

void TypeOf<PolicyEntry>::write_schema(JsonWriter& json, SchemaWriter& schema, const Facts&) const {
  json.member("$ref", schema.reference_to_policies());
}

std::string_view level_text(PolicyLevel level) {
  switch (level) {
    case PolicyLevel::kGateway:
      return "gateway";
    case PolicyLevel::kApi:
      return "api";
    case PolicyLevel::kRoute:
      return "route";
  }
  return {};
}

std::vector<ChainLink> resolve_chain(std::span<const PolicyEntry> gateway, std::span<const PolicyEntry> api,
                                     std::span<const PolicyEntry> route) {
  std::vector<ChainLink> chain;
  chain.reserve(gateway.size() + api.size() + route.size());
  const auto add = [&](std::span<const PolicyEntry> entries, PolicyLevel level) {
    for (const PolicyEntry& entry : entries) {
      auto same = std::ranges::find_if(chain, [&](const ChainLink& link) {
        return link.policy->type == entry.type && link.policy->id == entry.id;
      });
      if (same == chain.end())
        chain.push_back({&entry, level});
      else if (!same->policy->locked)
        *same = {&entry, level};
    }
  };
  add(gateway, PolicyLevel::kGateway);
  add(api, PolicyLevel::kApi);
  add(route, PolicyLevel::kRoute);
  std::erase_if(chain, [](const ChainLink& link) { return !link.policy->enabled; });
  return chain;
}

}  // namespace sluice::config
