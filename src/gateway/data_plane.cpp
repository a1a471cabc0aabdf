#include "gateway/data_plane.h"

#include <fmt/format.h>
#include <unistd.h>

#include "io/sleep.h"
#include "telemetry/process_log.h"

namespace sluice::gateway {

namespace {

namespace log = telemetry::log;

/// How long a start or a reload waits for names: requests that come before their target has an address fail.
constexpr Duration kNamesTime = std::chrono::seconds(2);
/// How often workers look for pools of targets that DNS does not list any more.
constexpr Duration kSweepTime = std::chrono::seconds(10);
/// After the drain's time is over: how long cancelled exchanges have to give back what they hold.
constexpr Duration kCancelTime = std::chrono::seconds(3);
/// How long workers have to give their sockets to a successor.
constexpr Duration kGatherTime = std::chrono::seconds(10);

/// Tries a listener's address for a moment.
std::optional<io::Error> why_unavailable(io::Loop& loop, const ListenerSettings& listener) {
  if (listener.protocol == config::ListenerProtocol::kUdp) {
    auto probe = loop.open_datagrams(listener.address,
                                     {.reuse_port = true, .waiting_bytes = 0, .remote = std::nullopt});
    if (!probe) return probe.error();
  } else {
    auto probe = loop.listen(listener.address, {.reuse_port = true});
    if (!probe) return probe.error();
  }
  return std::nullopt;
}

/// What workers give; whichever comes too late finds it still.
struct Gathered {
  explicit Gathered(size_t parts) : sockets(parts), missing(parts - 1) {}
  ~Gathered() {
    for (auto& part : sockets)
      for (int socket : part.value_or(std::vector<int>())) close(socket);
  }
  std::vector<io::Result<std::vector<int>>> sockets;
  size_t missing;
  io::CancelToken complete;
};

}  // namespace

DataPlane::DataPlane(io::Loop& loop, Services& services, io::Resolver& resolver, TargetRegistry& targets,
                     telemetry::WorkerMetrics& metrics)
    : loop_(loop),
      services_(services),
      targets_(targets),
      metrics_(metrics),
      names_(loop, resolver, targets, services.epochs),
      ocsp_(loop, resolver),
      acme_(loop, resolver, services.challenges, services.metrics, metrics),
      health_(loop, services.epochs, services.metrics, metrics),
      discovery_(loop, resolver, targets, names_, services.metrics, metrics,
                 [this](const Upstream& upstream, TargetList found) {
                   health_.replace_targets(upstream, std::move(found));
                 }),
      status_(loop, StatusServer::Source{// Of the gateway, which goes on in a successor.
                                         .ready = [this] { return ready() || handed_over_; },
                                         .revision = [this] { return snapshot_->revision; },
                                         .metrics = [this] { return services_.registry.scrape(); },
                                         .upstreams = [this] { return health_.describe(); },
                                         .limit_hit =
                                             [this](std::string_view limit) {
                                               metrics_.add(services_.metrics.limit_hits()[limit]);
                                             }}) {
  services.health.receive_on(loop, [this](const auto& target) { health_.report_failing(target); });
  targets.observe_names([this] { loop_.post([this] { names_.refresh(); }); });
}

void DataPlane::activate_credentials(CompiledCredentials credentials) {
  services_.credentials.replace_all(std::move(credentials.consumers), credentials.entries);
}

DataPlane::Outcome DataPlane::open_state(const Compiled& compiled) {
  auto opened = compiled.needs_state ? services_.quotas.open(compiled.state) : Outcome();
  if (opened) return opened;
  return std::unexpected(fmt::format("the state cannot be kept: {}", opened.error()));
}

void DataPlane::activate(Compiled first) {
  snapshot_ = std::move(first.change.next);
  activate_credentials(std::move(first.credentials));
}

DataPlane::Outcome DataPlane::open_status(const io::Address& address) {
  auto inherited = services_.inherited.take(handover::SocketKind::kAlone, address, 0);
  status_waits_ = !inherited.empty();
  auto listening = status_.listen(address, status_waits_ ? inherited.front() : -1);
  if (listening && !status_waits_) status_.serve();
  if (listening) return {};
  return std::unexpected(fmt::format("status listener cannot listen on {}: {}", address.text(),
                                     io::error_text(listening.error().code)));
}

void DataPlane::start(Hosts workers, std::move_only_function<void(Outcome)> started) {
  workers_ = std::move(workers);
  running_ = workers_.size();
  started_ = std::move(started);
  discovery_.follow(snapshot_->upstreams);
  names_.refresh();
  health_.follow(*snapshot_);

  auto waiting = std::make_shared<size_t>(workers_.size() + 1);
  auto arrived = [this, waiting](Outcome outcome) {
    if (!outcome && started_) std::exchange(started_, nullptr)(std::move(outcome));
    if (--*waiting > 0 || stopping_ || !started_) return;
    ready_ = true;
    if (status_waits_) status_.serve();
    metrics_.set(services_.metrics.config_revision(), static_cast<int64_t>(snapshot_->revision));
    std::exchange(started_, nullptr)({});
  };
  look_after_tls();
  scope_.spawn(keep_house());
  // A predecessor goes on accepting until we can serve, so there is no hurry.
  if (services_.inherited.any()) return scope_.spawn(take_over(arrived));
  listen(arrived);
  scope_.spawn(await_names(arrived));
}

void DataPlane::listen(const std::function<void(Outcome)>& arrived) {
  for (auto& worker : workers_)
    worker->post([this, arrived](Worker& each) {
      loop_.post([arrived, outcome = each.listen()]() mutable { arrived(std::move(outcome)); });
    });
}

io::Task<> DataPlane::take_over(std::function<void(Outcome)> arrived) {
  co_await await_names(arrived);
  if (!stopping_) listen(arrived);
}

io::Task<> DataPlane::await_names(std::function<void(Outcome)> then) {
  co_await first_answers();
  then({});
}

io::Task<> DataPlane::first_answers() {
  Instant until = loop_.now() + kNamesTime;
  co_await discovery_.first_answers(kNamesTime);
  co_await names_.first_answers(std::max<Duration>(until - loop_.now(), {}));
}

/// What nobody else does from time to time: memory that readers have left behind.
io::Task<> DataPlane::keep_house() {
  for (;;) {
    auto slept = co_await io::sleep_for(loop_, std::chrono::seconds(1), house_token_);
    if (!slept) co_return;
    services_.credentials.collect();
    names_.collect();
    health_.collect();
    sweep_targets();
    look_after_tls();
  }
}

/// Without a reload nobody else notices that a target is gone: its pools close once they are idle, and so its
/// name is asked for no more.
void DataPlane::sweep_targets() {
  if (stopping_ || discovery_.idle() || loop_.now() < next_sweep_) return;
  next_sweep_ = loop_.now() + kSweepTime;
  targets_.forget_unused();
  for (auto& worker : workers_) worker->post([](Worker& each) { each.forget_unused_pools(); });
}

/// Ticket keys that are due, and how long certificates last.
void DataPlane::look_after_tls() {
  if (snapshot_->ticket_keys) {
    if (next_ticket_rotation_ == kNever) next_ticket_rotation_ = loop_.now() + tls::TicketKeys::kRotation;
    if (loop_.now() >= next_ticket_rotation_) {
      snapshot_->ticket_keys->rotate();
      next_ticket_rotation_ += tls::TicketKeys::kRotation;
    }
  }
  // One that the configuration names no more keeps its last value until the next start.
  for (const KnownCertificate& known : snapshot_->certificates) {
    const tls::Certificate& certificate = *known.certificate;
    auto left = std::chrono::duration_cast<std::chrono::seconds>(certificate.not_after() - loop_.wall_now());
    metrics_.set(services_.metrics.certificate_expires(certificate.name()), left.count());
  }
  ocsp_.follow(snapshot_->certificates);
  // A CA that looks must find us.
  if (ready_ && !stopping_) acme_.follow(snapshot_->acme);
  ocsp_.for_each([this](const std::string& name, Duration good) {
    metrics_.set(services_.metrics.ocsp_expires(name),
                 std::chrono::duration_cast<std::chrono::seconds>(good).count());
  });
}

io::Task<DataPlane::Outcome> DataPlane::prepare(const Compiled& next) {
  discovery_.follow(next.change.next->upstreams);
  names_.refresh();
  co_await first_answers();
  Outcome opened = open_state(next);
  if (!opened) co_return opened;
  // Whether new addresses can be had is known before anything changes. Those that we listen on already are
  // left alone: the kernel would give a second socket its share of the connections, and closing it would
  // reset them.
  for (const ListenerSettings& listener : next.change.next->listeners) {
    bool ours = std::ranges::any_of(snapshot_->listeners, [&](const auto& known) {
      return known.address == listener.address && known.protocol == listener.protocol;
    });
    if (ours) continue;
    auto unavailable = why_unavailable(loop_, listener);
    if (unavailable)
      co_return std::unexpected(fmt::format("listener `{}` cannot listen on {}: {}", listener.name,
                                            listener.address.text(), io::error_text(unavailable->code)));
  }
  co_return Outcome{};
}

void DataPlane::apply(Compiled next) {
  activate_credentials(std::move(next.credentials));
  snapshot_ = next.change.next;
  health_.follow(*snapshot_);
  auto waiting = std::make_shared<size_t>(workers_.size());
  for (auto& worker : workers_) {
    worker->post([this, waiting, change = next.change](Worker& each) {
      each.publish(change);
      loop_.post([this, waiting, revision = change.next->revision, outcome = each.listen()] {
        if (!outcome) log::error("{}", outcome.error());
        if (--*waiting > 0) return;
        metrics_.add(services_.metrics.reloads()[telemetry::ReloadResult::kSuccess]);
        metrics_.set(services_.metrics.config_revision(), static_cast<int64_t>(revision));
        log::info("revision {} is active", revision);
      });
    });
  }
}

void DataPlane::refuse(std::string_view why) {
  metrics_.add(services_.metrics.reloads()[telemetry::ReloadResult::kFailure]);
  log::error("reload refused, revision {} stays: {}", snapshot_->revision, why);
}

io::Task<std::expected<std::vector<int>, std::string>> DataPlane::duplicate_sockets() {
  auto gathered = std::make_shared<Gathered>(workers_.size() + 1);
  auto status = status_.duplicate_socket();
  if (status)
    gathered->sockets[0]->push_back(*status);
  else
    gathered->sockets[0] = std::unexpected(status.error());
  for (size_t i = 0; i < workers_.size(); ++i)
    workers_[i]->post([this, gathered, i](Worker& each) {
      loop_.post([gathered, i, sockets = each.duplicate_sockets()]() mutable {
        gathered->sockets[i + 1] = std::move(sockets);
        if (--gathered->missing == 0) gathered->complete.cancel(io::CancelReason::kHandedOver);
      });
    });
  auto late = co_await io::sleep_for(loop_, kGatherTime, gathered->complete);
  if (late) co_return std::unexpected("a worker does not answer");
  std::vector<int> all;
  for (auto& sockets : gathered->sockets) {
    if (!sockets)
      co_return std::unexpected(
          fmt::format("a socket cannot be duplicated: {}", io::error_text(sockets.error().code)));
    all.insert(all.end(), sockets->begin(), sockets->end());
  }
  for (auto& sockets : gathered->sockets) sockets->clear();
  co_return all;
}

io::Task<bool> DataPlane::shut_down(Ending ending) {
  // /readyz fails from now on; whoever balances over us has `delay` to see it.
  stopping_ = true;
  handed_over_ = ending.handed_over;
  if (ending.handed_over) {
    status_.stop();
    acme_.stop();
  } else if (ending.delay > Duration::zero()) {
    auto slept = co_await io::sleep_for(loop_, ending.delay, drain_token_);
    std::ignore = slept;
  }
  auto why = ending.handed_over ? io::CancelReason::kHandedOver : io::CancelReason::kDrain;
  for (auto& worker : workers_) {
    worker->post([why](Worker& each) { each.drain(why); });
    worker->finish([this] { loop_.post([this] { worker_ended(); }); });
  }
  auto late = co_await io::sleep_for(loop_, ending.timeout, drain_token_);
  if (late) {
    log::warning("drain timeout: ending what is left");
    for (auto& worker : workers_)
      worker->post([](Worker& each) { each.cancel_all(io::CancelReason::kDrain); });
    late = co_await io::sleep_for(loop_, kCancelTime, drain_token_);
    if (late) co_return false;
  }
  house_token_.cancel(io::CancelReason::kDrain);
  discovery_.stop();
  names_.stop();
  ocsp_.stop();
  acme_.stop();
  health_.stop();
  co_await scope_.join();
  co_await discovery_.join();
  co_await names_.join();
  co_await ocsp_.join();
  co_await acme_.join();
  co_await health_.join();
  co_await services_.quotas.join();
  status_.stop();
  co_await status_.join();
  co_return true;
}

void DataPlane::worker_ended() {
  if (--running_ == 0) drain_token_.cancel(io::CancelReason::kDrain);
}

}  // namespace sluice::gateway
