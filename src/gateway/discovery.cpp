#include "gateway/discovery.h"

#include <algorithm>

#include "io/sleep.h"
#include "telemetry/process_log.h"

namespace sluice::gateway {

namespace {

namespace log = telemetry::log;

/// How long servers that have come wait for their addresses before they get requests all the same.
constexpr Duration kAddressTime = std::chrono::seconds(2);

}  // namespace

Discovery::Discovery(io::Loop& loop, io::Resolver& resolver, TargetRegistry& registry, Names& names,
                     telemetry::Families& families, telemetry::WorkerMetrics& metrics, Receiver receiver)
    : loop_(loop),
      resolver_(resolver),
      registry_(registry),
      names_(names),
      metrics_(metrics),
      limit_hits_(families.limit_hits()),
      receiver_(std::move(receiver)) {}

void Discovery::follow(const std::vector<std::shared_ptr<const Upstream>>& upstreams) {
  if (token_.cancelled()) return;
  std::vector<Service*> added;
  for (const auto& upstream : upstreams) {
    for (const TargetService& named : upstream->services) {
      auto [at, is_new] = services_.try_emplace(named.name);
      Service& service = at->second;
      if (is_new) {
        service.name = named.name;
        first_answers_.expect();
        added.push_back(&service);
      }
      bool known =
          std::ranges::any_of(service.upstreams, [&](const auto& other) { return other.lock() == upstream; });
      if (known) continue;
      service.upstreams.push_back(upstream);
      if (!service.records.empty()) give(service, *upstream);
    }
  }
  for (Service* service : added) scope_.spawn(keep(*service));
}

io::Task<> Discovery::keep(Service& service) {
  while (in_use(service)) {
    auto found = co_await resolver_.resolve_service(service.name, token_);
    if (token_.cancelled()) break;
    bool changed = false;
    Duration wait = take(service, std::move(found), changed);
    if (changed) {
      // A server takes requests once it has an address, so that nobody waits for it in vain.
      std::vector<TargetList> coming = targets_of(service);
      names_.refresh();
      co_await names_.first_answers(kAddressTime);
      if (token_.cancelled()) break;
      for (const auto& known : service.upstreams)
        if (auto upstream = known.lock()) give(service, *upstream);
    }
    first_answers_.arrived(service.answered);
    auto slept = co_await io::sleep_for(loop_, wait, token_);
    if (!slept) break;
  }
  first_answers_.arrived(service.answered);
  services_.erase(services_.find(service.name));
}

Duration Discovery::take(Service& service, io::Result<io::ServiceRecords> found, bool& changed) {
  if (!found) {
    // Once, not at each attempt.
    if (!service.again.failing())
      log::warning("service `{}` cannot be resolved: {}; {}", service.name,
                   io::error_text(found.error().code),
                   service.records.empty() ? "it has no target yet" : "its old targets stay");
    return service.again.after_failure();
  }
  if (service.again.failing()) log::info("service `{}` can be resolved again", service.name);
  std::vector<io::ServiceRecord> records = in_order(std::move(found->records));
  if (records.size() > kMostServiceTargets) {
    metrics_.add(limit_hits_["service_targets"]);
    records.resize(kMostServiceTargets);
  }
  if (records != service.records) {
    log::info("service `{}` has {} targets", service.name, records.size());
    service.records = std::move(records);
    changed = true;
  }
  return service.again.after_answer(found->ttl);
}

/// What its upstreams will have.
std::vector<TargetList> Discovery::targets_of(const Service& service) {
  std::vector<TargetList> lists;
  for (const auto& known : service.upstreams) {
    auto upstream = known.lock();
    for (size_t i = 0; upstream && i < upstream->services.size(); ++i)
      if (upstream->services[i].name == service.name)
        lists.push_back(with_records(*upstream, i, service.records, registry_));
  }
  return lists;
}

void Discovery::give(const Service& service, const Upstream& upstream) {
  for (size_t i = 0; i < upstream.services.size(); ++i)
    if (upstream.services[i].name == service.name)
      receiver_(upstream, with_records(upstream, i, service.records, registry_));
}

bool Discovery::in_use(Service& service) {
  std::erase_if(service.upstreams, [](const auto& upstream) { return upstream.expired(); });
  return !service.upstreams.empty();
}

io::Task<> Discovery::first_answers(Duration limit) {
  co_await first_answers_.wait(loop_, limit, token_);
  if (first_answers_.missing() > 0 && !token_.cancelled())
    log::warning("{} services without an answer so far", first_answers_.missing());
}

}  // namespace sluice::gateway
