// The field lists of limits and plans, and of who calls under them.
#include "config/document.h"
#include "config/document_types.h"

namespace sluice::config {

void check_limit(const Limit& limit, const Node& node, Reader& reader) {
  if (limit.rate && limit.quota)
    reader.error(*node.find("quota"), "conflict", "one limit is a `rate` or a `quota`; write two");
  if (limit.quota && limit.burst) reader.error(*node.find("burst"), "conflict", "a quota has no `burst`");
  if (limit.rate && limit.burst && limit.algorithm != RateAlgorithm::kGcra)
    reader.error(*node.find("burst"), "conflict", "a window has no `burst`: it is its `rate`");
  constexpr uint64_t kMostInWindow = (1 << 24) - 1;  // store::WindowRule::kMostLimit
  if (limit.rate && limit.algorithm == RateAlgorithm::kSlidingWindow && limit.rate->count > kMostInWindow)
    reader.error(*node.find("rate"), "out-of-range", "a sliding window counts up to 16777215");
  if (limit.quota && node.find("algorithm"))
    reader.error(*node.find("algorithm"), "conflict", "a quota is counted by its calendar period");
  if (!limit.quota && node.find("timezone"))
    reader.error(*node.find("timezone"), "conflict", "a `timezone` is for a `quota`");
  if (limit.quota && !TimeZone::find(limit.timezone))
    reader.error(node.find("timezone") ? *node.find("timezone") : node, "invalid-value",
                 "it is no name of the system's time zones, such as `UTC` or `Europe/Berlin`");
}

void check_quotas(const std::vector<Limit>& limits, const Node& node, Reader& reader) {
  for (size_t i = 0; i < limits.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (limits[i].quota && limits[j].quota && limits[i].quota->unit == limits[j].quota->unit &&
          limits[i].timezone == limits[j].timezone)
        reader.error(node, "conflict", "two quotas of the same period: the smaller one alone would count");
}

const Struct<Sharing>& Sharing::schema() {
  static const auto schema =
      Struct<Sharing>("sharing", "Where limits are counted.")
          .field("store", &Sharing::store,
                 "The entry of `redis` that all gateways count in; each by itself when left out.")
          .field("mode", &Sharing::mode,
                 "`lease`: each gateway borrows small parts of the limit; `strict`: every request asks the "
                 "store; `local`: the store is not used.")
          .field("on_store_failure", &Sharing::on_store_failure,
                 "What happens when the store does not answer in time: `allow`, `deny` (503), or count "
                 "`local`ly.");
  return schema;
}

void check_sharing(const Sharing& sharing, const Node& node, Reader& reader) {
  for (const char* name : {"mode", "on_store_failure"})
    if (sharing.store.empty() && node.find(name))
      reader.error(*node.find(name), "conflict", "it is about a `store`, and there is none");
}

const Struct<Limit>& Limit::schema() {
  static const auto schema =
      Struct<Limit>("limit", "How much: a `rate`, or a `quota` of a calendar period.")
          .field("rate", &Limit::rate, "How many requests in which time.")
          .field("burst", &Limit::burst, "How many at once, by `gcra`; the count of `rate` when left out.")
          .range(1, 1e15)
          .unit("requests")
          .field(
              "algorithm", &Limit::algorithm,
              "`gcra`: a full burst, then evenly; `sliding_window`: never more than the count of `rate` in "
              "any period; `fixed_window`: the count of `rate` in each period.")
          .field("quota", &Limit::quota,
                 "How many in each hour, day, week or month of the calendar; kept across restarts.")
          .field("timezone", &Limit::timezone, "Whose calendar.")
          .check([](const Limit& limit, const Node& node, Reader& reader) {
            if (!limit.rate && !limit.quota)
              reader.error(node, "missing-key", "a limit needs a `rate` or a `quota`");
            check_limit(limit, node, reader);
          });
  return schema;
}

const Struct<Plan>& Plan::schema() {
  static const auto schema =
      Struct<Plan>("plan", "What subscriptions to an API allow; see the policy `subscription`.")
          .field("limits", &Plan::limits, "How much; all of them hold.")
          .check([](const Plan& plan, const Node& node, Reader& reader) {
            check_quotas(plan.limits, node, reader);
          });
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
