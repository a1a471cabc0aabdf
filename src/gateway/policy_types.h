// What the gateway knows of the policies' types: a name, a field list, and how to build one. The table of
// them is above, in policies/.
#pragma once

#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/document.h"
#include "config/policy_entry.h"
#include "gateway/policy.h"
#include "gateway/redis/redis_store.h"
#include "gateway/services.h"

namespace sluice::gateway {

/// What a policy is built with, beside its own configuration.
struct PolicyContext {
  Services& services;
  std::string_view id;
  /// Names the policy's state: level, API and route if it stands on one, type and id. The same on every node
  /// and across reloads (contract, "Chains").
  std::string_view identity;
  bool dry_run = false;
  // Of the document, for types that say `reads_shared`.
  const config::Map<config::Plan>& plans;
  const RedisStores& stores;
};

/// A way into an API that a policy brings. It belongs to the route that a POST to `call` takes, and has that
/// route's policies, conditions and settings; so what protects a call protects every way to it.
struct BroughtRoute {
  static constexpr uint32_t kNoNumber = UINT32_MAX;
  std::string call;             // a path below the API's
  std::string name;             // of the route that is made when the API has none for `call`
  std::string path;             // as in RouteSpec; empty: there is no other way than the call itself
  std::string method;           // empty: any
  std::string suffix;           // that the path must have; empty: none
  uint32_t number = kNoNumber;  // RoutePlan::brought of a request that comes this way
};

struct PolicyType {
  std::string_view name;
  const config::StructBase* schema;
  /// `config` is what `schema` makes. The error is a sentence.
  std::expected<std::shared_ptr<const Policy>, std::string> (*build)(const void* config,
                                                                     const PolicyContext&);
  /// It can answer a request. One that cannot does nothing in a dry run.
  bool decides = false;
  /// It is built anew when the document's plans or stores change.
  bool reads_shared = false;
  /// Configured so it keeps something across restarts: `gateway.state` is opened. Null: it never does.
  bool (*needs_state)(const void* config, const PolicyContext&) = nullptr;
  /// It can find out who is calling.
  bool identifies = false;
  /// It wants to know who is calling: what to say when nothing before it can find out; null: it does not.
  std::string_view (*needs_identity)(const void* config) = nullptr;
  /// Why it cannot stand on a route whose path has these parameters, a sentence, or empty; null: it always
  /// can.
  std::string (*unfit_for)(const void* config, std::span<const std::string> parameters) = nullptr;
  /// The ways into its API that it brings; null: none. One that brings any stands on an API.
  std::vector<BroughtRoute> (*brings)(const void* config) = nullptr;
};

class PolicyTypes : public config::PolicyCatalog {
 public:
  /// nullptr when there is none of that name.
  virtual const PolicyType* type(std::string_view name) const = 0;
};

}  // namespace sluice::gateway
