#include "io/sim/sim_world.h"

#include <algorithm>

#include "io/sim/sim_listener.h"
#include "io/sim/sim_stream.h"

namespace sluice::io {

namespace {

// Both clocks start away from zero, so that an instant that was never set is not one that may happen.
constexpr Instant kStart{std::chrono::seconds(1000)};
constexpr WallTime kWallStart{std::chrono::seconds(1'767'225'600)};  // 2026-01-01T00:00:00Z

bool is_any(const Address& address) {
  return std::ranges::all_of(address.bytes, [](uint8_t byte) { return byte == 0; });
}

}  // namespace

SimWorld::SimWorld(const Options& options)
    : options_(options), random_(options.seed), now_(kStart), trace_(options.keep_trace) {}

SimWorld::~SimWorld() = default;

SimLoop& SimWorld::add_loop(SimRole role) {
  loops_.push_back(std::make_unique<SimLoop>(*this, random_.next(), loops_.size(), role));
  return *loops_.back();
}

WallTime SimWorld::wall_now() const { return kWallStart + (now_ - kStart); }

bool SimWorld::turn() {
  // Loops are threads in the world outside: which one comes next is left to chance.
  std::vector<SimLoop*> runnable;
  for (auto& loop : loops_)
    if (loop->runnable()) runnable.push_back(loop.get());
  if (runnable.empty()) return false;
  size_t chosen = runnable.size() == 1 ? 0 : random_.below(runnable.size());
  runnable[chosen]->turn();
  return true;
}

bool SimWorld::jump(Instant limit) {
  Instant next = kNever;
  for (auto& loop : loops_) next = std::min(next, loop->timers().next_due());
  if (next == kNever || next > limit) return false;
  set_now(next);
  return true;
}

void SimWorld::set_now(Instant now) {
  now_ = std::max(now_, now);
  for (auto& loop : loops_) loop->update_time();
}

void SimWorld::run_to(Instant limit) {
  do {
    while (turn()) {
    }
  } while (jump(limit));
}

void SimWorld::run_for(Duration duration) {
  Instant end = now_ + duration;
  run_to(end);
  set_now(end);
}

bool SimWorld::run_until(const std::function<bool()>& done, Duration limit) {
  Instant end = now_ + limit;
  while (!done())
    if (!turn() && !jump(end)) return false;
  return true;
}

Result<Address> SimWorld::add_listener(SimListener& listener, const Address& address, ListenOptions options) {
  Address bound = address;
  if (bound.port == 0) bound.port = next_port();
  for (const Listening& other : listening_)
    if (other.address == bound && !(other.shared && options.reuse_port))
      return fail(ErrorCode::kAddressInUse);
  listening_.push_back({bound, options.reuse_port, &listener});
  return bound;
}

void SimWorld::remove_listener(SimListener& listener) {
  std::erase_if(listening_, [&](const Listening& other) { return other.listener == &listener; });
}

SimListener* SimWorld::find_listener(const Address& address) {
  std::vector<SimListener*> exact;
  std::vector<SimListener*> any;
  for (const Listening& other : listening_) {
    if (other.address == address)
      exact.push_back(other.listener);
    else if (other.address.port == address.port && other.address.ipv6 == address.ipv6 &&
             is_any(other.address))
      any.push_back(other.listener);
  }
  const auto& found = exact.empty() ? any : exact;
  if (found.empty()) return nullptr;
  return found[found.size() == 1 ? 0 : random_.below(found.size())];
}

void SimWorld::set_name(const std::string& name, std::vector<Address> addresses, Duration ttl) {
  if (addresses.empty())
    names_.erase(name);
  else
    names_[name] = {std::move(addresses), ttl};
}

const Resolution* SimWorld::find_name(const std::string& name) const {
  auto found = names_.find(name);
  return found == names_.end() ? nullptr : &found->second;
}

uint32_t SimWorld::connection_number(const Stream& stream) {
  const auto* simulated = dynamic_cast<const SimStream*>(&stream);
  return simulated ? simulated->connection_number() : 0;
}

FaultSet SimWorld::faults_of(uint32_t connection) const {
  return connection == 0 || connection > connections_.size() ? FaultSet() : connections_[connection - 1];
}

bool SimWorld::harmed(uint32_t connection) const {
  FaultSet faults = faults_of(connection);
  for (size_t i = 0; i < kFaultKinds; ++i) {
    auto kind = static_cast<FaultKind>(i);
    if (faults.has(kind) && fault_reach(kind) != FaultReach::kNothing) return true;
  }
  return false;
}

}  // namespace sluice::io
