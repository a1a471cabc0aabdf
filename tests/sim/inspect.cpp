#include "inspect.h"

#include <algorithm>

namespace sluice::sim {

namespace {
constexpr Duration kSettleTime = std::chrono::milliseconds(300);
constexpr std::string_view kStranger = "192.0.2.99";
constexpr std::string_view kProxy = "10.1.0.77";
constexpr std::string_view kOther = "192.0.2.98";
}  // namespace

uint64_t sum_of(const std::string& metrics, std::string_view family, std::string_view label,
                std::string_view other) {
  uint64_t sum = 0;
  for (size_t at = metrics.find(family); at != std::string::npos; at = metrics.find(family, at + 1)) {
    std::string_view line(metrics.data() + at, metrics.find('\n', at) - at);
    bool whole_name = line.substr(family.size(), 1).find_first_of("{ ") == 0;
    if ((at > 0 && metrics[at - 1] != '\n') || !whole_name) continue;
    if (line.find(label) == std::string_view::npos || line.find(other) == std::string_view::npos) continue;
    sum += std::stoull(std::string(line.substr(line.rfind(' ') + 1)));
  }
  return sum;
}

uint64_t Inspector::count(std::string_view family, std::string_view label, std::string_view other) const {
  return sum_of(gateway_.services().registry.scrape(), family, label, other);
}

size_t Inspector::connected(const Clients& clients) {
  return static_cast<size_t>(
      std::ranges::count_if(clients, [](const auto& client) { return client->connected(); }));
}

void Inspector::check_gauges(const Clients& clients) {
  uint64_t open = connected(clients);
  uint64_t idle = count("sluice_connections", "state=\"idle\"");
  uint64_t active = count("sluice_connections", "state=\"active\"");
  bool sending = std::ranges::any_of(clients, [](const auto& client) { return client->still_sends(); });
  if (!sending && (idle != open || active != 0))
    violations_.add(Invariant::kGivenBack, "{} clients' connections idle, and metrics say {}, and {} active",
                    open, idle, active);
}

std::string Inspector::wrong_pools(const Upstreams& upstreams) {
  std::map<std::string, uint64_t> kept;
  for (const auto& upstream : upstreams) kept[upstream->backend().upstream] += upstream->resting();
  for (const auto& [name, connections] : kept) {
    std::string label = fmt::format("upstream=\"{}\"", name);
    uint64_t pooled = count("sluice_upstream_connections", label, "state=\"idle\"");
    uint64_t all = count("sluice_upstream_connections", label);
    if (pooled != connections || all != pooled)
      return fmt::format("{} connections to {} idle, and metrics say {}, and {} in all", connections, name,
                         pooled, all);
  }
  return {};
}

/// What the gateway lets go just then is still on its way to the upstream: one look may see that, not two.
io::Task<> Inspector::check_pools(const Upstreams& upstreams, Duration latency) {
  std::string wrong = wrong_pools(upstreams);
  if (wrong.empty()) co_return;
  co_await pause(loop_, 2 * latency + std::chrono::milliseconds(1), token_);
  wrong = wrong_pools(upstreams);
  if (!wrong.empty()) violations_.add(Invariant::kGivenBack, "{}", wrong);
}

io::Task<> Inspector::check_listener(uint16_t port, bool wanted) {
  size_t revisions = gateway_.revisions().size();
  auto stream = co_await loop_.connect(*io::Address::parse_ip(kGatewayIp, port), token_);
  bool refused = !stream && stream.error().code == io::ErrorCode::kRefused;
  bool changed = gateway_.revisions().size() != revisions;
  if (refused == wanted && !changed)
    violations_.add(Invariant::kUndisturbed, "port {} {} connections", port, wanted ? "refuses" : "takes");
}

io::Task<std::string> Inspector::ask_status(std::string_view path) {
  std::string text;
  auto stream = co_await loop_.connect(*io::Address::parse_ip(kGatewayIp, kStatusPort), token_);
  if (!stream) co_return text;
  (*stream)->bind(token_);
  std::string request = fmt::format("GET {} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", path);
  iovec piece{request.data(), request.size()};
  auto written = co_await (*stream)->write({&piece, 1});
  while (written) {
    auto lease = co_await (*stream)->read();
    if (!lease || lease->empty()) break;
    text += lease->bytes();
  }
  co_return text;
}

io::Task<> Inspector::check_status() {
  uint64_t before = count("sluice_config_revision", "");
  std::string ready = co_await ask_status("/readyz");
  // It says what it has begun with; the metric, what all workers have.
  co_await pause(loop_, kSettleTime, token_);
  uint64_t after = count("sluice_config_revision", "");
  bool right = false;
  for (uint64_t revision = before; revision <= after; ++revision)
    right |= ready.ends_with(fmt::format("{{\"status\":\"ready\",\"revision\":{}}}\n", revision));
  if (!ready.starts_with("HTTP/1.1 200 ") || !right)
    violations_.add(Invariant::kUndisturbed, "/readyz says \"{}\" between revision {} and {}", ready, before,
                    after);
  std::string alive = co_await ask_status("/livez");
  if (!alive.starts_with("HTTP/1.1 200 "))
    violations_.add(Invariant::kUndisturbed, "/livez says \"{}\"", alive);
  std::string metrics = co_await ask_status("/metrics");
  uint64_t shown = sum_of(metrics, "sluice_requests_total", "");
  if (shown != count("sluice_requests_total", ""))
    violations_.add(Invariant::kUndisturbed, "/metrics shows {} requests of {}", shown,
                    count("sluice_requests_total", ""));
}

io::Task<> Inspector::inspect_drain() {
  std::string ready = co_await ask_status("/readyz");
  bool over = ready.empty() && gateway_.ended();
  if (!over && !ready.starts_with("HTTP/1.1 503 "))
    violations_.add(Invariant::kUndisturbed, "/readyz says \"{}\" in a drain", ready);
  drain_seen_ = true;
}

io::Task<> Inspector::watch(Probe& probe) {
  auto lease = co_await probe.stream->read();
  std::ignore = lease;
  probe.open = false;
  probe.ended = loop_.now();
}

io::Task<> Inspector::open_probes(std::string_view from, size_t count) {
  loop_.set_source(*io::Address::parse_ip(from));
  for (size_t i = 0; i < count; ++i) {
    auto stream = co_await loop_.connect(gateway_.address(), token_);
    if (!stream) continue;
    probes_.push_back(std::make_unique<Probe>());
    probes_.back()->stream = std::move(*stream);
    probes_.back()->stream->bind(token_);
    scope_.spawn(watch(*probes_.back()));
  }
}

size_t Inspector::standing() const {
  return static_cast<size_t>(std::ranges::count_if(probes_, [](const auto& probe) { return probe->open; }));
}

/// More connections than one address, and then all, may have.
io::Task<> Inspector::flood(const Clients& clients, Duration latency) {
  auto settle = [&] { return pause(loop_, kSettleTime + 4 * latency, token_); };
  Instant began = loop_.now();
  co_await open_probes(kStranger, kMostOfAddress + 2);
  co_await settle();
  if (standing() != kMostOfAddress)
    violations_.add(Invariant::kUndisturbed, "{} connections of one address stand, {} may", standing(),
                    kMostOfAddress);
  co_await open_probes(kProxy, kMostOfAddress + 2);
  co_await settle();
  if (standing() != 2 * kMostOfAddress + 2)
    violations_.add(Invariant::kUndisturbed, "a trusted proxy's connections were limited: {} stand",
                    standing());
  uint64_t room = kMostConnections - connected(clients) - standing();
  co_await open_probes(kOther, kMostOfAddress);
  co_await settle();
  uint64_t stand = standing() - (2 * kMostOfAddress + 2);
  if (stand != std::min<uint64_t>(room, kMostOfAddress))
    violations_.add(Invariant::kUndisturbed, "{} connections stand where there was room for {}", stand, room);
  uint64_t of_address = count("sluice_limit_hits_total", "limit=\"connections_per_address\"");
  uint64_t of_all = count("sluice_limit_hits_total", "limit=\"connections\"");
  if (of_address != 2 || of_all != kMostOfAddress - stand)
    violations_.add(Invariant::kUndisturbed, "sluice_limit_hits_total says {} and {} of connections",
                    of_address, of_all);
  // Who never says anything is let go when a head would have to be there.
  co_await pause(loop_, began + std::chrono::seconds(5) - kSettleTime - loop_.now(), token_);
  if (standing() != 2 * kMostOfAddress + 2 + stand)
    violations_.add(Invariant::kNoEndlessWait, "connections that said nothing were closed too early");
  co_await pause(loop_, 5 * kSettleTime + 6 * latency, token_);
  if (standing() > 0)
    violations_.add(Invariant::kNoEndlessWait, "{} connections that said nothing stand too long", standing());
  token_.cancel(io::CancelReason::kShed);
  co_await scope_.join();
  probes_.clear();
  token_.reset();
  co_await open_probes(kStranger, 1);
  co_await settle();
  if (standing() != 1)
    violations_.add(Invariant::kGivenBack, "an address that has no connection any more is still limited");
  token_.cancel(io::CancelReason::kShed);
  co_await scope_.join();
  probes_.clear();
  token_.reset();
}

io::Task<> Inspector::inspect(const Clients& clients, const Upstreams& upstreams, Duration latency,
                              bool floods) {
  co_await pause(loop_, kSettleTime + 4 * latency, token_);
  check_gauges(clients);
  co_await check_pools(upstreams, latency);
  const RevisionTimes last = gateway_.revisions().back();
  if (last.all != kNever && last.all + kSettleTime < loop_.now()) {
    co_await check_listener(kExtraPort, last.revision % 2 == 1);
    co_await check_listener(kSidePort, true);
    co_await pause(loop_, 4 * latency, token_);
  }
  co_await check_status();
  if (floods) co_await flood(clients, latency);
  done_ = true;
}

void Inspector::inspect_rest(bool logs) {
  uint64_t now = gateway_.services().credentials.bytes();
  // With the first document's index went the empty one of before.
  if (now >= credential_bytes_)
    violations_.add(Invariant::kGivenBack, "credentials took {} bytes, and take {} after reloads",
                    credential_bytes_, now);
  if (!logs) return;
  auto lines = static_cast<uint64_t>(std::ranges::count(gateway_.access_log(), '\n'));
  uint64_t requests = count("sluice_requests_total", "") - count("sluice_requests_total", "api=\"quiet\"");
  if (lines != requests)
    violations_.add(Invariant::kUndisturbed, "the access log has {} lines long after {} requests", lines,
                    requests);
}

}  // namespace sluice::sim
