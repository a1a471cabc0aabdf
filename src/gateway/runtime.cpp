#include "gateway/runtime.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>

#include "config/document_types.h"
#include "io/cares/cares_resolver.h"
#include "io/sleep.h"
#include "telemetry/process_log.h"

namespace sluice::gateway {

namespace {

namespace log = telemetry::log;

/// How long a start or a reload waits for names: requests that come before their target has an address fail.
constexpr Duration kNamesTime = std::chrono::seconds(2);

std::array<std::byte, 32> random_secret() {
  std::array<std::byte, 32> secret;
  if (getrandom(secret.data(), secret.size(), 0) != static_cast<ssize_t>(secret.size()))
    throw std::runtime_error("the system gives no random bytes");
  return secret;
}

uint64_t random_seed() {
  uint64_t seed = 0;
  if (getrandom(&seed, sizeof seed, 0) != sizeof seed)
    throw std::runtime_error("the system gives no random bytes");
  return seed;
}

uint32_t worker_count(const config::Gateway& gateway) {
  if (gateway.workers.count > 0) return gateway.workers.count;
  return std::max(1u, std::thread::hardware_concurrency());
}

telemetry::LogFormat log_format(const config::Gateway& gateway) {
  return gateway.access_log.format == config::AccessLogFormat::kText ? telemetry::LogFormat::kText
                                                                     : telemetry::LogFormat::kJson;
}

io::BackendWish wish_of(const config::Gateway& gateway) {
  switch (gateway.io) {
    case config::IoBackend::kEpoll:
      return io::BackendWish::kEpoll;
    case config::IoBackend::kUring:
      return io::BackendWish::kUring;
    case config::IoBackend::kAuto:
      break;
  }
  return io::BackendWish::kAuto;
}

/// Of eight descriptors one is kept for connections to upstreams, files and the status port: a crowd of
/// clients must not take them all.
uint32_t most_connections() {
  constexpr uint32_t kOurs = 16;  // loops, listeners, logs
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > 1 << 30) return 0;
  auto descriptors = static_cast<uint32_t>(limit.rlim_cur);
  uint32_t kept = descriptors / 8 + kOurs;
  return descriptors > kept ? descriptors - kept : 1;
}

void print_diagnostics(const config::Diagnostics& diagnostics) {
  bool colour = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
  std::fputs(diagnostics.render_text(colour).c_str(), stderr);
}

}  // namespace

Runtime::Runtime(const PolicyTypes& policies, const HandlerTypes& handlers, RuntimeOptions options)
    : policies_(policies), handlers_(handlers), options_(std::move(options)), loop_(random_seed()) {}

Runtime::~Runtime() = default;

Runtime::Loaded Runtime::load() {
  Loaded loaded;
  loaded.result = config::load(options_.inputs, {.catalog = &policies_});
  if (loaded.result.ok())
    loaded.compiled = compiler_->compile(loaded.result.document, compile_base_, loaded.result.diagnostics);
  loaded.result.diagnostics.sort();
  return loaded;
}

int Runtime::run() {
  io::CurrentLoop current(loop_);
  std::array<std::byte, 32> secret = random_secret();
  services_ = std::make_unique<Services>(secret, random_seed());
  services_->connections.set_ceiling(most_connections());
  compiler_ = std::make_unique<Compiler>(*services_, policies_, handlers_);
  metrics_ = &services_->registry.attach();

  run_signal_thread();
  if (!start(load())) {
    end_signal_thread();
    return 1;
  }
  loop_.run();

  {
    std::lock_guard lock(compile_mutex_);
    compile_stop_ = true;
  }
  compile_wanted_.notify_one();
  compile_thread_.join();
  end_signal_thread();
  workers_.clear();
  log_.reset();
  log::info("stopped");
  return exit_code_;
}

bool Runtime::start(Loaded loaded) {
  print_diagnostics(loaded.result.diagnostics);
  if (!loaded.compiled) return false;
  const config::Gateway& gateway = loaded.result.document.gateway;
  started_with_ = gateway;
  auto writer = telemetry::LogWriter::open(gateway.access_log.path);
  if (!writer) {
    log::error("access log: {}", writer.error());
    return false;
  }
  log_ = std::move(*writer);
  register_sources();
  services_->metrics.set_per_route(gateway.metrics.per_route);

  snapshot_ = loaded.compiled->change.next;
  compile_base_ = snapshot_;
  watch(loaded.result);
  activate_credentials(std::move(loaded.compiled->credentials));

  auto loops = make_loops();
  if (loops.empty()) return false;
  status_ = std::make_unique<StatusServer>(
      loop_, StatusServer::Source{.ready = [this] { return ready_ && !stopping_; },
                                  .revision = [this] { return snapshot_->revision; },
                                  .metrics = [this] { return services_->registry.scrape(); },
                                  .limit_hit =
                                      [this](std::string_view limit) {
                                        metrics_->add(services_->metrics.limit_hits()[limit]);
                                      }});
  auto address = io::Address::parse_ip(gateway.status.address.host, gateway.status.address.port);
  auto listening = status_->listen(address.value_or(io::Address::loopback(8081)));
  if (!listening) {
    log::error("status listener cannot listen on {}: {}", config::to_text(gateway.status.address),
               io::error_text(listening.error().code));
    return false;
  }

  start_workers(std::move(loops));
  resolver_ = std::make_unique<io::CaresResolver>(loop_, io::CaresResolver::Options{});
  names_ = std::make_unique<Names>(loop_, *resolver_, compiler_->targets(), services_->epochs);
  names_->refresh();

  // The first worker that cannot listen ends the start.
  auto waiting = std::make_shared<size_t>(workers_.size() + 1);
  auto arrived = [this, waiting] {
    if (--*waiting == 0 && !stopping_) announce();
  };
  for (auto& worker : workers_) {
    worker->listen([this, arrived](std::expected<void, std::string> listened) {
      loop_.post([this, arrived, outcome = std::move(listened)] {
        if (!outcome && !stopping_) {
          log::error("{}", outcome.error());
          exit_code_ = 1;
          begin_shutdown();
        }
        arrived();
      });
    });
  }
  look_after_tls();
  reload_scope_.spawn(await_names(arrived));
  start_compile_thread();
  house_scope_.spawn(keep_house());
  return true;
}

/// The workers' loops, as configured; none when that cannot be had.
std::vector<std::unique_ptr<io::SystemLoop>> Runtime::make_loops() {
  const config::Gateway& gateway = started_with_;
  uint32_t count = worker_count(gateway);
  std::vector<uint64_t> seeds(count);
  std::ranges::generate(seeds, random_seed);
  auto set = io::make_loops(wish_of(gateway), seeds);
  if (!set) {
    log::error("`io: {}` cannot be had: {}", config::enum_text(gateway.io), set.error());
    return {};
  }
  io_ = std::move(set->choice);
  if (gateway.io == config::IoBackend::kAuto && io_.backend == io::Backend::kEpoll)
    log::warning("io epoll, for io_uring cannot be had: {}", io_.reason);
  std::string_view name = io::backend_name(io_.backend);
  metrics_->set(services_->metrics.build_info(SLUICE_VERSION, name), 1);
  metrics_->set(services_->metrics.io_backend(name, io_.reason), 1);
  return std::move(set->loops);
}

/// Listening comes later.
void Runtime::start_workers(std::vector<std::unique_ptr<io::SystemLoop>> loops) {
  for (auto& loop : loops)
    workers_.push_back(std::make_unique<WorkerThread>(std::move(loop), *services_, log_.get(),
                                                      log_format(started_with_), snapshot_));
  workers_running_ = workers_.size();
  for (uint32_t i = 0; i < workers_.size(); ++i) {
    services_->registry.add_source(
        services_->metrics.worker_busy_ppm(i),
        [this, i, seen_busy = int64_t{0}, seen_at = loop_.now()]() mutable -> int64_t {
          int64_t busy = workers_[i]->busy_nanoseconds();
          int64_t passed = std::max<int64_t>(1, (loop_.now() - seen_at).count());
          int64_t ppm = std::min<int64_t>(1'000'000, (busy - seen_busy) * 1'000'000 / passed);
          seen_busy = busy;
          seen_at = loop_.now();
          return ppm;
        });
  }
}

io::Task<> Runtime::await_names(std::function<void()> then) {
  co_await names_->first_answers(kNamesTime);
  then();
}

void Runtime::announce() {
  ready_ = true;
  metrics_->set(services_->metrics.config_revision(), static_cast<int64_t>(snapshot_->revision));
  for (const ListenerSettings& listener : snapshot_->listeners) {
    log::info("listening on {} ({}{})", listener.address.text(), listener.name, listener.tls ? ", TLS" : "");
    if (listener.self_signed)
      log::warning("listener {} shows a certificate that the gateway has signed itself: for trying things out",
                   listener.name);
  }
  log::info("ready: revision {}, {} workers, io {}, status on {}", snapshot_->revision, workers_.size(),
            io::backend_name(io_.backend), status_->address().text());
  if (options_.on_ready) options_.on_ready();
}

void Runtime::register_sources() {
  services_->registry.add_source(services_->metrics.log_dropped(),
                                 [this] { return log_ ? log_->lost_lines() : 0; });
  services_->registry.add_source(services_->metrics.limit_hits()["rate_limit_keys"],
                                 [this] { return services_->rates.evictions(); });
}

void Runtime::activate_credentials(CompiledCredentials credentials) {
  services_->credentials.replace_all(std::move(credentials.consumers), credentials.entries);
}

/// What nobody else does from time to time: memory that readers have left behind.
io::Task<> Runtime::keep_house() {
  for (;;) {
    auto slept = co_await io::sleep_for(loop_, std::chrono::seconds(1), house_token_);
    if (!slept) co_return;
    services_->credentials.collect();
    names_->collect();
    look_after_tls();
  }
}

void Runtime::look_after_tls() {
  if (services_->ticket_keys) {
    if (next_ticket_rotation_ == kNever) next_ticket_rotation_ = loop_.now() + tls::TicketKeys::kRotation;
    if (loop_.now() >= next_ticket_rotation_) {
      services_->ticket_keys->rotate();
      next_ticket_rotation_ += tls::TicketKeys::kRotation;
    }
  }
  // One that the configuration names no more keeps its last value until the next start.
  for (const CertificateExpiry& certificate : snapshot_->certificates) {
    auto left = std::chrono::duration_cast<std::chrono::seconds>(certificate.not_after - loop_.wall_now());
    metrics_->set(services_->metrics.certificate_expires(certificate.name), left.count());
  }
}

void Runtime::request_reload() {
  {
    std::lock_guard lock(compile_mutex_);
    reload_requested_ = true;
  }
  compile_wanted_.notify_one();
}

io::Task<> Runtime::finish_reload(Loaded loaded) {
  co_await try_reload(std::move(loaded));
  std::lock_guard done(compile_mutex_);
  reload_finished_ = true;
  compile_wanted_.notify_one();
}

io::Task<> Runtime::try_reload(Loaded loaded) {
  if (loaded.compiled) {
    names_->refresh();
    co_await names_->first_answers(kNamesTime);
  }
  if (stopping_) co_return;
  auto refuse = [&](std::string_view why) {
    metrics_->add(services_->metrics.reloads()[telemetry::ReloadResult::kFailure]);
    log::error("reload refused, revision {} stays: {}", snapshot_->revision, why);
  };
  if (!loaded.compiled) {
    print_diagnostics(loaded.result.diagnostics);
    refuse("the configuration is not valid");
    co_return;
  }
  // Whether new addresses can be had is known before anything changes. Those that we listen on already are
  // left alone: the kernel would give a second socket its share of the connections, and closing it would
  // reset them.
  for (const ListenerSettings& listener : loaded.compiled->change.next->listeners) {
    bool ours = std::ranges::any_of(snapshot_->listeners,
                                    [&](const auto& known) { return known.address == listener.address; });
    if (ours) continue;
    auto probe = loop_.listen(listener.address, {.reuse_port = true});
    if (!probe) {
      refuse(fmt::format("listener `{}` cannot listen on {}: {}", listener.name, listener.address.text(),
                         io::error_text(probe.error().code)));
      co_return;
    }
  }
  print_diagnostics(loaded.result.diagnostics);
  apply(std::move(loaded));
}

void Runtime::apply(Loaded loaded) {
  const config::Gateway& gateway = loaded.result.document.gateway;
  if (worker_count(gateway) != workers_.size()) log::warning("`workers` changes by restart only");
  if (gateway.io != started_with_.io) log::warning("`io` changes by restart only");
  if (gateway.status.address != started_with_.status.address)
    log::warning("`status.address` changes by restart only");
  if (gateway.access_log.path != started_with_.access_log.path)
    log::warning("`access_log.path` changes by restart only");

  services_->metrics.set_per_route(gateway.metrics.per_route);
  SnapshotChange change = loaded.compiled->change;
  activate_credentials(std::move(loaded.compiled->credentials));
  snapshot_ = change.next;
  {
    std::lock_guard lock(compile_mutex_);
    compile_base_ = snapshot_;
    watch(loaded.result);
  }
  auto waiting = std::make_shared<size_t>(workers_.size());
  uint64_t revision = snapshot_->revision;
  for (auto& worker : workers_) {
    worker->publish(change, [this, waiting, revision](std::expected<void, std::string> listened) {
      loop_.post([this, waiting, revision, outcome = std::move(listened)] {
        if (!outcome) log::error("{}", outcome.error());
        if (--*waiting > 0) return;
        metrics_->add(services_->metrics.reloads()[telemetry::ReloadResult::kSuccess]);
        metrics_->set(services_->metrics.config_revision(), static_cast<int64_t>(revision));
        log::info("revision {} is active", revision);
      });
    });
  }
}

}  // namespace sluice::gateway
