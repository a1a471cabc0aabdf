// Finds routes that nothing ranks: same path, as many conditions, methods as explicit, same priority, and a
// request that fits both. Inner header of this folder.
//
// Two conditions on the same field, parameter or body path with different values count as excluding each
// other. A request that repeats a field or parameter can still meet both; then the route written first wins.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "gateway/router/route_spec.h"

namespace sluice::gateway {

/// How explicitly a route names the request's method; the higher wins.
enum class MethodTier : uint8_t { kAny, kHeadByGet, kNamed };

class TieFinder {
 public:
  /// One of the routes of a path that are ranked alike.
  struct Member {
    uint32_t route;
    uint16_t methods;
    const std::vector<std::string>* custom_methods;  // null: none
  };

  explicit TieFinder(size_t routes) : conditions_(routes) {}
  /// False when the route has one on the same subject already.
  bool add_condition(uint32_t route, const ConditionSpec& condition);
  /// Call once after the last condition.
  void sort_conditions();
  /// Calls `report(first, second)` for each pair of routes that tie, until it says false.
  template <class Report>
  void find(std::span<Member> members, Report report) const;

 private:
  /// Subject (kind and name) and value, as numbers.
  using Key = std::pair<uint32_t, uint32_t>;
  uint32_t number_of(std::string text) {
    return numbers_.try_emplace(std::move(text), static_cast<uint32_t>(numbers_.size())).first->second;
  }
  bool same_subjects(uint32_t a, uint32_t b) const;
  bool exclude_each_other(uint32_t a, uint32_t b) const;
  static bool share_method(const Member& a, const Member& b);

  std::vector<std::vector<Key>> conditions_;  // by route, sorted by subject
  std::unordered_map<std::string, uint32_t> numbers_;
};

template <class Report>
void TieFinder::find(std::span<Member> members, Report report) const {
  // Subjects first, values second: routes that differ in values only, the usual case, are told apart by
  // neighbours.
  auto subjects_then_values = [&](const Member& a, const Member& b) {
    auto& left = conditions_[a.route];
    auto& right = conditions_[b.route];
    auto subject = [](const Key& key) { return key.first; };
    if (!std::ranges::equal(left, right, {}, subject, subject))
      return std::ranges::lexicographical_compare(left, right, {}, subject, subject);
    return left != right ? left < right : a.route < b.route;
  };
  std::ranges::sort(members, subjects_then_values);
  size_t block_end = 0;  // of the members with the same subjects
  for (size_t i = 0; i < members.size(); ++i) {
    if (i == block_end)
      while (block_end < members.size() && same_subjects(members[i].route, members[block_end].route))
        ++block_end;
    for (size_t j = i + 1; j < members.size(); ++j) {
      if (exclude_each_other(members[i].route, members[j].route)) {
        if (j < block_end) j = block_end - 1;
        continue;
      }
      if (share_method(members[i], members[j]) && !report(members[i].route, members[j].route)) return;
    }
  }
}

}  // namespace sluice::gateway
