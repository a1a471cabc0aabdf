#include "traffic_world.h"

#include "faults.h"
#include "io/sim/sim_resolver.h"
#include "throttle_model.h"
#include "traffic_check.h"
#include "traffic_client.h"
#include "traffic_document.h"
#include "traffic_upstream.h"

namespace sluice::sim {

namespace {

constexpr Duration kLongestRun = std::chrono::hours(2);
constexpr Duration kSettleTime = std::chrono::seconds(20);
/// After which nothing is left of faults that are over: idle connections, bans, slow starts.
constexpr Duration kRecovery = std::chrono::seconds(20);

class TrafficWorld {
 public:
  explicit TrafficWorld(const RunOptions& options);
  void go(RunResult& result);
  const Violations& violations() const { return violations_; }

 private:
  void draw();
  void draw_call(TrafficCall& call, std::string_view api);
  TrafficCall& add_call();
  void add_client(std::vector<TrafficCall*> calls, Duration start);
  void spawn(io::SimLoop& loop, io::Task<> task) {
    io::CurrentLoop current(loop);
    scope_.spawn(std::move(task));
  }
  void approach_period();
  io::Task<> operate();
  io::Task<> reload();
  void draw_troubles();
  io::Task<> be_in(Trouble trouble);
  void check_healthy();
  void make_last_calls();
  void check_rest();
  bool all_done() const {
    return std::ranges::all_of(clients_, [](const auto& client) { return client->done(); });
  }
  void on_pass(gateway::Exchange& exchange, const std::string& limit);
  void on_end(const gateway::Exchange& exchange, const std::string& limit);
  TrafficCall* call_of(const gateway::Exchange& exchange);
  void take_down(RunResult& result);
  void report(RunResult& result);

  RunOptions options_;
  Random random_;
  const bool is_wild_;  // else the models are exact
  const bool faults_;
  const bool upstream_deeds_;
  const bool client_deeds_;
  const Duration latency_;
  TrafficDocument document_;
  Violations violations_;
  TrafficLedger ledger_;
  LimitsChecker limits_{document_, ledger_, violations_};
  std::vector<std::unique_ptr<ThrottleModel>> throttles_;
  SimPolicies policies_;
  PoolCount gated_count_{0};
  PoolCount pool_count_;
  io::SimWorld world_;
  io::SimLoop& main_ = world_.add_loop();
  io::SimLoop& upstream_loop_ = world_.add_loop(io::SimRole::kPeer);
  io::SimLoop& client_loop_ = world_.add_loop(io::SimRole::kPeer);
  io::SimResolver resolver_{main_};
  std::unique_ptr<SimGateway> gateway_;
  std::vector<std::unique_ptr<TrafficUpstream>> upstreams_;
  std::vector<Trouble> troubles_;
  std::vector<std::unique_ptr<TrafficClientPlan>> plans_;
  std::vector<std::unique_ptr<TrafficClient>> clients_;
  size_t workers_;
  size_t reloads_;
  uint64_t revision_ = 0;
  Instant probed_until_{};
  io::TaskScope scope_;
};

TrafficWorld::TrafficWorld(const RunOptions& options)
    : options_(options),
      random_(options.seed * 0xa0761d6478bd642fULL + 3),
      is_wild_(random_.below(2) == 0),
      faults_(is_wild_ && random_.below(2) == 0),
      upstream_deeds_(is_wild_ && random_.below(2) == 0),
      client_deeds_(is_wild_ && random_.below(2) == 0),
      latency_(random_.below(3) == 0 ? std::chrono::milliseconds(1 + random_.below(30)) : Duration::zero()),
      document_(TrafficDocument::draw(random_)),
      policies_(
          [this](gateway::Exchange& exchange, const std::string& limit) { on_pass(exchange, limit); },
          [this](const gateway::Exchange& exchange, const std::string& limit) { on_end(exchange, limit); }),
      pool_count_(document_.pool.max_connections.value_or(0)),
      world_(world_options(mix64(options.seed), faults_, latency_, options.trace)),
      workers_(1 + random_.below(4)),
      reloads_(random_.below(3)) {
  for (const ThrottlePlace& place : document_.throttles)
    throttles_.push_back(std::make_unique<ThrottleModel>(place, violations_));
  draw();
}

TrafficCall& TrafficWorld::add_call() {
  TrafficCall& call = ledger_.calls.emplace_back();
  call.number = static_cast<uint32_t>(ledger_.calls.size() - 1);
  return call;
}

void TrafficWorld::draw_call(TrafficCall& call, std::string_view api) {
  auto chance = [&](uint64_t one_in) { return random_.below(one_in) == 0; };
  call.api = api;
  call.seed = random_.next();
  call.caller = fmt::format("caller-{}", random_.below(3));
  call.pause = std::chrono::milliseconds(chance(2) ? 0 : random_.below(400));
  call.first = api == "gated" && chance(4);
  call.path = fmt::format("/{}{}", api, call.first ? "/vip" : "");
  static constexpr const char* kMethods[] = {"GET", "GET", "PUT", "POST"};
  call.method = kMethods[random_.below(std::size(kMethods))];
  if (call.method != "GET") call.body = identity_bytes(2 * uint64_t{call.number}, 1 + random_.below(3000));
  if (client_deeds_ && chance(5)) call.leaves_after = std::chrono::milliseconds(1 + random_.below(600));
}

void TrafficWorld::add_client(std::vector<TrafficCall*> calls, Duration start) {
  plans_.push_back(std::make_unique<TrafficClientPlan>());
  TrafficClientPlan& plan = *plans_.back();
  plan.calls = std::move(calls);
  plan.to = gateway_->address();
  plan.start = start;
  clients_.push_back(std::make_unique<TrafficClient>(client_loop_, plan, violations_));
}

void TrafficWorld::draw() {
  gateway_ =
      std::make_unique<SimGateway>(world_, main_, resolver_, policies_, options_.seed, workers_, violations_);
  client_loop_.set_source(*io::Address::parse_ip("192.0.2.7"));
  auto gated = *io::Address::parse_ip(TrafficDocument::kGatedIp, TrafficDocument::kGatedPort);
  upstreams_.push_back(std::make_unique<TrafficUpstream>(upstream_loop_, "gated", 0, gated, gated_count_,
                                                         upstream_deeds_, ledger_, violations_));
  for (size_t i = 0; i < document_.pool.targets.size(); ++i)
    upstreams_.push_back(std::make_unique<TrafficUpstream>(
        upstream_loop_, TrafficPool::kApi, i, *io::Address::parse_ip(TrafficPool::ip(i), TrafficPool::kPort),
        pool_count_, upstream_deeds_, ledger_, violations_));
  std::vector<std::string> apis = {std::string(TrafficPool::kApi)};
  for (const LimitPlace& place : document_.limits) apis.push_back(place.name);
  for (const ThrottlePlace& place : document_.throttles) apis.push_back(place.name);
  // Many worlds are about one thing alone, and crowded.
  uint64_t theme = random_.below(5);
  if (theme < 2) apis = {apis[random_.below(apis.size())]};
  if (theme == 2) apis.resize(1);
  size_t most = apis.size() == 1 ? 20 : 10;
  size_t clients = 2 + random_.below(most);
  for (size_t i = 0; i < clients; ++i) {
    std::vector<TrafficCall*> calls;
    size_t count = 1 + random_.below(most);
    for (size_t k = 0; k < count; ++k) {
      calls.push_back(&add_call());
      draw_call(*calls.back(), apis[random_.below(apis.size())]);
    }
    add_client(std::move(calls), std::chrono::milliseconds(random_.below(500)));
  }
}

TrafficCall* TrafficWorld::call_of(const gateway::Exchange& exchange) {
  const http::Field* number = exchange.request.fields.find("x-sim-exchange");
  TrafficCall* call = number ? ledger_.find(number->value) : nullptr;
  if (!call) violations_.add(Invariant::kIdentity, "an exchange of nobody has come to a limit");
  return call;
}

void TrafficWorld::on_pass(gateway::Exchange& exchange, const std::string& limit) {
  TrafficCall* call = call_of(exchange);
  if (!call) return;
  bool passed = limit.ends_with("-passed");
  for (auto& throttle : throttles_) {
    if (call->api != throttle->place().name) continue;
    if (!passed) return throttle->come(*call, exchange.now());
    // Who has left meanwhile goes on to its end without a place.
    if (!exchange.server.token.cancelled()) throttle->pass(*call, exchange.now());
    return;
  }
  if (passed)
    limits_.pass(*call, exchange.now(), exchange.loop().wall_now());
  else
    limits_.come(*call, exchange.now(), exchange.loop().wall_now());
}

void TrafficWorld::on_end(const gateway::Exchange& exchange, const std::string& limit) {
  TrafficCall* call = call_of(exchange);
  for (auto& throttle : throttles_) {
    if (!call || call->api != throttle->place().name) continue;
    if (!limit.ends_with("-passed"))
      throttle->end(*call, exchange.now());
    else if (call->passed != kNever)
      throttle->leave(exchange.now());
  }
}

/// Some worlds begin shortly before a calendar period ends.
void TrafficWorld::approach_period() {
  if (random_.below(3) != 0) return;
  const LimitRule& quota = document_.limits[2].limits.front();
  Duration left = quota.period_end(world_.wall_now()) - world_.wall_now();
  Duration before = std::chrono::milliseconds(200 + random_.below(2500));
  // Faults strike every few seconds: a month of them takes long.
  if (left > before && (!faults_ || left < std::chrono::hours(2))) world_.run_for(left - before);
}

io::Task<> TrafficWorld::reload() {
  io::CancelToken never;
  co_await pause(main_, std::chrono::milliseconds(random_.below(2000)), never);
  ++revision_;
  if (!gateway_->reload(document_.text(revision_), revision_, 0))
    violations_.add(Invariant::kUndisturbed, "document {} was refused: {}", revision_, gateway_->problems());
}

/// Half of the worlds have some.
void TrafficWorld::draw_troubles() {
  size_t count = random_.below(2) == 0 ? 0 : 1 + random_.below(3);
  for (size_t i = 0; i < count; ++i) {
    troubles_.push_back(Trouble::draw(random_, document_.pool.targets.size(), world_.now()));
    spawn(upstream_loop_, be_in(troubles_.back()));
  }
}

io::Task<> TrafficWorld::be_in(Trouble trouble) {
  io::CancelToken never;
  auto target = std::ranges::find_if(upstreams_, [&](const auto& upstream) {
    return upstream->api() == TrafficPool::kApi && upstream->number() == trouble.target;
  });
  co_await pause(upstream_loop_, trouble.from - upstream_loop_.now(), never);
  (*target)->begin(trouble.kind);
  // The clock may have jumped over it: a moment it takes.
  Duration lasts = std::max<Duration>(trouble.until - upstream_loop_.now(), std::chrono::milliseconds(5));
  co_await pause(upstream_loop_, lasts, never);
  (*target)->end(trouble.kind);
}

/// All come back when their troubles are over.
void TrafficWorld::check_healthy() {
  std::string metrics = gateway_->services().registry.scrape();
  for (size_t i = 0; i < document_.pool.targets.size(); ++i) {
    std::string line = fmt::format("sluice_target_healthy{{upstream=\"{}\",target=\"{}:{}\"}} ",
                                   TrafficPool::kApi, TrafficPool::ip(i), TrafficPool::kPort);
    size_t at = metrics.find(line);
    if (at == std::string::npos || metrics[at + line.size()] != '1')
      violations_.add(Invariant::kUndisturbed, "target {} does not take requests again after its troubles",
                      i);
  }
}

/// When nothing is left of what went wrong: as many calls at once as may be, of which none is refused.
void TrafficWorld::make_last_calls() {
  auto make = [&](std::string_view api, size_t count) {
    for (size_t i = 0; i < count; ++i) {
      TrafficCall& call = add_call();
      draw_call(call, api);
      call.behaves = true;
      call.pause = call.leaves_after = Duration::zero();
      add_client({&call}, Duration::zero());
      spawn(client_loop_, clients_.back()->run());
    }
  };
  for (const ThrottlePlace& place : document_.throttles) make(place.name, place.rate ? 0 : place.concurrency);
  make(TrafficPool::kApi, document_.pool.most_calls());
}

void TrafficWorld::check_rest() {
  for (const ThrottlePlace& place : document_.throttles) {
    auto gate = gateway_->services().gates.get(fmt::format("api/{0}/throttle/{0}", place.name));
    bool known = place.concurrency == 0 || gate.use_count() > 1;
    if (!known || gate->inside() || gate->waiting())
      violations_.add(Invariant::kGivenBack, "{} are inside \"{}\" and {} wait, of nobody's", gate->inside(),
                      place.name, gate->waiting());
  }
  auto load = gateway_->load_of(std::string(TrafficPool::kApi));
  const store::Gate& connections = load->connections()->gate();
  if (load->requests() || load->retries() || connections.inside() || connections.waiting())
    violations_.add(
        Invariant::kGivenBack,
        "the upstream counts {} requests, {} retries, {} connections and {} who wait, of nobody's",
        load->requests(), load->retries(), connections.inside(), connections.waiting());
}

io::Task<> TrafficWorld::operate() {
  io::CancelToken never;
  for (size_t i = 0; i < reloads_; ++i) co_await reload();
  while (!all_done()) co_await pause(main_, std::chrono::milliseconds(50), never);
  for (const Trouble& trouble : troubles_)
    if (trouble.until > main_.now()) co_await pause(main_, trouble.until - main_.now(), never);
  world_.end_faults();
  co_await pause(main_, kRecovery, never);
  check_rest();
  check_healthy();
  make_last_calls();
  while (!all_done()) co_await pause(main_, std::chrono::milliseconds(50), never);
  probed_until_ = main_.now();
  gateway_->shut_down(std::chrono::seconds(60));
}

void TrafficWorld::take_down(RunResult& result) {
  std::ignore = result;
  gateway_->destroy();
  world_.run_for(kSettleTime);
  for (auto& upstream : upstreams_) {
    if (upstream->open() > 0 && !faults_)
      violations_.add(Invariant::kGivenBack, "{} connections to {} {} are open after the end",
                      upstream->open(), upstream->api(), upstream->number());
    upstream->stop();
  }
  world_.run_until([&] {
    return scope_.active() == 0 &&
           std::ranges::all_of(upstreams_, [](const auto& upstream) { return upstream->active() == 0; });
  });
}

void TrafficWorld::go(RunResult& result) {
  approach_period();
  for (auto& upstream : upstreams_) {
    io::CurrentLoop current(upstream_loop_);
    if (!upstream->listen()) violations_.add(Invariant::kUndisturbed, "an upstream cannot listen");
  }
  if (!gateway_->start(document_.text(0), true)) {
    violations_.add(Invariant::kUndisturbed, "the gateway does not start: {}", gateway_->problems());
  } else {
    world_.run_for(std::chrono::milliseconds(100));
    for (auto& client : clients_) spawn(client->loop(), client->run());
    draw_troubles();
    spawn(main_, operate());
    bool done = world_.run_until([&] { return gateway_->ended() && all_done(); }, kLongestRun);
    if (!done)
      violations_.add(Invariant::kNoEndlessWait, "{} waits for ever",
                      all_done() ? "the gateway" : "a client");
    if (violations_.found().empty()) take_down(result);
    limits_.check(!faults_);
    for (auto& throttle : throttles_) throttle->check(ledger_, !faults_);
    bool troubled = !troubles_.empty();
    check_traffic({document_, ledger_, !faults_, upstream_deeds_, troubled}, violations_);
    bool behaved = !faults_ && !upstream_deeds_ && !client_deeds_;
    bool steady = behaved && !troubled;
    check_pool(
        {document_.pool, ledger_, pool_count_, !faults_, behaved, steady, troubled, latency_, revision_},
        violations_);
    HealthView health{document_.pool.health,
                      ledger_,
                      troubles_,
                      {},
                      probed_until_,
                      !faults_,
                      behaved,
                      document_.pool.max_connections.has_value(),
                      latency_};
    for (const auto& upstream : upstreams_)
      if (upstream->api() == TrafficPool::kApi) health.probes.push_back(upstream->probes());
    check_health(health, violations_);
    if (steady && gated_count_.most_requests() > document_.throttles.front().concurrency)
      violations_.add(Invariant::kRateLimit, "{} requests at once came through a throttle of {}",
                      gated_count_.most_requests(), document_.throttles.front().concurrency);
  }
  report(result);
}

void TrafficWorld::report(RunResult& result) {
  for (const TrafficCall& call : ledger_.calls) {
    ++result.calls;
    result.answered += call.outcome == TrafficCall::Outcome::kAnswered;
    result.closed += call.outcome == TrafficCall::Outcome::kBroken;
    result.refused += call.outcome == TrafficCall::Outcome::kUnsent;
    for (uint64_t value : {uint64_t{call.number}, static_cast<uint64_t>(call.outcome),
                           static_cast<uint64_t>(call.status), uint64_t{call.answer.size()}})
      result.hash = mix64(result.hash ^ value) * 0x9e3779b97f4a7c15ULL;
  }
  result.hash = mix64(result.hash ^ world_.trace().hash());
  result.events += world_.trace().count();
  for (size_t i = 0; i < io::kFaultKinds; ++i)
    result.faults[i] += world_.drawn(static_cast<io::FaultKind>(i));
  if (options_.trace)
    result.trace +=
        document_.text(0) + world_.trace().text() + describe_traffic(ledger_) + gateway_->access_log();
  result.reloads += revision_;
  result.scenario += fmt::format(
      "; traffic: {} workers, {} clients, {} calls; faults {}, client deeds {}, upstream deeds {}, latency "
      "{} s",
      workers_, clients_.size(), ledger_.calls.size(), faults_, client_deeds_, upstream_deeds_,
      seconds(latency_));
  for (const Violation& violation : violations_.found()) result.violations.push_back(violation);
}

}  // namespace

void run_traffic_world(const RunOptions& options, RunResult& result) {
  auto world = std::make_unique<TrafficWorld>(options);
  world->go(result);
  // A world in which somebody still waits cannot be taken apart.
  if (!world->violations().found().empty()) std::ignore = world.release();
}

}  // namespace sluice::sim
