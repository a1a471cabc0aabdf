// The JSON Schema (draft-07) of the configuration, for editors: what `sluice schema` prints.
#pragma once

#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "config/policy_entry.h"
#include "config/type.h"

namespace sluice::config {

/// Collects the definitions that a schema refers to while it is written.
class SchemaWriter {
 public:
  explicit SchemaWriter(const PolicyCatalog* catalog) : catalog_(catalog) {}

  const PolicyCatalog* catalog() const { return catalog_; }
  /// The reference to a struct's definition, which is written once, later.
  std::string reference_to(const StructBase& type);
  /// The reference to the definition of an entry of a policy list.
  std::string reference_to_policies();
  /// Writes all definitions asked for, into an open object.
  void write_definitions(JsonWriter& json);

 private:
  const PolicyCatalog* catalog_;
  std::map<const StructBase*, std::string> names_;  // of the definitions; looked up only, never listed
  std::set<std::string> taken_;
  std::deque<const StructBase*> waiting_;
  bool policies_asked_ = false;
};

/// Of the whole document, with the policies of the catalog.
std::string document_schema(const PolicyCatalog* catalog);
/// Of one struct alone.
std::string json_schema(const StructBase& type, const PolicyCatalog* catalog = nullptr);

/// A field's default as JSON; empty when it has none worth showing.
std::string default_json(const StructBase& type, const Field& field);

/// The value in its canonical JSON form, defaults included, secrets as "***".
std::string to_json(const StructBase& type, const void* value);

}  // namespace sluice::config
