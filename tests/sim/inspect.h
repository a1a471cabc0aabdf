// Looks at the gateway between the traffic and the drain, when nothing disturbs it: what it counts as open,
// which listeners it has, whom it refuses, and what it still keeps of old configurations.
#pragma once

#include <memory>
#include <vector>

#include "client.h"
#include "gateway.h"
#include "upstream.h"

namespace sluice::sim {

class Inspector {
 public:
  Inspector(io::SimWorld& world, SimGateway& gateway, Violations& violations)
      : loop_(world.add_loop(io::SimRole::kPeer)), gateway_(gateway), violations_(violations) {}

  using Clients = std::vector<std::unique_ptr<Client>>;
  using Upstreams = std::vector<std::unique_ptr<UpstreamServer>>;

  /// Before the traffic.
  void begin() { credential_bytes_ = gateway_.services().credentials.bytes(); }
  io::SimLoop& loop() { return loop_; }
  /// No client waits for anything any more; `latency` is the network's.
  bool done() const { return done_; }
  io::Task<> inspect(const Clients& clients, const Upstreams& upstreams, Duration latency, bool floods);
  /// Long after that.
  void inspect_rest(bool logs);
  /// When the drain has begun.
  io::Task<> inspect_drain();
  bool drain_seen() const { return drain_seen_; }

 private:
  struct Probe {
    std::unique_ptr<io::Stream> stream;
    bool open = true;
    Instant ended{};
  };
  void check_gauges(const Clients& clients);
  std::string wrong_pools(const Upstreams& upstreams);
  io::Task<> check_pools(const Upstreams& upstreams, Duration latency);
  io::Task<> check_listener(uint16_t port, bool wanted);
  io::Task<> check_status();
  /// The status port's answer, head and all; empty: there was none.
  io::Task<std::string> ask_status(std::string_view path);
  io::Task<> flood(const Clients& clients, Duration latency);
  io::Task<> open_probes(std::string_view from, size_t count);
  io::Task<> watch(Probe& probe);
  static size_t connected(const Clients& clients);
  size_t standing() const;
  uint64_t count(std::string_view family, std::string_view label, std::string_view other = {}) const;

  io::SimLoop& loop_;
  SimGateway& gateway_;
  Violations& violations_;
  uint64_t credential_bytes_ = 0;
  bool done_ = false;
  bool drain_seen_ = false;
  io::CancelToken token_;
  io::TaskScope scope_;
  std::vector<std::unique_ptr<Probe>> probes_;
};

/// The sum of the series of `family` that have both labels, in a scrape.
uint64_t sum_of(const std::string& metrics, std::string_view family, std::string_view label,
                std::string_view other = {});

}  // namespace sluice::sim
