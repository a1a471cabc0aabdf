#include "gateway/service_targets.h"

#include <algorithm>
#include <map>
#include <set>

namespace sluice::gateway {

namespace {

/// RFC 2782: a server of weight 0 has "a very small chance of being selected" beside others. Ours would have
/// none, so that it gets a hundredth of what a weight of 1 gets.
constexpr uint64_t kOfZero = 100;
/// Beyond, differences of weights are lost.
constexpr uint64_t kMostWeight = 1'000'000'000;

/// Of records with the same priority, by their order; `times`: what the document multiplies them by.
std::vector<uint32_t> weights_of(std::span<const io::ServiceRecord> level, uint64_t times) {
  auto is_zero = [](const io::ServiceRecord& record) { return record.weight == 0; };
  bool mixed = std::ranges::any_of(level, is_zero) && !std::ranges::all_of(level, is_zero);
  std::vector<uint32_t> weights;
  for (const io::ServiceRecord& record : level) {
    uint64_t weight = record.weight == 0 ? 1 : mixed ? record.weight * kOfZero : record.weight;
    weights.push_back(static_cast<uint32_t>(std::min(weight * times, kMostWeight)));
  }
  return weights;
}

std::vector<Target> targets_of(const Upstream& upstream, size_t number,
                               std::span<const io::ServiceRecord> records, TargetRegistry& registry) {
  const TargetService& service = upstream.services[number];
  std::vector<Target> found;
  // Priorities of DNS are any numbers: what counts is their order.
  for (uint32_t rank = 0; !records.empty(); ++rank) {
    size_t count = 1;
    while (count < records.size() && records[count].priority == records[0].priority) ++count;
    std::vector<uint32_t> weights = weights_of(records.first(count), service.weight);
    for (size_t i = 0; i < count; ++i) {
      config::TargetUrl url;
      url.host = records[i].host;
      url.port = records[i].port;
      Target& target = found.emplace_back();
      target.identity = registry.find_or_make(upstream.name, url, service.tls);
      target.authority = config::authority(url);
      target.base_path = service.base_path;
      target.weight = weights[i];
      target.priority = service.priority + rank;
      target.zone = service.zone;
      target.service = static_cast<uint16_t>(number);
      if (upstream.sticky()) target.cookie = upstream.sticky()->value_of(target.authority);
    }
    records = records.subspan(count);
  }
  return found;
}

}  // namespace

std::vector<io::ServiceRecord> in_order(std::vector<io::ServiceRecord> records) {
  std::ranges::sort(records);
  std::set<std::pair<std::string, uint16_t>> seen;
  std::erase_if(records, [&](const auto& record) { return !seen.emplace(record.host, record.port).second; });
  return records;
}

TargetList with_records(const Upstream& upstream, size_t service, std::span<const io::ServiceRecord> records,
                        TargetRegistry& registry) {
  TargetList list = upstream.view().targets;
  std::map<const TargetIdentity*, uint16_t> before;
  for (TargetPointer& target : list) {
    if (!target || target->service != service) continue;
    before.emplace(target->identity.get(), target->number);
    target.reset();
  }
  std::vector<Target> added;
  for (Target& target : targets_of(upstream, service, records, registry)) {
    auto known = before.find(target.identity.get());
    if (known == before.end()) {
      added.push_back(std::move(target));
      continue;
    }
    target.number = known->second;
    list[known->second] = std::make_shared<const Target>(std::move(target));
  }
  for (Target& target : added) {
    auto vacant = std::ranges::find(list, nullptr);
    target.number = static_cast<uint16_t>(vacant - list.begin());
    if (vacant == list.end()) vacant = list.insert(vacant, nullptr);
    *vacant = std::make_shared<const Target>(std::move(target));
  }
  while (!list.empty() && !list.back()) list.pop_back();
  return list;
}

}  // namespace sluice::gateway
