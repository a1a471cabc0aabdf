#include "gateway/names.h"

#include <algorithm>

#include "io/sleep.h"
#include "telemetry/process_log.h"

namespace sluice::gateway {

namespace log = telemetry::log;

void Names::refresh() {
  collect();
  if (token_.cancelled()) return;
  std::vector<Name*> added;
  for (const std::shared_ptr<TargetIdentity>& target : registry_.names()) {
    auto [at, is_new] = names_.try_emplace(target->host);
    Name& name = at->second;
    if (is_new) {
      name.host = target->host;
      first_answers_.expect();
      added.push_back(&name);
    }
    bool known = std::ranges::any_of(name.targets, [&](const auto& other) { return other.lock() == target; });
    if (known) continue;
    name.targets.push_back(target);
    if (!name.addresses.empty()) publish(*target, name.addresses);
  }
  for (Name* name : added) scope_.spawn(follow(*name));
}

io::Task<> Names::follow(Name& name) {
  while (in_use(name)) {
    auto resolved = co_await resolver_.resolve(name.host, token_);
    if (token_.cancelled()) break;
    Duration wait = take(name, std::move(resolved));
    auto slept = co_await io::sleep_for(loop_, wait, token_);
    if (!slept) break;
  }
  first_answers_.arrived(name.answered);
  names_.erase(names_.find(name.host));
}

Duration Names::take(Name& name, io::Result<io::Resolution> resolved) {
  collect();
  first_answers_.arrived(name.answered);
  if (!resolved) {
    // Once, not at each attempt.
    if (!name.again.failing())
      log::warning("name `{}` cannot be resolved: {}; {}", name.host, io::error_text(resolved.error().code),
                   name.addresses.empty() ? "it has no address yet" : "its old addresses stay");
    return name.again.after_failure();
  }
  if (name.again.failing()) log::info("name `{}` can be resolved again", name.host);
  // Servers turn the order around from answer to answer; that is no change.
  std::ranges::sort(resolved->addresses);
  if (resolved->addresses != name.addresses) {
    name.addresses = std::move(resolved->addresses);
    for (const auto& known : name.targets)
      if (auto target = known.lock()) publish(*target, name.addresses);
  }
  return name.again.after_answer(resolved->ttl);
}

void Names::publish(TargetIdentity& target, const std::vector<io::Address>& addresses) {
  auto list = std::make_unique<TargetIdentity::Addresses>(addresses);
  for (io::Address& address : *list) address.port = target.port;
  auto old = target.publish(std::move(list));
  if (old) retired_.retire([list = std::move(old)]() mutable { list.reset(); });
}

bool Names::in_use(Name& name) {
  std::erase_if(name.targets, [](const auto& target) { return target.expired(); });
  return !name.targets.empty();
}

io::Task<> Names::first_answers(Duration limit) {
  co_await first_answers_.wait(loop_, limit, token_);
  if (first_answers_.missing() > 0 && !token_.cancelled())
    log::warning("{} names without an answer so far", first_answers_.missing());
}

}  // namespace sluice::gateway
