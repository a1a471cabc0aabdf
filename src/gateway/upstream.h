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

/// Immutable: one whose weight changes is another one, with the same identity.
struct Target {
  static constexpr uint16_t kWritten = 0xffff;

  std::shared_ptr<TargetIdentity> identity;
  std::string authority;  // host:port, as its `Host` and as the log names it
  std::string base_path;
  uint32_t weight = 1;
  uint32_t priority = 0;
  std::string zone = {};
  uint16_t number = 0;          // in its upstream's list
  uint16_t service = kWritten;  // which one of its upstream's services has it; kWritten: the document
  std::string cookie = {};      // by which a client comes back to it; empty: by none
};

/// What a target is used by, on whatever worker: of one that the document names no count is kept, for its
/// upstream has it for ever.
using TargetPointer = std::shared_ptr<const Target>;

/// Targets of an upstream that DNS lists (SRV records, RFC 2782).
struct TargetService {
  std::string name;
  std::string base_path;
  TargetTls tls = {};
  uint32_t weight = 1;    // times its records'
  uint32_t priority = 0;  // of its best records
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
  size_t body = 0;             // of a request, that is kept for another try
  bool idempotency_key = false;
};

/// What an upstream is, beside its configuration.
struct UpstreamParts {
  std::vector<Target> targets = {};
  std::vector<TargetService> services = {};
  std::shared_ptr<UpstreamLoad> load = std::make_shared<UpstreamLoad>();
  std::string zone = {};  // of the gateway
  std::string node = {};  // likewise, its name
};

/// Immutable but for its view, which the main loop changes, and the balancer's state.
class Upstream {
 public:
  Upstream(std::string upstream_name, const config::Upstream& configured, UpstreamParts parts,
           const telemetry::UpstreamMetrics& upstream_metrics);
  Upstream(const Upstream&) = delete;
  Upstream& operator=(const Upstream&) = delete;
  ~Upstream();

  const std::string name;
  const std::vector<TargetService> services;
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

  /// Whom to send a request to; null when no target takes any. As `view`.
  TargetPointer choose(const BalanceRequest& request) const {
    const TargetView& now = view();
    auto chosen = balancer_.choose(now, request);
    return chosen ? now.targets[*chosen] : nullptr;
  }
  /// The targets of the moment and their shares. A worker looks at it while it is online (see EpochReader)
  /// and copies what it needs.
  const TargetView& view() const { return *view_.load(std::memory_order_acquire); }
  const Balancer& balancer() const { return balancer_; }
  /// Not all of its targets are used.
  bool narrows() const { return shares_.subset > 0; }
  /// Null: clients are not brought back.
  const StickySessions* sticky() const { return sticky_ ? &*sticky_ : nullptr; }
  /// The number of the target that a client with this cookie had; nothing: it is none of ours any more.
  std::optional<uint16_t> target_of_cookie(std::string_view value) const;
  /// Of all configurations that have an upstream of its name.
  UpstreamLoad& load() const { return *load_; }
  /// What `load` is bounded by.
  const UpstreamBounds bounds;

  /// For its health: a try at a target has ended, with a `status` or, 0, without an answer. True: it has
  /// failed often enough in a row to be reported.
  bool record(const Target& target, int status) const;

  /// Of these targets, by how they are at `now`; kNever: without slow starts.
  std::unique_ptr<const TargetView> make_view(TargetList targets, Instant now) const;
  /// Of the main loop alone. The old view, to be retired by the caller.
  std::unique_ptr<const TargetView> replace_view(std::unique_ptr<const TargetView> view) const {
    return std::unique_ptr<const TargetView>(view_.exchange(view.release(), std::memory_order_acq_rel));
  }

 private:
  const std::shared_ptr<UpstreamLoad> load_;
  const std::string zone_;
  const uint64_t node_;
  const ShareRules shares_;
  const Balancer balancer_;
  std::optional<StickySessions> sticky_;
  std::vector<Target> written_;  // in the document
  mutable std::atomic<const TargetView*> view_{nullptr};
};

/// Where identities live: used by the compiler and by whoever resolves names. Thread-safe.
class TargetRegistry {
 public:
  std::shared_ptr<TargetIdentity> find_or_make(const std::string& upstream, const config::TargetUrl& url,
                                               const TargetTls& tls = {});
  /// What upstreams of that name carry.
  std::shared_ptr<UpstreamLoad> load_of(const std::string& upstream);
  /// From time to time: what no configuration and no service names any more.
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
