// An upstream: where requests go, compiled. The identity of a target outlives configurations, so that what
// belongs to it (pools, addresses) does too.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/time.h"
#include "config/document.h"
#include "gateway/plan.h"
#include "io/address.h"
#include "telemetry/families.h"
#include "tls/client_context.h"

namespace sluice::gateway {

/// How a target is spoken to over TLS.
struct TargetTls {
  std::shared_ptr<const tls::ClientContext> context = nullptr;  // null: in the clear
  std::string server_name = {};                                 // what the certificate must be for
  std::string key = {};  // the same for the same settings: another key is another identity
};

/// The place that connections go to, shared by every configuration that names it for the same upstream.
class TargetIdentity {
 public:
  using Addresses = std::vector<io::Address>;

  TargetIdentity(std::shared_ptr<SlotAllocator> slots, std::string host, uint16_t port, TargetTls tls = {});
  TargetIdentity(const TargetIdentity&) = delete;
  TargetIdentity& operator=(const TargetIdentity&) = delete;
  ~TargetIdentity();

  const uint32_t slot;  // in the workers' tables of pools
  const std::string host;
  const uint16_t port;
  const TargetTls tls;

  /// Null until the name is resolved. A worker reads it while it is online (see EpochReader) and copies what
  /// it needs.
  const Addresses* addresses() const { return addresses_.load(std::memory_order_acquire); }
  /// A name that DNS must resolve, not a literal address.
  bool is_name() const { return is_name_; }
  /// Publishes; the old list, to be retired by the caller, is returned.
  std::unique_ptr<const Addresses> publish(std::unique_ptr<const Addresses> addresses) {
    return std::unique_ptr<const Addresses>(
        addresses_.exchange(addresses.release(), std::memory_order_acq_rel));
  }

 private:
  std::atomic<const Addresses*> addresses_{nullptr};
  bool is_name_ = true;
  std::shared_ptr<SlotAllocator> slots_;
};

struct Target {
  std::shared_ptr<TargetIdentity> identity;
  std::string authority;  // host:port, as its `Host` and as the log names it
  std::string base_path;
  uint32_t weight = 1;
};

struct RetryRules {
  uint32_t attempts = 2;  // the first counts
  bool on_connect_failure = true;
  bool on_reset = true;
  bool on_timeout = false;
  std::vector<uint16_t> statuses;
  uint32_t grpc_statuses = 0;  // bit by http::GrpcStatus
};

/// Immutable but for the balancer's turn.
class Upstream {
 public:
  Upstream(std::string upstream_name, const config::Upstream& configured,
           std::vector<Target> upstream_targets, const telemetry::UpstreamMetrics& upstream_metrics);

  const std::string name;
  const std::vector<Target> targets;
  const config::UpstreamHost host;
  const config::UpstreamProtocol protocol;
  const config::UpstreamProxyProtocol proxy_protocol;
  const config::UpstreamTimeouts timeouts;
  RetryRules retry;
  const telemetry::UpstreamMetrics metrics;

  /// A connection to it begins with a header that names its client: it is for that client alone.
  bool names_client() const { return proxy_protocol != config::UpstreamProxyProtocol::kOff; }
  /// That header. `destination`: what the client had connected to.
  std::string proxy_header(const io::Address& client, const io::Address& destination) const;

  /// The next target in smooth weighted round robin over the whole process: exact, whichever workers ask.
  /// Null when no target has a weight. Not `failed`, which was tried just now, unless there is no other.
  const Target* next_target(const Target* failed = nullptr) const {
    if (schedule_.empty()) return nullptr;
    for (size_t seen = 0;; ++seen) {
      uint64_t turn = turn_.fetch_add(1, std::memory_order_relaxed);
      const Target* next = &targets[schedule_[turn % schedule_.size()]];
      if (next != failed || seen == schedule_.size()) return next;
    }
  }

 private:
  std::vector<uint16_t> schedule_;  // one round: target numbers
  alignas(64) mutable std::atomic<uint64_t> turn_{0};
};

/// One round of smooth weighted round robin (nginx's): every target as often as its weight, spread evenly.
/// Weights are reduced by their common divisor and, beyond kMaxRound turns, scaled down, none to zero.
std::vector<uint16_t> smooth_schedule(const std::vector<Target>& targets);
inline constexpr size_t kMaxRound = 4096;

/// Where identities live: used by the compiler and by whoever resolves names. Thread-safe.
class TargetRegistry {
 public:
  std::shared_ptr<TargetIdentity> find_or_make(const std::string& upstream, const config::TargetUrl& url,
                                               const TargetTls& tls = {});
  /// Before each compilation: what no configuration names any more.
  void forget_unused();
  /// Identities whose host is a name, alive now.
  std::vector<std::shared_ptr<TargetIdentity>> names();

 private:
  std::mutex mutex_;
  std::shared_ptr<SlotAllocator> slots_ = std::make_shared<SlotAllocator>();
  std::map<std::string, std::weak_ptr<TargetIdentity>> identities_;  // by upstream, authority and TLS
};

}  // namespace sluice::gateway
