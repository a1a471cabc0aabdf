// Limits of callers, as rate_limit and plans have them: how much, and who counts it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "config/struct_type.h"
#include "config/types.h"
#include "config/values.h"

namespace sluice::config {

enum class RateAlgorithm : uint8_t { kGcra, kSlidingWindow, kFixedWindow };

/// `local`: each node by itself; `lease`: nodes borrow parts of the limit; `strict`: every request asks.
enum class SharingMode : uint8_t { kLocal, kLease, kStrict };
enum class StoreFailure : uint8_t { kAllow, kDeny, kLocal };

/// Where limits are counted.
struct Sharing {
  std::string store;  // of `redis`; empty: here
  SharingMode mode = SharingMode::kLease;
  StoreFailure on_store_failure = StoreFailure::kLocal;
  static const Struct<Sharing>& schema();
  bool is_local() const { return store.empty() || mode == SharingMode::kLocal; }
};
void check_sharing(const Sharing& sharing, const Node& node, Reader& reader);

/// How much: a rate, or a quota of a calendar period.
struct Limit {
  std::optional<Rate> rate;
  std::optional<uint64_t> burst;
  RateAlgorithm algorithm = RateAlgorithm::kGcra;
  std::optional<Quota> quota;
  std::string timezone = "UTC";
  Origin origin;
  static const Struct<Limit>& schema();
};

/// That each says one thing, and no two quotas the same period: their counts are kept by it.
void check_limit(const Limit& limit, const Node& node, Reader& reader);
void check_quotas(const std::vector<Limit>& limits, const Node& node, Reader& reader);

/// What a subscription allows.
struct Plan {
  std::vector<Limit> limits;  // all hold; empty: as much as comes
  Origin origin;
  static const Struct<Plan>& schema();
};

}  // namespace sluice::config
