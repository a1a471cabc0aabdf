#include "io/sim/sim_world.h"

#include <algorithm>

#include "io/sim/sim_datagram.h"
#include "io/sim/sim_listener.h"
#include "io/sim/sim_stream.h"

namespace sluice::io {

namespace {

// Both clocks start away from zero, so that an instant that was never set is not one that may happen.
constexpr Instant kStart{std::chrono::seconds(1000)};
constexpr WallTime kWallStart{std::chrono::seconds(1'767'225'600)};  // 2026-01-01T00:00:00Z

constexpr uint16_t kFirstPort = 32768;  // of those that are handed out

bool is_any(const Address& address) {
  return std::ranges::all_of(address.bytes, [](uint8_t byte) { return byte == 0; });
}

}  // namespace

SimWorld::SimWorld(const Options& options)
    : options_(options),
      random_(options.seed),
      now_(kStart),
      datagrams_(std::make_unique<SimDatagrams>(*this)),
      trace_(options.keep_trace) {
  for (FaultKind kind : {FaultKind::kClockJump, FaultKind::kNoDescriptors, FaultKind::kWorkerStarved})
    draw_world_fault(kind);
}

SimWorld::~SimWorld() = default;

SimLoop& SimWorld::add_loop(SimRole role) {
  loops_.push_back(std::make_unique<SimLoop>(*this, random_.next(), loops_.size(), role));
  return *loops_.back();
}

WallTime SimWorld::wall_now() const { return kWallStart + (now_ - kStart); }

bool SimWorld::turn() {
  // Loops are threads in the world outside: which one comes next is left to chance.
  runnable_.clear();
  for (auto& loop : loops_)
    if (loop->next_turn() <= now_) runnable_.push_back(loop.get());
  if (runnable_.empty()) return false;
  size_t chosen = runnable_.size() == 1 ? 0 : random_.below(runnable_.size());
  runnable_[chosen]->turn();
  return true;
}

bool SimWorld::jump(Instant limit) {
  Instant next = queue_.next();
  for (auto& loop : loops_) next = std::min(next, loop->next_turn());
  if (next == kNever || next > limit) return false;
  for (auto [kind, at] : world_faults_) {
    if (at > next) continue;
    set_now(at);
    strike_world(kind);
    return true;
  }
  set_now(next);
  return true;
}

void SimWorld::set_now(Instant now) {
  now_ = std::max(now_, now);
  for (auto& loop : loops_) loop->update_time();
  queue_.run(now_);
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
  auto takes = [&](const Listening& other, bool exactly) {
    if (exactly) return other.address == address;
    return other.address.port == address.port && other.address.ipv6 == address.ipv6 && is_any(other.address);
  };
  for (bool exactly : {true, false}) {
    auto count = std::ranges::count_if(listening_, [&](auto& other) { return takes(other, exactly); });
    if (count == 0) continue;
    uint64_t chosen = count == 1 ? 0 : random_.below(static_cast<uint64_t>(count));
    for (const Listening& other : listening_)
      if (takes(other, exactly) && chosen-- == 0) return other.listener;
  }
  return nullptr;
}

uint16_t SimWorld::next_port() {
  do last_port_ = last_port_ == UINT16_MAX ? kFirstPort : last_port_ + 1;
  while (std::ranges::any_of(listening_, [&](auto& other) { return other.address.port == last_port_; }));
  return last_port_;
}

SimConnection& SimWorld::take_connection() {
  if (free_connections_.empty()) {
    connections_.push_back(std::make_unique<SimConnection>(*this));
    return *connections_.back();
  }
  SimConnection* connection = free_connections_.back();
  free_connections_.pop_back();
  return *connection;
}

uint32_t SimWorld::next_connection_number() {
  struck_.emplace_back();
  return static_cast<uint32_t>(struck_.size());
}

bool SimWorld::strikes(FaultKind kind) {
  uint32_t chance = options_.faults[kind].per_million;
  return chance > 0 && random_.below(1'000'000) < chance;
}

void SimWorld::end_faults() {
  options_.faults = {};
  world_faults_.clear();
}

Duration SimWorld::drawn_time(FaultKind kind) {
  auto bound = static_cast<uint64_t>(nanoseconds(options_.faults[kind].up_to));
  return Duration(static_cast<int64_t>(random_.below(bound + 1)));
}

void SimWorld::strike(const FaultRecord& fault) {
  fault_log_.add(fault);
  trace_.add(now_, fault.loop, fault.connection, SimTrace::Event::kFault, static_cast<uint64_t>(fault.kind));
  if (fault.connection) struck_[fault.connection - 1].add(fault.kind);
}

size_t SimWorld::share_of(size_t bytes, uint32_t connection) {
  if (bytes <= 1) return bytes;
  if (!options_.split_transfers) {
    if (!strikes(FaultKind::kPartialTransfer)) return bytes;
    strike({.kind = FaultKind::kPartialTransfer, .connection = connection, .from = now_, .until = now_});
  }
  return 1 + random_.below(bytes);
}

bool SimWorld::out_of_descriptors(const SimLoop& loop) const {
  return loop.role() == SimRole::kTested && now_ < descriptors_back_;
}

void SimWorld::draw_world_fault(FaultKind kind) {
  uint32_t chance = options_.faults[kind].per_million;
  if (chance == 0) return;
  // On the average once in so many seconds as its chance in each second says.
  constexpr uint64_t kTwiceAMillionSeconds = 2'000'000'000'000'000;
  world_faults_[kind] = now_ + Duration(static_cast<int64_t>(random_.below(kTwiceAMillionSeconds / chance)));
}

void SimWorld::strike_world(FaultKind kind) {
  Duration lasts = drawn_time(kind);
  FaultRecord fault{.kind = kind, .from = now_, .until = now_ + lasts};
  if (kind == FaultKind::kNoDescriptors) {
    descriptors_back_ = fault.until;
  } else if (kind == FaultKind::kWorkerStarved) {
    auto tested = [](auto& loop) { return loop->role() == SimRole::kTested; };
    auto count = static_cast<uint64_t>(std::ranges::count_if(loops_, tested));
    uint64_t chosen = count == 0 ? 0 : random_.below(count);
    for (auto& loop : loops_) {
      if (!tested(loop) || chosen-- > 0) continue;
      loop->starved_until_ = fault.until;
      fault.loop = loop->index();
      break;
    }
  }
  strike(fault);
  if (kind == FaultKind::kClockJump) set_now(fault.until);
  draw_world_fault(kind);
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

void SimWorld::set_service(const std::string& name, std::vector<ServiceRecord> records, Duration ttl) {
  if (records.empty())
    services_.erase(name);
  else
    services_[name] = {std::move(records), ttl};
}

const ServiceRecords* SimWorld::find_service(const std::string& name) const {
  auto found = services_.find(name);
  return found == services_.end() ? nullptr : &found->second;
}

uint32_t SimWorld::connection_number(const Stream& stream) {
  const auto* simulated = dynamic_cast<const SimStream*>(&stream);
  return simulated ? simulated->connection_number() : 0;
}

FaultSet SimWorld::faults_of(uint32_t connection) const {
  return connection == 0 || connection > struck_.size() ? FaultSet() : struck_[connection - 1];
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
