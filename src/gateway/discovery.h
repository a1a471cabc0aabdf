// Discovery: keeps the targets of upstreams that name a service (`http+srv://`) to what DNS says of it, on
// the main loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gateway/dns_answers.h"
#include "gateway/names.h"
#include "gateway/service_targets.h"
#include "io/dns.h"
#include "io/scope.h"
#include "telemetry/families.h"

namespace sluice::gateway {

/// Each service is asked for once, however many upstreams name it, and again when its TTL has run out. While
/// that fails, or brings no server, the targets stay.
class Discovery {
 public:
  /// These are the targets of the upstream from now on.
  using Receiver = std::function<void(const Upstream&, TargetList)>;

  Discovery(io::Loop& loop, io::Resolver& resolver, TargetRegistry& registry, Names& names,
            telemetry::Families& families, telemetry::WorkerMetrics& metrics, Receiver receiver);

  /// Begins with services that are new; one that no upstream names any more ends by itself.
  void follow(const std::vector<std::shared_ptr<const Upstream>>& upstreams);
  /// Until every service has its first answer, and its servers theirs, or `limit` has passed.
  io::Task<> first_answers(Duration limit);
  bool idle() const { return services_.empty(); }

  void stop() { token_.cancel(io::CancelReason::kDrain); }
  /// After `stop`.
  auto join() { return scope_.join(); }

 private:
  struct Service {
    std::string name;
    std::vector<std::weak_ptr<const Upstream>> upstreams;
    std::vector<io::ServiceRecord> records;  // in_order
    bool answered = false;                   // once at least, good or bad
    AskAgain again;
  };

  io::Task<> keep(Service& service);
  /// Takes an answer; how long to wait for the next question. `changed`: out.
  Duration take(Service& service, io::Result<io::ServiceRecords> found, bool& changed);
  std::vector<TargetList> targets_of(const Service& service);
  void give(const Service& service, const Upstream& upstream);
  static bool in_use(Service& service);

  io::Loop& loop_;
  io::Resolver& resolver_;
  TargetRegistry& registry_;
  Names& names_;
  telemetry::WorkerMetrics& metrics_;
  telemetry::NamedCounters limit_hits_;
  const Receiver receiver_;
  std::map<std::string, Service> services_;  // by name; one task each
  FirstAnswers first_answers_;
  io::CancelToken token_;
  io::TaskScope scope_;
};

}  // namespace sluice::gateway
