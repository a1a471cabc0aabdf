#include "gateway.h"

#include <set>

#include "config/loader.h"
#include "document.h"
#include "io/sleep.h"

namespace sluice::sim {

namespace {

/// What is cancelled has this long to end, as in gateway/runtime.
constexpr Duration kCancelTime = std::chrono::seconds(5);

std::array<std::byte, 32> secret_of(uint64_t seed) {
  std::array<std::byte, 32> secret{};
  for (size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<std::byte>(seed >> (i % 8 * 8));
  return secret;
}

}  // namespace

SimGateway::SimGateway(io::SimWorld& world, io::SimLoop& main, io::Resolver& resolver,
                       const gateway::PolicyTypes& policies, uint64_t seed, size_t workers,
                       Violations& violations)
    : world_(world),
      main_(main),
      violations_(violations),
      policies_(policies),
      services_(secret_of(seed), seed),
      compiler_(services_, policies, handlers_),
      names_(main, resolver, compiler_.targets(), services_.epochs) {
  for (size_t i = 0; i < workers; ++i) {
    members_.push_back(std::make_unique<Member>());
    members_.back()->loop = &world.add_loop();
  }
}

SimGateway::~SimGateway() = default;

io::Address SimGateway::address() const { return *io::Address::parse_ip(kGatewayIp, kPort); }

std::unique_ptr<gateway::Compiled> SimGateway::compile(const std::string& document) {
  auto loaded =
      config::load_text(document, {.catalog = &policies_, .environment = config::Environment::empty()});
  std::unique_ptr<gateway::Compiled> compiled;
  if (loaded.ok()) compiled = compiler_.compile(loaded.document, snapshot_, loaded.diagnostics);
  loaded.diagnostics.sort();
  problems_.clear();
  for (const config::Problem& problem : loaded.diagnostics.problems())
    problems_ += fmt::format("{}:{} {}\n", problem.at.line, problem.at.column, problem.message);
  return compiled;
}

bool SimGateway::start(const std::string& document, bool access_log) {
  auto compiled = compile(document);
  if (!compiled) return false;
  services_.credentials.replace_all(std::move(compiled->credentials.consumers),
                                    compiled->credentials.entries);
  snapshot_ = compiled->change.next;
  snapshots_.push_back(snapshot_);
  snapshot_->for_each_plan([&](const auto& plan) { plans_.push_back(plan); });
  revisions_.push_back({0, 0, world_.now(), world_.now(), world_.now()});
  workers_running_ = members_.size();
  for (auto& member : members_) {
    io::CurrentLoop current(*member->loop);
    telemetry::WorkerMetrics& metrics = services_.registry.attach();
    std::unique_ptr<telemetry::AccessLog> log;
    if (access_log)
      log = std::make_unique<telemetry::AccessLog>(std::make_unique<MemoryChannel>(log_text_),
                                                   telemetry::LogFormat::kJson, metrics,
                                                   services_.metrics.log_dropped());
    member->worker =
        std::make_unique<gateway::Worker>(*member->loop, services_, std::move(log), metrics, snapshot_);
    auto listening = member->worker->listen();
    if (!listening) return false;
  }
  io::CurrentLoop current(main_);
  names_.refresh();
  scope_.spawn(keep_house());
  return true;
}

bool SimGateway::reload(const std::string& document, uint64_t revision, uint64_t generation) {
  auto compiled = compile(document);
  if (!compiled) return false;
  snapshot_ = compiled->change.next;
  snapshots_.push_back(snapshot_);
  snapshot_->for_each_plan([&](const auto& plan) { plans_.push_back(plan); });
  names_.refresh();
  revisions_.push_back({revision, generation, world_.now(), kNever, kNever});
  services_.credentials.replace_all(std::move(compiled->credentials.consumers),
                                    compiled->credentials.entries);
  size_t index = revisions_.size() - 1;
  auto left = std::make_shared<size_t>(members_.size());
  for (auto& member : members_) {
    member->loop->post([this, &member, index, left, change = compiled->change] {
      member->worker->publish(change);
      auto listening = member->worker->listen();
      if (!listening) violations_.add(Invariant::kUndisturbed, "reload: {}", listening.error());
      RevisionTimes& times = revisions_[index];
      if (times.first == kNever) times.first = world_.now();
      if (--*left == 0) times.all = world_.now();
    });
  }
  return true;
}

io::Task<> SimGateway::keep_house() {
  for (;;) {
    auto slept = co_await io::sleep_for(main_, std::chrono::seconds(1), house_token_);
    if (!slept) break;
    services_.credentials.collect();
    names_.collect();
  }
}

void SimGateway::shut_down(Duration timeout) {
  drain_began_ = world_.now();
  drains_pending_ = members_.size();
  for (auto& member : members_) {
    member->loop->post([this, &member] {
      member->worker->drain();
      if (--drains_pending_ == 0) drained_at_ = world_.now();
      member->scope.spawn(end(*member));
    });
  }
  scope_.spawn(drain_in_time(timeout));
}

io::Task<> SimGateway::end(Member& member) {
  co_await member.worker->join();
  main_.post([this] {
    if (--workers_running_ > 0) return;
    drain_token_.cancel(io::CancelReason::kDrain);
    house_token_.cancel(io::CancelReason::kDrain);
    names_.stop();
  });
}

io::Task<> SimGateway::drain_in_time(Duration timeout) {
  auto late = co_await io::sleep_for(main_, timeout, drain_token_);
  if (!late) co_return;
  for (auto& member : members_)
    member->loop->post([&member] { member->worker->cancel_all(io::CancelReason::kDrain); });
  late = co_await io::sleep_for(main_, kCancelTime, drain_token_);
  if (late)
    violations_.add(Invariant::kNoEndlessWait, "{} workers have not ended {} s after they were cancelled",
                    workers_running_, seconds(kCancelTime));
}

void SimGateway::check_empty(Member& member, size_t number) {
  if (member.scope.active())
    violations_.add(Invariant::kGivenBack, "worker {} has {} tasks left", number, member.scope.active());
  if (member.loop->buffers().lent())
    violations_.add(Invariant::kGivenBack, "worker {} has {} buffers left", number,
                    member.loop->buffers().lent());
  if (member.loop->frames().lent())
    violations_.add(Invariant::kGivenBack, "worker {} has {} frames left", number,
                    member.loop->frames().lent());
  if (member.loop->timers().next_due() != kNever)
    violations_.add(Invariant::kGivenBack, "worker {} has timers left", number);
}

/// Plans of configurations that were replaced: no exchange is left that could need one.
void SimGateway::check_old_plans() {
  std::set<const gateway::RoutePlan*> active;
  snapshot_->for_each_plan([&](const auto& plan) { active.insert(plan.get()); });
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
  for (auto& member : members_) {
    {
      io::CurrentLoop current(*member->loop);
      member->worker.reset();
    }
    check_empty(*member, number++);
  }
  std::string text = services_.registry.scrape();
  for (std::string_view family : {"sluice_connections{", "sluice_upstream_connections{"}) {
    for (size_t at = 0; (at = text.find(family, at)) != std::string::npos; ++at) {
      std::string line = text.substr(at, text.find('\n', at) - at);
      if (!line.ends_with(" 0"))
        violations_.add(Invariant::kGivenBack, "metrics say \"{}\" after the end", line);
    }
  }
  snapshot_.reset();
  for (size_t i = 0; i < snapshots_.size(); ++i)
    if (!snapshots_[i].expired()) violations_.add(Invariant::kGivenBack, "snapshot {} is still held", i);
  size_t held = 0;
  for (const auto& plan : plans_) held += plan.expired() ? 0 : 1;
  if (held) violations_.add(Invariant::kGivenBack, "{} route plans are still held", held);
  if (scope_.active())
    violations_.add(Invariant::kGivenBack, "the main loop has {} tasks left", scope_.active());
}

}  // namespace sluice::sim
