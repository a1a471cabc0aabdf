#include "http2_world.h"

#include "faults.h"
#include "http2_client.h"
#include "http2_upstream.h"
#include "io/sim/sim_resolver.h"

namespace sluice::sim {

namespace {

constexpr Duration kLongestRun = std::chrono::hours(2);
constexpr Duration kSettleTime = std::chrono::seconds(20);
constexpr Duration kSlack = std::chrono::milliseconds(500);
constexpr size_t kAttempts = 2;
constexpr std::string_view kUpstreamIps[] = {"10.2.0.1", "10.2.0.2"};

class Http2World {
 public:
  explicit Http2World(const RunOptions& options);
  void go(RunResult& result);
  const Violations& violations() const { return violations_; }

 private:
  std::string document(uint64_t revision) const;
  void draw();
  void draw_call(Http2Call& call, bool http1);
  void spawn(io::SimLoop& loop, io::Task<> task) {
    io::CurrentLoop current(loop);
    scope_.spawn(std::move(task));
  }
  io::Task<> operate();
  bool all_done() const {
    return std::ranges::all_of(clients_, [](const auto& client) { return client->done(); });
  }
  void check(const Http2Call& call);
  void check_passed(const Http2Call& call, const Http2Serving& serving);
  bool excused(const Http2Call& call) const;
  template <class... A>
  void add(const Http2Call& call, Invariant invariant, fmt::format_string<A...> format, A&&... arguments) {
    std::string story;
    for (const Http2Serving* serving : call.servings)
      story += fmt::format("; upstream did {} with {}", static_cast<int>(serving->deed), serving->status);
    violations_.add(invariant, "HTTP/{} exchange {} ({} {}{}{}): {}", call.http1 ? 1 : 2, call.number,
                    call.method, call.path, call.websocket ? " as a WebSocket" : "", story,
                    fmt::format(format, std::forward<A>(arguments)...));
  }

  RunOptions options_;
  Random random_;
  bool faults_;
  bool upstream_deeds_;
  bool client_deeds_;
  bool early_drain_;
  Duration latency_{};
  Violations violations_;
  Http2Ledger ledger_;
  SimPolicies policies_{[](gateway::Exchange&, const std::string&) {}};
  io::SimWorld world_;
  io::SimLoop& main_ = world_.add_loop();
  io::SimLoop& upstream_loop_ = world_.add_loop(io::SimRole::kPeer);
  io::SimLoop& client_loop_ = world_.add_loop(io::SimRole::kPeer);
  io::SimResolver resolver_{main_};
  std::unique_ptr<SimGateway> gateway_;
  std::vector<std::unique_ptr<Http2Upstream>> upstreams_;
  std::vector<std::unique_ptr<Http2ClientPlan>> plans_;
  std::vector<std::unique_ptr<Http2Client>> clients_;
  size_t reloads_ = 0;
  io::TaskScope scope_;
};

Http2World::Http2World(const RunOptions& options)
    : options_(options),
      random_(options.seed * 0xd1342543de82ef95ULL + 7),
      faults_(random_.below(2) == 0),
      upstream_deeds_(random_.below(2) == 0),
      client_deeds_(random_.below(2) == 0),
      early_drain_(random_.below(5) == 0),
      latency_(random_.below(3) == 0 ? std::chrono::milliseconds(1 + random_.below(30)) : Duration::zero()),
      world_(world_options(options.seed, faults_, latency_, options.trace)) {
  draw();
}

std::string Http2World::document(uint64_t revision) const {
  std::string text = fmt::format(
      "version: 1\ngateway:\n  listen: [ {{ name: plain, address: \"{}:{}\" }} ]\n"
      "  timeouts: {{ header: 5s, body_progress: 5s, keep_alive: 20s, stream_idle: 30s }}\n"
      "  drain: {{ timeout: 60s }}\nupstreams:\n  two:\n    protocol: h2c\n    targets: [",
      kGatewayIp, kPort);
  for (std::string_view ip : kUpstreamIps) text += fmt::format(" \"http://{}:9000\",", ip);
  text += fmt::format(
      " ]\n    timeouts: {{ connect: 1s, response_head: 5s, idle: 15s }}\n"
      "    retry: {{ attempts: {}, on: [connect_failure, reset], budget: 100%, backoff: 0ms }}\n"
      "apis:\n  two: {{ path: /two, upstream: two }}\n"
      "  fixed: {{ path: /fixed, routes: [ {{ name: r, respond: {{ status: 200, body: \"fixed {}\" }} }} ] "
      "}}\n",
      kAttempts, revision);
  return text;
}

void Http2World::draw_call(Http2Call& call, bool http1) {
  auto chance = [&](uint64_t one_in) { return random_.below(one_in) == 0; };
  call.http1 = http1;
  call.path = fmt::format("{}/{}", chance(8) ? "/fixed" : "/two", call.number);
  call.seed = random_.next();
  call.pause = std::chrono::milliseconds(chance(2) ? 0 : random_.below(200));
  static constexpr const char* kMethods[] = {"GET", "GET", "HEAD", "POST", "POST", "PUT"};
  call.method = kMethods[random_.below(std::size(kMethods))];
  call.websocket = !http1 && call.path.starts_with("/two") && chance(6);
  if (call.websocket) call.method = "GET";
  bool carries = call.method == "POST" || call.method == "PUT";
  if (carries || call.websocket) {
    size_t size = chance(6) ? 20'000 + random_.below(200'000) : 1 + random_.below(3000);
    call.body = identity_bytes(2 * uint64_t{call.number}, size);
    if (call.websocket) call.body = websocket_frames(call.body);
    call.length = chance(2);
    call.trailers = !call.length && !call.websocket && chance(3);
    if (chance(3) && !http1) call.piece = 1 + call.body.size() / (1 + random_.below(6));
  }
  if (client_deeds_ && !http1 && chance(4))
    call.leaves_after = std::chrono::milliseconds(1 + random_.below(400));
}

void Http2World::draw() {
  size_t workers = 1 + random_.below(3);
  gateway_ =
      std::make_unique<SimGateway>(world_, main_, resolver_, policies_, options_.seed, workers, violations_);
  client_loop_.set_source(*io::Address::parse_ip("192.0.2.7"));
  static constexpr uint32_t kLimits[] = {1, 3, 100};
  for (std::string_view ip : kUpstreamIps)
    upstreams_.push_back(std::make_unique<Http2Upstream>(upstream_loop_, *io::Address::parse_ip(ip, 9000),
                                                         upstream_deeds_, kLimits[random_.below(3)], ledger_,
                                                         violations_));
  size_t count = 1 + random_.below(4);
  for (size_t i = 0; i < count; ++i) {
    plans_.push_back(std::make_unique<Http2ClientPlan>());
    Http2ClientPlan& plan = *plans_.back();
    plan.to = gateway_->address();
    plan.start = std::chrono::milliseconds(random_.below(500));
    plan.http1 = random_.below(4) == 0;
    if (random_.below(3) == 0) plan.window = 1000 + static_cast<uint32_t>(random_.below(30'000));
    size_t calls = 1 + random_.below(plan.http1 ? 6 : 25);
    for (size_t k = 0; k < calls; ++k) {
      Http2Call& call = ledger_.calls.emplace_back();
      call.number = static_cast<uint32_t>(ledger_.calls.size() - 1);
      draw_call(call, plan.http1);
      plan.calls.push_back(&call);
    }
    clients_.push_back(
        std::make_unique<Http2Client>(client_loop_, plan, std::chrono::seconds(120), violations_));
  }
  reloads_ = random_.below(3);
}

io::Task<> Http2World::operate() {
  io::CancelToken never;
  for (uint64_t i = 1; i <= reloads_; ++i) {
    co_await pause(main_, std::chrono::milliseconds(random_.below(800)), never);
    if (!gateway_->reload(document(i), i, 0))
      violations_.add(Invariant::kUndisturbed, "document {} was refused: {}", i, gateway_->problems());
  }
  Instant drain = main_.now() + std::chrono::milliseconds(random_.below(1500));
  while (!all_done() && !(early_drain_ && main_.now() >= drain))
    co_await pause(main_, std::chrono::milliseconds(50), never);
  gateway_->shut_down(std::chrono::seconds(60));
}

void Http2World::go(RunResult& result) {
  for (auto& upstream : upstreams_) {
    io::CurrentLoop current(upstream_loop_);
    if (!upstream->listen()) violations_.add(Invariant::kUndisturbed, "an upstream cannot listen");
  }
  if (!gateway_->start(document(0), true)) {
    violations_.add(Invariant::kUndisturbed, "the gateway does not start: {}", gateway_->problems());
  } else {
    world_.run_for(std::chrono::milliseconds(100));
    for (auto& client : clients_) spawn(client->loop(), client->run());
    spawn(main_, operate());
    bool done = world_.run_until([&] { return gateway_->ended() && all_done(); }, kLongestRun);
    if (!done)
      violations_.add(Invariant::kNoEndlessWait, "{} waits for ever",
                      all_done() ? "the gateway" : "a client");
    if (violations_.found().empty()) {
      gateway_->destroy();
      world_.run_for(kSettleTime);
      for (auto& upstream : upstreams_) {
        if (upstream->open() > 0 && !faults_)
          violations_.add(Invariant::kGivenBack, "{} HTTP/2 connections are open after the end",
                          upstream->open());
        upstream->stop();
      }
      world_.run_until([&] {
        return scope_.active() == 0 &&
               std::ranges::all_of(upstreams_, [](const auto& upstream) { return upstream->active() == 0; });
      });
    }
    for (const Http2Call& call : ledger_.calls) check(call);
  }
  for (const Http2Call& call : ledger_.calls) {
    ++result.calls;
    result.answered += call.outcome == Http2Call::Outcome::kAnswered;
    result.closed += call.outcome == Http2Call::Outcome::kBroken;
    result.refused += call.outcome == Http2Call::Outcome::kUnsent;
    for (uint64_t value : {uint64_t{call.number}, static_cast<uint64_t>(call.outcome),
                           static_cast<uint64_t>(call.status), uint64_t{call.answer.size()}})
      result.hash = mix64(result.hash ^ value) * 0x9e3779b97f4a7c15ULL;
  }
  result.hash = mix64(result.hash ^ world_.trace().hash());
  result.events += world_.trace().count();
  for (size_t i = 0; i < io::kFaultKinds; ++i)
    result.faults[i] += world_.drawn(static_cast<io::FaultKind>(i));
  if (options_.trace) result.trace += world_.trace().text() + gateway_->access_log();
  result.reloads += reloads_;
  result.scenario += fmt::format(
      "; HTTP/2: {} clients, {} calls; faults {}, client deeds {}, upstream deeds {}, early drain {}",
      clients_.size(), ledger_.calls.size(), faults_, client_deeds_, upstream_deeds_, early_drain_);
  for (const Violation& violation : violations_.found()) result.violations.push_back(violation);
}

/// It may have failed for no fault of the gateway's.
bool Http2World::excused(const Http2Call& call) const {
  if (faults_ || call.left || call.excused) return true;
  Instant drain = gateway_->drain_began();
  if (drain != kNever && call.begun + std::chrono::seconds(1) > drain) return true;
  // An upstream did something bad to it, or to a connection that it may have been on.
  for (const Http2Serving* serving : call.servings)
    if (serving->deed != Http2Deed::kAnswer) return true;
  if (!upstream_deeds_) return false;
  return std::ranges::any_of(ledger_.losses,
                             [&](Instant at) { return at + kSlack >= call.begun && at <= call.ended; });
}

void Http2World::check(const Http2Call& call) {
  size_t done = 0;
  for (const Http2Serving* serving : call.servings) done += serving->deed != Http2Deed::kRefuse;
  if (!call.idempotent() && done > 1) add(call, Invariant::kAtMostOnce, "it was sent {} times", done);
  if (call.servings.size() > kAttempts + 1)
    add(call, Invariant::kAtMostOnce, "{} tries", call.servings.size());
  bool whole = call.outcome == Http2Call::Outcome::kAnswered;
  if (call.outcome == Http2Call::Outcome::kUnsent) {
    if (!faults_ && !early_drain_) add(call, Invariant::kUndisturbed, "it was never sent");
    return;
  }
  if (!whole && !excused(call))
    add(call, Invariant::kUndisturbed, "it was broken off (status {})", call.status);
  std::string_view number = call.head.value("x-sim-serving");
  if (!number.empty()) {
    size_t index = std::stoul(std::string(number));
    if (index >= ledger_.servings.size() || ledger_.servings[index].call != &call)
      return add(call, Invariant::kIdentity, "it got the answer of serving {}", number);
    return check_passed(call, ledger_.servings[index]);
  }
  if (!whole || call.status == 0) return;
  if (call.path.starts_with("/fixed")) {
    bool told = call.method != "HEAD";
    if (call.status != 200 || (told && !call.answer.starts_with("fixed ")))
      add(call, Invariant::kUndisturbed, "the gateway answered {} \"{}\"", call.status, call.answer);
  } else if (!excused(call) || (call.status < 500 && !(faults_ && call.status == 408))) {
    // A fault may hold a request back until its time is over; no other fault is the request's own.
    add(call, Invariant::kUndisturbed, "the gateway answered {} \"{}\"", call.status, call.answer);
  }
}

void Http2World::check_passed(const Http2Call& call, const Http2Serving& serving) {
  bool whole = call.outcome == Http2Call::Outcome::kAnswered;
  int wanted = call.websocket && serving.deed == Http2Deed::kAnswer ? 200 : serving.status;
  if (call.status != wanted) add(call, Invariant::kUndisturbed, "{} became {}", wanted, call.status);
  bool echoed = call.websocket && serving.deed == Http2Deed::kAnswer;
  if (echoed) {
    if (!is_of_websocket(call.answer, call.body))
      add(call, Invariant::kIdentity, "its messages are not its own");
    return;
  }
  std::string_view body = call.method == "HEAD" ? std::string_view() : std::string_view(serving.body);
  if (!body.starts_with(call.answer)) add(call, Invariant::kIdentity, "its answer is not its own");
  if (!whole) return;
  if (call.answer.size() != body.size())
    add(call, Invariant::kOneAnswer, "{} of {} bytes passed for the whole answer", call.answer.size(),
        body.size());
  bool breaks = serving.deed == Http2Deed::kResetInBody || serving.deed == Http2Deed::kShort;
  if (breaks && call.method != "HEAD") add(call, Invariant::kOneAnswer, "a broken answer passed for whole");
  // HTTP/1.1 has no trailers behind a body whose length was said.
  bool carries = serving.trailers && !(call.http1 && call.head.count("content-length"));
  std::string trailer = carries ? std::to_string(serving.number) : "";
  if (call.answer_trailers.value("x-sim-trailer") != trailer)
    add(call, Invariant::kUndisturbed, "its trailers are \"{}\"", call.answer_trailers.text());
}

}  // namespace

std::string websocket_frames(std::string_view bytes) {
  constexpr size_t kMost = 60'000;
  std::string frames;
  while (!bytes.empty()) {
    std::string_view payload = bytes.substr(0, kMost);
    bytes.remove_prefix(payload.size());
    frames += "\x82\xfe";
    frames += static_cast<char>(payload.size() >> 8);
    frames += static_cast<char>(payload.size() & 0xff);
    frames.append(4, '\0');
    frames += payload;
  }
  return frames;
}

bool is_of_websocket(std::string_view received, std::string_view sent) {
  auto differs = std::ranges::mismatch(received, sent);
  constexpr char kClose = '\x88';
  return differs.in1 == received.end() || *differs.in1 == kClose;
}

void run_http2_world(const RunOptions& options, RunResult& result) {
  auto world = std::make_unique<Http2World>(options);
  world->go(result);
  // A world in which somebody still waits cannot be taken apart.
  if (!world->violations().found().empty()) std::ignore = world.release();
}

}  // namespace sluice::sim
