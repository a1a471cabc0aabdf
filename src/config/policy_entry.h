// An entry of a policy list, `- TYPE: {...}` or `- use: CHAIN`, and the catalog from above that knows the
// types. The configuration layer knows no policy by name.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/struct_type.h"

namespace sluice::config {

/// What policies exist, and the field list of each.
class PolicyCatalog {
 public:
  virtual ~PolicyCatalog() = default;
  /// nullptr when there is no such type.
  virtual const StructBase* find(std::string_view type) const = 0;
  /// In the order in which docs and schema show them.
  virtual std::span<const std::string_view> names() const = 0;
};

/// What every policy takes beside its own fields.
struct PolicyCommon {
  std::string id;  // default: the type
  bool enabled = true;
  bool dry_run = false;
  bool locked = false;

  static const Struct<PolicyCommon>& schema();
};

struct PolicyEntry : PolicyCommon {
  std::string type;  // empty: `use`, which never leaves the loader
  std::string use;
  Origin origin;
  const StructBase* schema_of_config = nullptr;
  std::shared_ptr<const void>
      config;  // a `T` with `&T::schema() == schema_of_config`; incomplete when not enabled

  template <class T>
  const T& config_as() const {
    return *static_cast<const T*>(config.get());
  }
};

using PolicyList = std::vector<PolicyEntry>;

template <>
struct TypeOf<PolicyEntry> final : Type {
  bool read(const Node& node, void* into, Reader& reader) const override;
  void write(const void* from, JsonWriter& json) const override;
  void write_schema(JsonWriter& json, SchemaWriter& schema, const Facts& facts) const override;
  std::string name() const override { return "policy"; }
};

enum class PolicyLevel : uint8_t { kGateway, kApi, kRoute };
std::string_view level_text(PolicyLevel level);

/// One policy of a route's chain.
struct ChainLink {
  const PolicyEntry* policy = nullptr;
  PolicyLevel level = PolicyLevel::kGateway;  // where `policy` stands; with type and id it names the state
};

/// The chain of a route (contract, "Chains"): levels add up in order; a deeper entry takes the place of an
/// outer one with its type and id, or removes it with `enabled: false`, unless that is locked. Each list may
/// be empty.
std::vector<ChainLink> resolve_chain(std::span<const PolicyEntry> gateway, std::span<const PolicyEntry> api,
                                     std::span<const PolicyEntry> route);

}  // namespace sluice::config
