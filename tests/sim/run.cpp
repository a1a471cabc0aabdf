#include "run.h"

#include "faults.h"
#include "guard.h"
#include "http2_world.h"
#include "inspect.h"
#include "io/sim/sim_resolver.h"
#include "tls.h"
#include "traffic_world.h"

namespace sluice::sim {

namespace {

/// Of simulated time; the watchdogs of the clients fire long before.
constexpr Duration kLongestRun = std::chrono::hours(2);
/// What is on its way when the gateway has gone arrives within this.
constexpr Duration kNameTtl = std::chrono::seconds(1);
constexpr Duration kSettleTime = std::chrono::seconds(20);
/// The last bytes of a TLS connection that is gone may take so long; a process that ends would not wait for
/// them.
constexpr Duration kLastBytesTime = std::chrono::seconds(2) + std::chrono::milliseconds(1);

class Run {
 public:
  explicit Run(const RunOptions& options);
  RunResult go();

 private:
  void draw();
  void draw_clients();
  bool traffic_over() const;
  io::Task<> operate();
  io::Task<> change_name();
  enum class Change : uint8_t { kRevision, kGeneration, kInvalid };
  io::Task<> change(Duration at, Change what);
  void on_pass(gateway::Exchange& exchange, const std::string& limit);
  void spawn(io::SimLoop& loop, io::Task<> task) {
    io::CurrentLoop current(loop);
    scope_.spawn(std::move(task));
  }
  void finish();
  void check_world_empty();
  void check_idle();
  void check_turns();
  void check_split();
  void check_refusals();
  RunResult result();

  RunOptions options_;
  Random random_;
  Random tls_random_;
  Profile profile_;
  Document document_;
  Violations violations_;
  Ledger ledger_;
  RateModel rates_;
  SimPolicies policies_;
  io::SimWorld world_;
  io::SimLoop& main_ = world_.add_loop();
  io::SimLoop& upstream_loop_ = world_.add_loop(io::SimRole::kPeer);
  std::vector<io::SimLoop*> client_loops_;
  io::SimResolver resolver_;
  std::unique_ptr<SimGateway> gateway_;
  std::vector<std::unique_ptr<UpstreamServer>> upstreams_;
  std::vector<std::unique_ptr<ClientPlan>> plans_;
  std::vector<std::unique_ptr<Client>> clients_;
  std::vector<std::pair<Duration, Change>> changes_;
  Duration drain_after_ = Duration::max();
  Duration quiet_{};  // after the traffic, so that what idles is let go
  std::unique_ptr<Inspector> inspector_;
  bool floods_ = false;
  bool name_changes_ = false;
  bool name_keeps_one_ = false;
  io::TaskScope scope_;
  size_t workers_ = 1;
  uint64_t revision_ = 0;
  uint64_t generation_ = 0;
  bool access_log_ = true;
  std::string metrics_;
};

Profile draw_profile(Random& random) {
  Profile profile;
  profile.faults = random.below(2) == 0;
  profile.client_deeds = random.below(2) == 0;
  profile.upstream_deeds = random.below(2) == 0;
  profile.slow_peers = random.below(2) == 0;
  profile.reloads = random.below(2) == 0;
  profile.early_drain = random.below(4) == 0;
  if (random.below(3) == 0) profile.latency = std::chrono::milliseconds(1 + random.below(30));
  return profile;
}

Run::Run(const RunOptions& options)
    : options_(options),
      random_(options.seed * 0x9e3779b97f4a7c15ULL + 1),
      tls_random_(options.seed * 0x9e3779b97f4a7c15ULL + 2),
      profile_(draw_profile(random_)),
      document_(Document::draw(random_)),
      policies_([this](gateway::Exchange& exchange, const std::string& limit) { on_pass(exchange, limit); }),
      world_(world_options(options.seed, profile_.faults, profile_.latency, options.trace)),
      resolver_(main_) {
  // Drawn apart, so that the other seeds mean what they meant.
  if (tls_random_.below(3) == 0) document_.take_tls();
  draw();
}

void Run::draw() {
  workers_ = 1 + random_.below(4);
  access_log_ = random_.below(4) != 0;
  for (std::string_view ip : kClientIps) {
    client_loops_.push_back(&world_.add_loop(io::SimRole::kPeer));
    client_loops_.back()->set_source(*io::Address::parse_ip(ip));
  }
  gateway_ =
      std::make_unique<SimGateway>(world_, main_, resolver_, policies_, options_.seed, workers_, violations_);
  world_.set_name("backend.sim", {*io::Address::parse_ip("10.5.0.1"), *io::Address::parse_ip("10.5.0.2")},
                  kNameTtl);
  world_.swallow(*io::Address::parse_ip("10.4.0.2", 9300));
  for (const Backend& backend : document_.backends)
    upstreams_.push_back(
        std::make_unique<UpstreamServer>(upstream_loop_, backend, profile_, ledger_, violations_));
  draw_clients();
  if (profile_.reloads) {
    size_t count = 1 + random_.below(4);
    for (size_t i = 0; i < count; ++i)
      changes_.emplace_back(std::chrono::milliseconds(random_.below(4000)),
                            std::array{Change::kRevision, Change::kRevision, Change::kGeneration,
                                       Change::kInvalid}[random_.below(4)]);
    std::ranges::sort(changes_);
  }
  inspector_ = std::make_unique<Inspector>(world_, *gateway_, violations_);
  floods_ = random_.below(6) == 0 && profile_.latency == Duration::zero();  // connecting takes no time
  name_changes_ = random_.below(4) == 0;
  name_keeps_one_ = random_.below(2) == 0;
  if (random_.below(3) == 0) quiet_ = std::chrono::seconds(40);
  if (profile_.early_drain) drain_after_ = std::chrono::milliseconds(random_.below(5000));
}

void Run::draw_clients() {
  CallDrawer drawer(random_, document_, profile_);
  size_t count = 2 + random_.below(7);
  for (size_t i = 0; i < count; ++i) {
    plans_.push_back(std::make_unique<ClientPlan>());
    ClientPlan& plan = *plans_.back();
    size_t from = random_.below(std::size(kClientIps));
    bool side = random_.below(6) == 0;
    plan.tls = document_.tls && !side && tls_random_.below(3) != 0;
    plan.to = *io::Address::parse_ip(kGatewayIp, side ? kSidePort : plan.tls ? kSecurePort : kPort);
    drawer.aside(side);
    drawer.over_tls(plan.tls);
    std::optional<uint64_t> theme;
    if (random_.below(5) == 0) theme = random_.below(CallDrawer::kKinds);
    drawer.theme(theme);
    plan.start = std::chrono::milliseconds(random_.below(1500));
    plan.pipelined = random_.below(3) == 0;
    plan.half_closes = random_.below(6) == 0;
    plan.stays = !plan.half_closes && random_.below(3) == 0;
    if (profile_.slow_peers && random_.below(3) == 0) {
      plan.read_after = 1 + random_.below(30'000);
      plan.read_pause = std::chrono::milliseconds(random_.below(300));
    }
    size_t calls = 1 + random_.below(12);
    for (size_t k = 0; k < calls; ++k) {
      Call& call = ledger_.calls.emplace_back();
      call.number = static_cast<uint32_t>(ledger_.calls.size() - 1);
      drawer.draw(call, from, k + 1 == calls);
      call.reads_slowly = plan.read_after > 0;
      plan.calls.push_back(&call);
    }
    clients_.push_back(
        std::make_unique<Client>(*client_loops_[from], plan, document_.longest_wait(), violations_));
  }
}

void Run::on_pass(gateway::Exchange& exchange, const std::string& limit) {
  const http::Field* number = exchange.request.fields.find("x-sim-exchange");
  Call* call = number ? ledger_.find(number->value) : nullptr;
  if (!call || call->limit != limit || call->probes++ > 0) {
    violations_.add(Invariant::kRateLimit, "exchange {} stands before limit \"{}\" for the {}. time",
                    call ? std::to_string(call->number) : "?", limit, call ? call->probes : 0);
    return;
  }
  const Rate& rate = limit == "consumer" ? document_.consumer_rate
                     : limit == "tenant" ? document_.tenant_rate
                                         : document_.address_rate;
  // Each place of a policy has a counter of its own.
  std::string place = limit == "consumer" ? exchange.plan->api : limit;
  call->decision = rates_.take(place, rate, call->limit_key, limit == "tenant" ? 2 : 1, exchange.now());
}

bool Run::traffic_over() const {
  return std::ranges::all_of(clients_, [](const auto& client) { return client->done() || client->idle(); });
}

io::Task<> Run::change(Duration at, Change what) {
  io::CancelToken never;
  co_await pause(main_, at, never);
  if (gateway_->drain_began() != kNever) co_return;
  if (what == Change::kInvalid) {
    bool taken = gateway_->reload(Document::invalid(), revision_, generation_);
    if (taken) violations_.add(Invariant::kUndisturbed, "an invalid document was taken");
    co_return;
  }
  ++(what == Change::kRevision ? revision_ : generation_);
  bool taken = gateway_->reload(document_.text(revision_, generation_), revision_, generation_);
  if (!taken)
    violations_.add(Invariant::kUndisturbed, "document {}.{} was refused: {}", revision_, generation_,
                    gateway_->problems());
}

/// An address goes, or the name with all of them: then the old ones stay.
io::Task<> Run::change_name() {
  io::CancelToken never;
  co_await pause(main_, std::chrono::milliseconds(random_.below(1000)), never);
  std::vector<io::Address> left;
  if (name_keeps_one_) {
    left.push_back(*io::Address::parse_ip("10.5.0.2"));
    // It is asked for again after its TTL, and what was begun before may still come.
    for (auto& upstream : upstreams_)
      if (upstream->backend().ip == "10.5.0.1")
        upstream->retire(main_.now() + kNameTtl + std::chrono::seconds(1) + 4 * profile_.latency);
  }
  world_.set_name("backend.sim", left, kNameTtl);
}

io::Task<> Run::operate() {
  io::CancelToken never;
  Instant began = main_.now();
  for (auto [at, what] : changes_) spawn(main_, change(at, what));
  while (!traffic_over() && main_.now() - began < drain_after_)
    co_await pause(main_, std::chrono::milliseconds(50), never);
  if (drain_after_ == Duration::max()) {
    // Who left may not have been missed yet.
    bool calm = !profile_.faults && !profile_.client_deeds && traffic_over();
    if (calm) spawn(inspector_->loop(), inspector_->inspect(clients_, upstreams_, profile_.latency, floods_));
    while (calm && !inspector_->done()) co_await pause(main_, std::chrono::milliseconds(50), never);
    co_await pause(main_, quiet_, never);
    if (calm && quiet_ > Duration::zero()) inspector_->inspect_rest(access_log_);
  }
  gateway_->shut_down(document_.drain);
  if (!profile_.faults) spawn(inspector_->loop(), inspector_->inspect_drain());
}

void Run::finish() {
  bool done = world_.run_until(
      [this] {
        return gateway_->ended() && (profile_.faults || inspector_->drain_seen()) &&
               std::ranges::all_of(clients_, [](const auto& client) { return client->done(); });
      },
      kLongestRun);
  if (!done) {
    for (const auto& client : clients_)
      if (!client->done())
        violations_.add(Invariant::kNoEndlessWait, "a client waits for ever: {}", client->describe());
    if (!gateway_->ended()) violations_.add(Invariant::kNoEndlessWait, "the gateway does not end");
  }
}

void Run::check_world_empty() {
  if (document_.tls) world_.run_for(kLastBytesTime);
  metrics_ = gateway_->services().registry.scrape();
  gateway_->destroy();
  world_.run_for(kSettleTime);
  for (auto& upstream : upstreams_) {
    if (upstream->open() > 0 && !profile_.faults)
      violations_.add(Invariant::kGivenBack, "{} connections to {} are open after the gateway has ended",
                      upstream->open(), upstream->backend().ip);
    upstream->stop();
    upstream->cancel_all();
  }
  // What a closed stream over TLS still has to say is lent until it is out, or out of time.
  auto clean = [](io::SimLoop* loop) { return loop->buffers().lent() == 0; };
  world_.run_until([this, clean] {
    return scope_.active() == 0 && clean(&upstream_loop_) && std::ranges::all_of(client_loops_, clean) &&
           std::ranges::all_of(upstreams_, [](const auto& upstream) { return upstream->active() == 0; });
  });
}

/// Who is refused must have met a fault: the gateway listens until its drain.
void Run::check_refusals() {
  constexpr Duration kSpan = std::chrono::milliseconds(500);
  const io::FaultLog& faults = world_.fault_log();
  for (const auto& client : clients_)
    for (Instant at : client->refusals()) {
      bool excused =
          at + kSpan > gateway_->drain_began() || faults.world_harmed(at - kSpan, at) ||
          faults.connection_harmed(gateway_->address(), at - kSpan, at) ||
          faults.connection_harmed(*io::Address::parse_ip(kGatewayIp, kSidePort), at - kSpan, at) ||
          faults.connection_harmed(*io::Address::parse_ip(kGatewayIp, kSecurePort), at - kSpan, at);
      if (!excused)
        violations_.add(Invariant::kUndisturbed, "a client was refused a connection at {:.3f} s",
                        seconds(at.time_since_epoch()) - 1000);
    }
}

/// Connections that nobody used were kept as long as they must, and no longer.
void Run::check_idle() {
  if (profile_.faults) return;
  constexpr Duration kSlack = std::chrono::milliseconds(500);
  Instant drain = gateway_->drain_began();
  for (const auto& client : clients_) {
    Instant let_go = client->let_go_at();
    if (let_go == Instant{} || !client->finished_well()) continue;
    Duration idled = let_go - client->idle_since();
    bool early = idled + kSlack < document_.keep_alive && let_go < drain;
    Duration grace = let_go > drain ? http::kDrainGrace : Duration::zero();
    bool into_drain = let_go > std::max(drain, client->idle_since()) + grace + kSlack;
    bool late = idled > document_.keep_alive + grace + kSlack || into_drain;
    if (early || late)
      violations_.add(Invariant::kNoEndlessWait, "a client's idle connection was kept for {} s{}",
                      seconds(idled), into_drain ? ", into the drain" : "");
  }
  // An upstream has written its answer before a slow client has taken it.
  Duration taken = profile_.slow_peers ? std::chrono::seconds(10) : kSlack;
  for (const auto& upstream : upstreams_)
    if (upstream->longest_idle() > document_.idle + taken)
      violations_.add(Invariant::kNoEndlessWait, "an idle connection to {} was kept for {} s",
                      upstream->backend().ip, seconds(upstream->longest_idle()));
}

/// So do the upstreams of a route with a split.
void Run::check_split() {
  size_t all = 0;
  size_t second = 0;
  for (const Call& call : ledger_.calls) {
    if (call.kind != "divided" || call.servings.empty()) continue;
    ++all;
    second += call.servings.back()->upstream == "second";
  }
  // One that reached no upstream took a turn too.
  if (second > (all + 3) / 4 + 1 || second + 1 < all / 4)
    violations_.add(Invariant::kUndisturbed, "{} of {} calls went to a quarter of a split", second, all);
}

/// Targets take turns by their weights, whichever worker asks.
void Run::check_turns() {
  bool plain = !profile_.faults && !profile_.upstream_deeds && !profile_.client_deeds && !profile_.reloads;
  if (!profile_.faults && !profile_.client_deeds && !profile_.reloads) check_split();
  size_t all = 0;
  uint32_t weights = 0;
  for (const auto& upstream : upstreams_)
    if (upstream->backend().upstream == "main") {
      all += upstream->requests();
      weights += upstream->backend().weight;
    }
  for (const auto& upstream : upstreams_) {
    const Backend& backend = upstream->backend();
    if (!plain || !ledger_.losses.empty() || backend.upstream != "main") continue;
    size_t share = all * backend.weight / weights;
    // A try on a connection that was just closed takes a turn and is not seen; so does a client that leaves.
    if (upstream->requests() + 2 < share || upstream->requests() > share + 3)
      violations_.add(Invariant::kUndisturbed, "{} got {} of {} requests, with a weight of {} in {}",
                      backend.ip, upstream->requests(), all, backend.weight, weights);
  }
}

RunResult Run::go() {
  for (auto& upstream : upstreams_) {
    io::CurrentLoop current(upstream_loop_);
    upstream->know(gateway_->revisions());
    if (!upstream->listen()) violations_.add(Invariant::kUndisturbed, "an upstream cannot listen");
  }
  if (!gateway_->start(document_.text(0, 0), access_log_)) {
    violations_.add(Invariant::kUndisturbed, "the gateway does not start: {}", gateway_->problems());
    return result();
  }
  world_.run_for(std::chrono::milliseconds(200));  // until the names are known
  for (size_t i = 0; i < clients_.size(); ++i) spawn(clients_[i]->loop(), clients_[i]->run());
  inspector_->begin();
  spawn(main_, operate());
  if (name_changes_ && !profile_.faults) spawn(main_, change_name());
  finish();
  bool over = violations_.found().empty();
  if (over) check_world_empty();
  // What an upstream had sent may have been lost when it had closed its side.
  for (Serving& serving : ledger_.servings) serving.harmed |= world_.harmed(serving.connection);
  RunView view{document_, profile_,         ledger_,  *gateway_,
               world_,    !profile_.faults, metrics_, gateway_->access_log()};
  check_answers(view, violations_);
  if (!over) return result();  // what is left cannot be taken apart
  check_idle();
  check_refusals();
  check_turns();
  check_accounts(view, violations_);
  return result();
}

RunResult Run::result() {
  RunResult result;
  result.seed = options_.seed;
  for (const Call& call : ledger_.calls) {
    ++result.calls;
    result.answered += call.outcome == Outcome::kAnswered;
    result.closed += call.outcome == Outcome::kClosed;
    result.refused += call.outcome == Outcome::kUnsent;
    for (uint64_t value :
         {uint64_t{call.number}, static_cast<uint64_t>(call.outcome),
          static_cast<uint64_t>(call.head.status()),
          static_cast<uint64_t>(call.ended.time_since_epoch().count()), uint64_t{call.answer.size()}})
      result.hash = mix64(result.hash ^ value) * 0x9e3779b97f4a7c15ULL;
  }
  result.hash = mix64(result.hash ^ random_.next());
  result.hash = mix64(result.hash ^ world_.trace().hash());
  result.events = world_.trace().count();
  for (size_t i = 0; i < io::kFaultKinds; ++i) result.faults[i] = world_.drawn(static_cast<io::FaultKind>(i));
  if (options_.trace) result.trace = world_.trace().text() + describe_calls(ledger_);
  result.reloads = revision_ + generation_;
  result.scenario = fmt::format(
      "{} workers, {} clients, {} calls; faults {}, client deeds {}, upstream deeds {}, slow {}, reloads {}, "
      "early drain {}",
      workers_, clients_.size(), ledger_.calls.size(), profile_.faults, profile_.client_deeds,
      profile_.upstream_deeds, profile_.slow_peers, profile_.reloads, profile_.early_drain);
  result.violations = violations_.found();
  return result;
}

}  // namespace

RunResult run_seed(const RunOptions& options) {
  std::ignore = SimTls::get();
  seed_openssl(options.seed);
  GuardedRun guard;
  auto run = std::make_unique<Run>(options);
  RunResult result = run->go();
  // A world in which somebody still waits cannot be taken apart; it is left as it is, and the process ends.
  if (!result.violations.empty()) std::ignore = run.release();
  run.reset();
  if (options.seed % kHttp2Every == 0 && result.violations.empty()) run_http2_world(options, result);
  if (options.seed % kTrafficEvery == 1 && result.violations.empty()) run_traffic_world(options, result);
  return result;
}

}  // namespace sluice::sim
