#include "gateway/runtime.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <climits>
#include <cstdio>

#include "config/document_types.h"
#include "gateway/handover/service_manager.h"
#include "gateway/worker_thread.h"
#include "io/cares/cares_resolver.h"
#include "telemetry/process_log.h"

namespace sluice::gateway {

namespace {

namespace log = telemetry::log;

/// What waits for the disk; quotas have one at a time.
constexpr size_t kMostJobs = 64;

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

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  if (gethostname(name.data(), name.size() - 1) < 0) return {};
  return name.data();
}

/// As the resolver takes them.
std::string name_servers(const config::Gateway& gateway) {
  std::string list;
  for (const config::Address& server : gateway.dns.servers)
    list.append(list.empty() ? "" : ",").append(config::to_text(server));
  return list;
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
  services_->node = host_name();

  auto inherited = services_->inherited.take_from_environment();
  if (!inherited) {
    log::error("what a predecessor has left cannot be used: {}", inherited.error());
    return 1;
  }
  run_signal_thread();
  // Not before signals are blocked: its threads must not get them.
  offload_.emplace(1, kMostJobs);
  services_->quotas.write_on(loop_, *offload_);
  Loaded first = load();
  io::CaresResolver::Options resolving{.servers = name_servers(first.result.document.gateway)};
  resolver_ = std::make_unique<io::CaresResolver>(loop_, resolving);
  plane_ = std::make_unique<DataPlane>(loop_, *services_, *resolver_, compiler_->targets(), *metrics_);
  if (!start(std::move(first))) {
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
  plane_.reset();  // waits for the workers' threads
  services_->quotas.close();
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
  if (auto opened = plane_->open_state(*loaded.compiled); !opened) {
    log::error("{}", opened.error());
    return false;
  }
  log_ = std::move(*writer);
  register_sources();
  services_->metrics.set_per_route(gateway.metrics.per_route);

  compile_base_ = loaded.compiled->change.next;
  watch(loaded.result);
  plane_->activate(std::move(*loaded.compiled));

  auto loops = make_loops();
  if (loops.empty()) return false;
  auto address = io::Address::parse_ip(gateway.status.address.host, gateway.status.address.port);
  auto status = plane_->open_status(address.value_or(io::Address::loopback(8081)));
  if (!status) {
    log::error("{}", status.error());
    return false;
  }
  plane_->start(make_workers(std::move(loops)), [this](DataPlane::Outcome started) {
    if (started) return announce();
    log::error("{}", started.error());
    exit_code_ = 1;
    begin_shutdown();
  });
  start_compile_thread();
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

DataPlane::Hosts Runtime::make_workers(std::vector<std::unique_ptr<io::SystemLoop>> loops) {
  DataPlane::Hosts workers;
  for (auto& loop : loops) {
    auto number = static_cast<uint32_t>(workers.size());
    auto worker = std::make_unique<WorkerThread>(std::move(loop), *services_, log_.get(),
                                                 log_format(started_with_), plane_->snapshot());
    services_->registry.add_source(
        services_->metrics.worker_busy_ppm(number),
        [this, thread = worker.get(), seen_busy = int64_t{0}, seen_at = loop_.now()]() mutable -> int64_t {
          int64_t busy = thread->busy_nanoseconds();
          int64_t passed = std::max<int64_t>(1, (loop_.now() - seen_at).count());
          int64_t ppm = std::min<int64_t>(1'000'000, (busy - seen_busy) * 1'000'000 / passed);
          seen_busy = busy;
          seen_at = loop_.now();
          return ppm;
        });
    workers.push_back(std::move(worker));
  }
  workers_ = workers.size();
  services_->inherited.divide_among(workers_);
  return workers;
}

void Runtime::announce() {
  const Snapshot& snapshot = *plane_->snapshot();
  for (const ListenerSettings& listener : snapshot.listeners) {
    log::info("listening on {} ({}{})", listener.address.text(), listener.name, listener.tls ? ", TLS" : "");
    if (listener.self_signed)
      log::warning(
          "listener {} shows a certificate that the gateway has signed itself: for trying things out",
          listener.name);
  }
  log::info("ready: revision {}, {} workers, io {}, status on {}", snapshot.revision, workers_,
            io::backend_name(io_.backend), plane_->status().address().text());
  // After a handover the predecessor tells: the service manager listens to the main process alone.
  if (!services_->inherited.any()) handover::tell_service_manager("READY=1");
  services_->inherited.report_ready();
  if (options_.on_ready) options_.on_ready();
}

void Runtime::register_sources() {
  services_->registry.add_source(services_->metrics.log_dropped(),
                                 [this] { return log_ ? log_->lost_lines() : 0; });
  services_->registry.add_source(services_->metrics.limit_hits()["rate_limit_keys"], [this] {
    return services_->rates.evictions() + services_->windows.evictions();
  });
  services_->registry.add_source(services_->metrics.limit_hits()["quota_keys"],
                                 [this] { return services_->quotas.evictions(); });
  auto writes = services_->metrics.state_writes();
  services_->registry.add_source(writes[telemetry::StateWrite::kDone],
                                 [this] { return services_->quotas.writes(); });
  services_->registry.add_source(writes[telemetry::StateWrite::kFailed],
                                 [this] { return services_->quotas.failures(); });
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
  if (!loaded.compiled) {
    if (plane_->stopping()) co_return;
    print_diagnostics(loaded.result.diagnostics);
    plane_->refuse("the configuration is not valid");
    co_return;
  }
  auto prepared = co_await plane_->prepare(*loaded.compiled);
  // A successor has the sockets that were listened on when it was started, no others.
  while (handing_over_) co_await handover_ended_.wait_anyway();
  if (plane_->stopping()) co_return;
  if (!prepared) {
    plane_->refuse(prepared.error());
    co_return;
  }
  print_diagnostics(loaded.result.diagnostics);
  const config::Gateway& gateway = loaded.result.document.gateway;
  warn_of_restarts(gateway);
  services_->metrics.set_per_route(gateway.metrics.per_route);
  {
    std::lock_guard lock(compile_mutex_);
    compile_base_ = loaded.compiled->change.next;
    watch(loaded.result);
  }
  plane_->apply(std::move(*loaded.compiled));
}

void Runtime::warn_of_restarts(const config::Gateway& gateway) const {
  if (worker_count(gateway) != workers_) log::warning("`workers` changes by restart only");
  if (gateway.io != started_with_.io) log::warning("`io` changes by restart only");
  if (gateway.status.address != started_with_.status.address)
    log::warning("`status.address` changes by restart only");
  if (gateway.dns != started_with_.dns) log::warning("`dns` changes by restart only");
  if (gateway.state != started_with_.state) log::warning("`state` changes by restart only");
  if (gateway.access_log.path != started_with_.access_log.path)
    log::warning("`access_log.path` changes by restart only");
}

}  // namespace sluice::gateway
