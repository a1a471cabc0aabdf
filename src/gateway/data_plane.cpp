#include "gateway/data_plane.h"

#include <fmt/format.h>

#include "io/sleep.h"
#include "telemetry/process_log.h"

namespace sluice::gateway {

namespace {

namespace log = telemetry::log;

/// How long a start or a reload waits for names: requests that come before their target has an address fail.
constexpr Duration kNamesTime = std::chrono::seconds(2);
/// After the drain's time is over: how long cancelled exchanges have to give back what they hold.
constexpr Duration kCancelTime = std::chrono::seconds(3);

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

}  // namespace

DataPlane::DataPlane(io::Loop& loop, Services& services, io::Resolver& resolver, TargetRegistry& targets,
                     telemetry::WorkerMetrics& metrics)
    : loop_(loop),
      services_(services),
      metrics_(metrics),
      names_(loop, resolver, targets, services.epochs),
      ocsp_(loop, resolver),
      acme_(loop, resolver, services.challenges, services.metrics, metrics),
      health_(loop, services.epochs, services.metrics, metrics),
      status_(loop, StatusServer::Source{.ready = [this] { return ready(); },
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
  auto listening = status_.listen(address);
  if (listening) return {};
  return std::unexpected(fmt::format("status listener cannot listen on {}: {}", address.text(),
                                     io::error_text(listening.error().code)));
}

void DataPlane::start(Hosts workers, std::move_only_function<void(Outcome)> started) {
  workers_ = std::move(workers);
  running_ = workers_.size();
  started_ = std::move(started);
  names_.refresh();
  health_.follow(*snapshot_);

  auto waiting = std::make_shared<size_t>(workers_.size() + 1);
  auto arrived = [this, waiting](Outcome outcome) {
    if (!outcome && started_) std::exchange(started_, nullptr)(std::move(outcome));
    if (--*waiting > 0 || stopping_ || !started_) return;
    ready_ = true;
    metrics_.set(services_.metrics.config_revision(), static_cast<int64_t>(snapshot_->revision));
    std::exchange(started_, nullptr)({});
  };
  for (auto& worker : workers_)
    worker->post([this, arrived](Worker& each) {
      loop_.post([arrived, outcome = each.listen()]() mutable { arrived(std::move(outcome)); });
    });
  look_after_tls();
  scope_.spawn(await_names(arrived));
  scope_.spawn(keep_house());
}

io::Task<> DataPlane::await_names(std::function<void(Outcome)> then) {
  co_await names_.first_answers(kNamesTime);
  then({});
}

/// What nobody else does from time to time: memory that readers have left behind.
io::Task<> DataPlane::keep_house() {
  for (;;) {
    auto slept = co_await io::sleep_for(loop_, std::chrono::seconds(1), house_token_);
    if (!slept) co_return;
    services_.credentials.collect();
    names_.collect();
    health_.collect();
    look_after_tls();
  }
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
  if (ready_) acme_.follow(snapshot_->acme);
  ocsp_.for_each([this](const std::string& name, Duration good) {
    metrics_.set(services_.metrics.ocsp_expires(name),
                 std::chrono::duration_cast<std::chrono::seconds>(good).count());
  });
}

io::Task<DataPlane::Outcome> DataPlane::prepare(const Compiled& next) {
  names_.refresh();
  co_await names_.first_answers(kNamesTime);
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

io::Task<bool> DataPlane::shut_down(Duration delay, Duration timeout) {
  // /readyz fails from now on; whoever balances over us has `delay` to see it.
  stopping_ = true;
  if (delay > Duration::zero()) {
    auto slept = co_await io::sleep_for(loop_, delay, drain_token_);
    std::ignore = slept;
  }
  for (auto& worker : workers_) {
    worker->post([](Worker& each) { each.drain(); });
    worker->finish([this] { loop_.post([this] { worker_ended(); }); });
  }
  auto late = co_await io::sleep_for(loop_, timeout, drain_token_);
  if (late) {
    log::warning("drain timeout: ending what is left");
    for (auto& worker : workers_)
      worker->post([](Worker& each) { each.cancel_all(io::CancelReason::kDrain); });
    late = co_await io::sleep_for(loop_, kCancelTime, drain_token_);
    if (late) co_return false;
  }
  house_token_.cancel(io::CancelReason::kDrain);
  names_.stop();
  ocsp_.stop();
  acme_.stop();
  health_.stop();
  co_await scope_.join();
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
