#include "gateway/exchange.h"

#include "gateway/grpc_call.h"
#include "gateway/tunnel.h"
#include "gateway/worker.h"
#include "http/problem.h"
#include "http/transfer_errors.h"

namespace sluice::gateway {

namespace {

constexpr Refusal kPolicyFault{500, "internal_error", "The gateway failed while handling the request."};

std::string_view make_request_id(Random& random, Arena& arena) {
  static constexpr auto kPairs = [] {
    constexpr char kDigits[] = "0123456789abcdef";
    std::array<std::array<char, 2>, 256> pairs{};
    for (size_t byte = 0; byte < 256; ++byte) pairs[byte] = {kDigits[byte >> 4], kDigits[byte & 15]};
    return pairs;
  }();
  char* id = arena.allocate_chars(32);
  for (char* at = id; at != id + 32;) {
    uint64_t bits = random.next();
    for (int i = 0; i < 8; ++i, bits >>= 8, at += 2) std::memcpy(at, kPairs[bits & 255].data(), 2);
  }
  return {id, 32};
}

}  // namespace

Exchange::Exchange(http::ServerExchange& server_exchange, Worker& of_worker)
    : server(server_exchange),
      worker(of_worker),
      arena(server_exchange.arena),
      request(server_exchange.request),
      response(server_exchange.arena),
      request_body(server_exchange.request_body),
      speech(speech_of(server_exchange)),
      received_path(server_exchange.request.path) {}

std::string_view Exchange::request_id() {
  if (request_id_.empty()) request_id_ = make_request_id(loop().random(), arena);
  return request_id_;
}

std::string_view Exchange::parameter(std::string_view name) const {
  for (size_t i = 0; i < match.parameter_count; ++i)
    if (plan->parameters[i] == name) return match.parameter(i);
  return {};
}

Step Exchange::refuse(const Refusal& refusal) {
  refusal_ = refusal;
  error_by = refusal.by;
  if (speech == Speech::kGrpc) {
    grpc_status = http::grpc_status_of_http(refusal.status);
    // 499 is for the log alone: nobody is there any more.
    if (refusal.status != http::kClientGoneError.status) {
      answer_call(*this, *grpc_status, refusal.detail);
      return Step::answer();
    }
  }
  http::Problem problem{refusal.status, refusal.code, refusal.detail, request_id()};
  std::string_view body = http::write_problem(problem, arena);
  response.status = refusal.status;
  response.reason = {};
  response.upgrade = {};
  response.fields.clear();
  response.fields.add(http::FieldName::kContentType, http::kProblemContentType);
  // When to come back: soon, for what is overloaded or down is looked at all the time.
  if (refusal.status == 503) response.fields.add(http::FieldName::kRetryAfter, "1");
  response.body = http::BodyLength::known(body.size());
  response_body = http::Body::of(body);
  return Step::answer();
}

void Exchange::fail_call(const Refusal& refusal, http::GrpcStatus status) {
  refusal_ = refusal;
  error_by = refusal.by;
  grpc_status = status;
}

Step Exchange::start_request_phase() {
  size_t links = plan->chain->links.size();
  states_ = arena.allocate_array<void*>(links);
  std::fill(states_.begin(), states_.end(), nullptr);
  return run_links();
}

Step Exchange::continue_request_phase(Step decided) {
  if (accept_decision(decided.kind())) return Step::answer();
  return run_links();
}

Step Exchange::run_links() {
  const auto& links = plan->chain->links;
  while (began_ < links.size()) {
    link_ = began_++;
    if (!links[link_].hooks.request) continue;
    Step step = links[link_].policy->on_request(*this);
    if (step.kind() == Step::Kind::kNext) continue;
    if (step.kind() == Step::Kind::kWait) return step;
    if (accept_decision(step.kind())) return step;
  }
  return Step::next();
}

bool Exchange::accept_decision(Step::Kind kind) {
  if (kind != Step::Kind::kAnswer) return false;
  const Chain::Link& link = plan->chain->links[link_];
  if (!link.dry_run) return true;
  if (refusal_) dry_run = refusal_->code;
  worker.metrics().add(link.dry_run_refusals);
  refusal_.reset();
  error_by = telemetry::ErrorBy::kNobody;
  grpc_status.reset();
  response = http::Response(arena);
  response_body = http::Body::none();
  return false;
}

void Exchange::fault_in_response(std::string_view what) {
  worker.report_fault(*this, what);
  std::ignore = refuse(kPolicyFault);
}

/// False: the policy at `link_` must wait.
bool Exchange::run_response_phase() {
  while (to_respond_ > 0) {
    link_ = --to_respond_;
    const Chain::Link& link = plan->chain->links[link_];
    if (link.dry_run) continue;
    if (link.hooks.response_waits) return false;
    if (!link.hooks.response) continue;
    try {
      link.policy->on_response(*this);
    } catch (const std::exception& fault) {
      fault_in_response(fault.what());
    }
  }
  return true;
}

io::Task<http::SendOutcome> Exchange::respond() {
  to_respond_ = plan ? began_ : 0;
  if (!run_response_phase()) return respond_waiting();
  return server.send(response, response_body, worker.download_bounds());
}

/// From the policy that must wait on.
io::Task<> Exchange::finish_response_phase() {
  bool done = false;
  while (!done) {
    std::optional<std::string> fault;
    try {
      co_await plan->chain->links[link_].policy->wait_response(*this);
    } catch (const std::exception& thrown) {
      fault = thrown.what();
    }
    if (fault) fault_in_response(*fault);
    done = run_response_phase();
  }
}

io::Task<http::SendOutcome> Exchange::respond_waiting() {
  co_await finish_response_phase();
  auto outcome = co_await server.send(response, response_body, worker.download_bounds());
  co_return outcome;
}

io::Task<io::Stream*> Exchange::accept_tunnel() {
  to_respond_ = plan ? began_ : 0;
  if (!run_response_phase()) co_await finish_response_phase();
  if (response.status != 101) {
    co_await server.send(response, response_body, worker.download_bounds());
    co_return nullptr;
  }
  auto* stream = co_await server.accept_tunnel(response);
  co_return stream;
}

void Exchange::begin_tunnel(std::unique_ptr<Tunnel> of_connection) {
  tunnel = of_connection.get();
  server.tunnel = std::move(of_connection);
}

bool Exchange::has_end_phase() const {
  if (!plan) return false;
  const auto& links = plan->chain->links;
  return std::any_of(links.begin(), links.begin() + static_cast<ptrdiff_t>(began_),
                     [](const Chain::Link& link) { return link.hooks.end; });
}

void Exchange::run_end_phase() noexcept {
  if (!plan) return;
  for (size_t i = began_; i-- > 0;) {
    const Chain::Link& link = plan->chain->links[i];
    link_ = i;
    if (link.hooks.end) link.policy->on_end(*this);
  }
}

}  // namespace sluice::gateway
