#include "gateway.h"

#include <set>

#include "config/loader.h"
#include "document.h"
#include "guard.h"
#include "io/sleep.h"
#include "tls.h"

namespace sluice::sim {

namespace {

std::array<std::byte, 32> secret_of(uint64_t seed) {
  std::array<std::byte, 32> secret{};
  for (size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<std::byte>(seed >> (i % 8 * 8));
  return secret;
}

}  // namespace

/// A worker on a loop of the world.
class SimGateway::Host final : public gateway::WorkerHost {
 public:
  Host(io::SimLoop& loop, gateway::Services& services, std::unique_ptr<telemetry::AccessLog> log,
       telemetry::WorkerMetrics& metrics, std::shared_ptr<const gateway::Snapshot> snapshot)
      : loop_(loop) {
    io::CurrentLoop current(loop_);
    worker_ =
        std::make_unique<gateway::Worker>(loop_, services, std::move(log), metrics, std::move(snapshot));
  }
  void post(Work work) override {
    loop_.post([this, run = std::move(work)]() mutable { run(*worker_); });
  }
  void finish(std::move_only_function<void()> ended) override {
    loop_.post([this, told = std::move(ended)]() mutable { scope_.spawn(end(std::move(told))); });
  }
  void destroy() {
    io::CurrentLoop current(loop_);
    worker_.reset();
  }
  io::SimLoop& loop() { return loop_; }
  size_t tasks() const { return scope_.active(); }

 private:
  io::Task<> end(std::move_only_function<void()> ended) {
    co_await worker_->join();
    ended();
  }

  io::SimLoop& loop_;
  std::unique_ptr<gateway::Worker> worker_;
  io::TaskScope scope_;
};

SimGateway::SimGateway(io::SimWorld& world, io::SimLoop& main, io::Resolver& resolver,
                       const gateway::PolicyTypes& policies, uint64_t seed, size_t workers,
                       Violations& violations)
    : world_(world),
      main_(main),
      offload_(world, 64),
      violations_(violations),
      policies_(policies),
      services_seed_(seed),
      services_(secret_of(seed), seed),
      compiler_(services_, policies, handlers_),
      plane_(std::make_unique<gateway::DataPlane>(main, services_, resolver, compiler_.targets(),
                                                  services_.registry.attach())) {
  for (size_t i = 0; i < workers; ++i) loops_.push_back(&world.add_loop());
}

SimGateway::~SimGateway() = default;

io::Address SimGateway::address() const { return *io::Address::parse_ip(kGatewayIp, kPort); }

std::unique_ptr<gateway::Compiled> SimGateway::compile(const std::string& document) {
  auto loaded = config::load_text(document, {.catalog = &policies_, .environment = tls_environment()});
  std::unique_ptr<gateway::Compiled> compiled;
  if (loaded.ok()) compiled = compiler_.compile(loaded.document, plane_->snapshot(), loaded.diagnostics);
  loaded.diagnostics.sort();
  problems_.clear();
  for (const config::Problem& problem : loaded.diagnostics.problems())
    problems_ += fmt::format("{}:{} {}\n", problem.at.line, problem.at.column, problem.message);
  return compiled;
}

void SimGateway::remember(const gateway::Snapshot& snapshot) {
  snapshots_.push_back(plane_->snapshot());
  snapshot.for_each_plan([&](const auto& plan) { plans_.push_back(plan); });
}

bool SimGateway::start(const std::string& document, bool access_log) {
  auto compiled = compile(document);
  if (!compiled) return false;
  io::CurrentLoop current(main_);
  services_.quotas.write_on(main_, offload_);
  compiled->state.clear();  // in memory
  PlannedRandomness planned(services_seed_);
  auto opened = plane_->open_state(*compiled);
  if (!opened) violations_.add(Invariant::kUndisturbed, "{}", opened.error());
  plane_->activate(std::move(*compiled));
  remember(*plane_->snapshot());
  revisions_.push_back({0, 0, world_.now(), world_.now(), world_.now()});
  auto status = plane_->open_status(*io::Address::parse_ip(kGatewayIp, kStatusPort));
  if (!status) violations_.add(Invariant::kUndisturbed, "{}", status.error());
  gateway::DataPlane::Hosts hosts;
  for (io::SimLoop* loop : loops_) {
    telemetry::WorkerMetrics& metrics = services_.registry.attach();
    std::unique_ptr<telemetry::AccessLog> log;
    if (access_log)
      log = std::make_unique<telemetry::AccessLog>(std::make_unique<MemoryChannel>(log_text_),
                                                   telemetry::LogFormat::kJson, metrics,
                                                   services_.metrics.log_dropped());
    auto host = std::make_unique<Host>(*loop, services_, std::move(log), metrics, plane_->snapshot());
    hosts_.push_back(host.get());
    hosts.push_back(std::move(host));
  }
  plane_->start(std::move(hosts), [this](gateway::DataPlane::Outcome started) {
    if (!started) violations_.add(Invariant::kUndisturbed, "start: {}", started.error());
  });
  return true;
}

bool SimGateway::reload(const std::string& document, uint64_t revision, uint64_t generation) {
  auto compiled = compile(document);
  if (!compiled) return false;
  coming_.push_back({document, revision, generation});
  if (!reloading_) scope_.spawn(reload_all());
  return true;
}

/// One after the other, each compiled from what the one before has made active.
io::Task<> SimGateway::reload_all() {
  reloading_ = true;
  while (!coming_.empty() && !plane_->stopping()) {
    Next next = std::move(coming_.front());
    coming_.pop_front();
    auto compiled = compile(next.document);
    auto prepared = co_await plane_->prepare(*compiled);
    if (plane_->stopping()) break;
    if (prepared)
      apply(std::move(*compiled), next);
    else
      violations_.add(Invariant::kUndisturbed, "reload: {}", prepared.error());
  }
  reloading_ = false;
}

void SimGateway::apply(gateway::Compiled compiled, const Next& next) {
  revisions_.push_back({next.revision, next.generation, world_.now(), kNever, kNever});
  plane_->apply(std::move(compiled));
  remember(*plane_->snapshot());
  size_t index = revisions_.size() - 1;
  auto left = std::make_shared<size_t>(hosts_.size());
  for (Host* host : hosts_)
    host->post([this, index, left](gateway::Worker&) {  // behind the plane's own message
      RevisionTimes& times = revisions_[index];
      if (times.first == kNever) times.first = world_.now();
      if (--*left == 0) times.all = world_.now();
    });
}

void SimGateway::shut_down(Duration timeout) {
  drain_began_ = world_.now();
  scope_.spawn(drain(timeout));
  drains_pending_ = hosts_.size();
  for (Host* host : hosts_)
    host->post([this](gateway::Worker&) {
      if (--drains_pending_ == 0) drained_at_ = world_.now();
    });
}

io::Task<> SimGateway::drain(Duration timeout) {
  bool all = co_await plane_->shut_down({.timeout = timeout});
  if (!all) violations_.add(Invariant::kNoEndlessWait, "some exchanges did not end when they were cancelled");
  ended_ = all;
}

void SimGateway::check_empty(Host& host, size_t number) {
  if (host.tasks())
    violations_.add(Invariant::kGivenBack, "worker {} has {} tasks left", number, host.tasks());
  if (host.loop().buffers().lent())
    violations_.add(Invariant::kGivenBack, "worker {} has {} buffers left", number,
                    host.loop().buffers().lent());
  if (host.loop().frames().lent())
    violations_.add(Invariant::kGivenBack, "worker {} has {} frames left", number,
                    host.loop().frames().lent());
  if (host.loop().timers().next_due() != kNever)
    violations_.add(Invariant::kGivenBack, "worker {} has timers left", number);
}

/// Plans of configurations that were replaced: no exchange is left that could need one.
void SimGateway::check_old_plans() {
  std::set<const gateway::RoutePlan*> active;
  plane_->snapshot()->for_each_plan([&](const auto& plan) { active.insert(plan.get()); });
  size_t held = 0;
  for (const auto& weak : plans_) {
    auto plan = weak.lock();
    if (plan && !active.contains(plan.get())) ++held;
  }
  if (held)
    violations_.add(Invariant::kGivenBack, "{} plans of old configurations are held by nobody's exchange",
                    held);
}

void SimGateway::destroy() {
  check_old_plans();
  size_t number = 0;
  for (Host* host : hosts_) {
    host->destroy();
    check_empty(*host, number++);
  }
  std::string text = services_.registry.scrape();
  for (std::string_view family : {"sluice_connections{", "sluice_upstream_connections{"}) {
    for (size_t at = 0; (at = text.find(family, at)) != std::string::npos; ++at) {
      std::string line = text.substr(at, text.find('\n', at) - at);
      if (!line.ends_with(" 0"))
        violations_.add(Invariant::kGivenBack, "metrics say \"{}\" after the end", line);
    }
  }
  plane_.reset();
  for (size_t i = 0; i < snapshots_.size(); ++i)
    if (!snapshots_[i].expired()) violations_.add(Invariant::kGivenBack, "snapshot {} is still held", i);
  size_t held = 0;
  for (const auto& plan : plans_) held += plan.expired() ? 0 : 1;
  if (held) violations_.add(Invariant::kGivenBack, "{} route plans are still held", held);
  if (scope_.active())
    violations_.add(Invariant::kGivenBack, "the main loop has {} tasks left", scope_.active());
}

}  // namespace sluice::sim
