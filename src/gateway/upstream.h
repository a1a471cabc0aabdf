// An upstream: where requests go, compiled. The identity of a target outlives configurations, so that what
// belongs to it (pools, addresses) does too.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/time.h"
#include "config/document.h"
#include "gateway/balance/balancer.h"
#include "gateway/balance/sticky_sessions.h"
#include "gateway/balance/upstream_load.h"
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

/// Written by the main loop alone.
struct TargetHealth {
  std::atomic<bool> failing{false};               // as probes say
  std::atomic<bool> ejected{false};               // for how its answers were
  std::atomic<Instant> healthy_since{Instant{}};  // it was not, before; zero: it always was

  bool healthy() const {
    return !failing.load(std::memory_order_relaxed) && !ejected.load(std::memory_order_relaxed);
  }
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
  TargetLoad load;
  TargetOutcomes outcomes;
  TargetHealth health;
  std::atomic<long> pools{0};  // of workers; each has a reference to this

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
  uint32_t priority = 0;
  std::string zone = {};
};

struct RetryRules {
  uint32_t attempts = 2;  // the first counts
  bool on_connect_failure = true;
  bool on_reset = true;
  bool on_timeout = false;
  std::vector<uint16_t> statuses;
  uint32_t grpc_statuses = 0;  // bit by http::GrpcStatus
  double budget = 0.2;         // of the requests at once
  Duration backoff{0};         // before the second retry, at most
};

/// What an upstream is, beside its configuration.
struct UpstreamParts {
  std::vector<Target> targets;
  std::shared_ptr<UpstreamLoad> load = std::make_shared<UpstreamLoad>();
  std::string zone = {};  // of the gateway
};

/// Immutable but for the balancer's state.
class Upstream {
 public:
  Upstream(std::string upstream_name, const config::Upstream& configured, UpstreamParts parts,
           const telemetry::UpstreamMetrics& upstream_metrics);

  const std::string name;
  const std::vector<Target> targets;
  const config::UpstreamHost host;
  const config::UpstreamProtocol protocol;
  const config::UpstreamProxyProtocol proxy_protocol;
  const config::UpstreamTimeouts timeouts;
  const config::Health health;
  RetryRules retry;
  const std::optional<config::Hedge> hedge;
  const telemetry::UpstreamMetrics metrics;

  /// A connection to it begins with a header that names its client: it is for that client alone.
  bool names_client() const { return proxy_protocol != config::UpstreamProxyProtocol::kOff; }
  /// That header. `destination`: what the client had connected to.
  std::string proxy_header(const io::Address& client, const io::Address& destination) const;

  /// Whom to send a request to; null when no target takes any.
  const Target* choose(const BalanceRequest& request) const {
    auto chosen = balancer_.choose(request);
    return chosen ? &targets[*chosen] : nullptr;
  }
  uint16_t number_of(const Target& target) const { return static_cast<uint16_t>(&target - targets.data()); }
  const Balancer& balancer() const { return balancer_; }
  /// Null: clients are not brought back.
  const StickySessions* sticky() const { return sticky_ ? &*sticky_ : nullptr; }
  /// Of all configurations that have an upstream of its name.
  UpstreamLoad& load() const { return *load_; }
  /// What `load` is bounded by.
  const UpstreamBounds bounds;

  /// For its health: a try at a target has ended, with a `status` or, 0, without an answer. True: it has
  /// failed often enough in a row to be reported.
  bool record(const Target& target, int status) const;

  /// By how its targets are at `now`; kNever: without slow starts.
  std::unique_ptr<const TargetView> make_view(Instant now) const;

 private:
  const std::shared_ptr<UpstreamLoad> load_;
  const std::string zone_;
  const ShareRules shares_;
  const Balancer balancer_;
  std::optional<StickySessions> sticky_;
};

/// Where identities live: used by the compiler and by whoever resolves names. Thread-safe.
class TargetRegistry {
 public:
  std::shared_ptr<TargetIdentity> find_or_make(const std::string& upstream, const config::TargetUrl& url,
                                               const TargetTls& tls = {});
  /// What upstreams of that name carry.
  std::shared_ptr<UpstreamLoad> load_of(const std::string& upstream);
  /// Before each compilation: what no configuration names any more.
  void forget_unused();
  /// Identities whose host is a name, alive now.
  std::vector<std::shared_ptr<TargetIdentity>> names();

  /// Who resolves names; told on any thread. Before the first worker.
  void observe_names(std::function<void()> observer) { observer_ = std::move(observer); }
  /// A worker has made an identity that no configuration has: its name is to be resolved.
  void resolve_soon() {
    if (observer_) observer_();
  }

 private:
  std::function<void()> observer_;
  std::mutex mutex_;
  std::shared_ptr<SlotAllocator> slots_ = std::make_shared<SlotAllocator>();
  std::map<std::string, std::weak_ptr<TargetIdentity>> identities_;  // by upstream, authority and TLS
  std::map<std::string, std::weak_ptr<UpstreamLoad>> loads_;         // by upstream
};

}  // namespace sluice::gateway
