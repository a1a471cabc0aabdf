#include "gateway/router/tie.h"

#include <algorithm>

#include "base/ascii.h"
#include "http/message.h"

namespace sluice::gateway {

bool TieFinder::add_condition(uint32_t route, const ConditionSpec& condition) {
  bool header = condition.kind == ConditionSpec::Kind::kHeader;
  std::string subject(1, "hqbs"[static_cast<size_t>(condition.kind)]);
  subject += header ? ascii::to_lower(condition.name) : condition.name;
  uint32_t subject_number = number_of(std::move(subject));
  auto& known = conditions_[route];
  if (std::ranges::find(known, subject_number, &Key::first) != known.end()) return false;
  known.emplace_back(subject_number, number_of("v" + condition.value));
  return true;
}

void TieFinder::sort_conditions() {
  for (auto& conditions : conditions_) std::ranges::sort(conditions);
}

bool TieFinder::same_subjects(uint32_t a, uint32_t b) const {
  auto subject = [](const Key& key) { return key.first; };
  return std::ranges::equal(conditions_[a], conditions_[b], {}, subject, subject);
}

bool TieFinder::exclude_each_other(uint32_t a, uint32_t b) const {
  auto left = conditions_[a].begin();
  auto right = conditions_[b].begin();
  while (left != conditions_[a].end() && right != conditions_[b].end()) {
    if (left->first == right->first) {
      if (left->second != right->second) return true;
      ++left, ++right;
    } else if (left->first < right->first) {
      ++left;
    } else {
      ++right;
    }
  }
  return false;
}

bool TieFinder::share_method(const Member& a, const Member& b) {
  constexpr auto kOtherBit = uint16_t{1} << static_cast<int>(http::Method::kOther);
  uint16_t shared = a.methods & b.methods;
  if (shared & ~kOtherBit) return true;
  if (!(shared & kOtherBit)) return false;
  if (!a.custom_methods || !b.custom_methods) return true;
  return std::ranges::find_first_of(*a.custom_methods, *b.custom_methods) != a.custom_methods->end();
}

}  // namespace sluice::gateway
