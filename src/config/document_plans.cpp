// The field lists of plans, and of who calls under them.
#include "config/document.h"
#include "config/document_types.h"

namespace sluice::config {

const Struct<PlanLimit>& PlanLimit::schema() {
  static const auto schema =
      Struct<PlanLimit>("plan_limit", "How often a subscription may be used.")
          .field("rate", &PlanLimit::rate, "How many requests in which time.")
          .required()
          .field("burst", &PlanLimit::burst,
                 "How many at once, by `gcra`; the count of `rate` when left out.")
          .range(1, 1e15)
          .unit("requests")
          .field("algorithm", &PlanLimit::algorithm,
                 "`gcra`: a full burst, then evenly; `fixed_window`: the count of `rate` in each period.")
          .check([](const PlanLimit& limit, const Node& node, Reader& reader) {
            if (limit.burst && limit.algorithm != RateAlgorithm::kGcra)
              reader.error(*node.find("burst"), "conflict", "a window has no `burst`: it is its `rate`");
          });
  return schema;
}

const Struct<Plan>& Plan::schema() {
  static const auto schema =
      Struct<Plan>("plan", "What subscriptions to an API allow; see the policy `subscription`.")
          .field("limits", &Plan::limits, "How often; all of them hold.");
  return schema;
}

const Struct<Subscription>& Subscription::schema() {
  static const auto schema =
      Struct<Subscription>("subscription", "A consumer's right to an API, under a plan.")
          .field("api", &Subscription::api, "The name of the API.")
          .required()
          .field("plan", &Subscription::plan, "The name of the plan.")
          .required();
  return schema;
}

const Struct<Credential>& Credential::schema() {
  static const auto schema =
      Struct<Credential>("credential", "What a consumer proves itself with.")
          .field("api_key", &Credential::api_key, "A key, as the `api_key` policy looks for it.")
          .secret()
          .check([](const Credential& credential, const Node& node, Reader& reader) {
            if (!credential.api_key)
              reader.error(node, "missing-key", "a credential needs its kind: `api_key`");
            if (credential.api_key && credential.api_key->empty())
              reader.error(*node.find("api_key"), "invalid-value", "a key must not be empty");
          });
  return schema;
}

const Struct<Consumer>& Consumer::schema() {
  static const auto schema =
      Struct<Consumer>("consumer", "Somebody who calls APIs.")
          .field("groups", &Consumer::groups, "The groups it is in.")
          .field("roles", &Consumer::roles, "The roles it has.")
          .field("credentials", &Consumer::credentials, "What it proves itself with.")
          .field("subscriptions", &Consumer::subscriptions,
                 "The APIs that it may use where the policy `subscription` stands, each under a plan.");
  return schema;
}

}  // namespace sluice::config
