// The walk of one request, from its head to its last byte: what ARCHITECTURE.md tells, in the same order.
#include <exception>

#include "gateway/client_address.h"
#include "gateway/grpc_call.h"
#include "gateway/prefixed_body.h"
#include "gateway/tunnel.h"
#include "gateway/worker.h"
#include "http/syntax.h"
#include "http/transfer_errors.h"
#include "http/uri.h"

namespace sluice::gateway {

namespace {

using http::FieldName;
using telemetry::ErrorBy;

constexpr Refusal kNoRoute{404, "no_route", "No route matches this request."};
constexpr Refusal kMethodNotAllowed{405, "method_not_allowed", "This resource does not take that method."};
constexpr Refusal kBodyTooLarge{413, "request_too_large", "The request's body is larger than allowed.",
                                ErrorBy::kClient};
constexpr Refusal kRepeatedSlash{400, "repeated_slash",
                                 "The path has repeated slashes, which this API refuses.", ErrorBy::kClient};
constexpr Refusal kEncodedSlash{400, "encoded_slash",
                                "The path has an encoded slash, which this API refuses.", ErrorBy::kClient};
constexpr Refusal kLoop{508, "loop_detected", "The request has passed this gateway too often.",
                        ErrorBy::kClient};
constexpr Refusal kOverloaded{503, "overloaded", "The gateway has more to do than it can."};
constexpr Refusal kFault{500, "internal_error", "The gateway failed while handling the request."};

/// What the gateway as a whole allows; an API says for itself (405).
constexpr std::string_view kGatewayAllow = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
/// Our name in `Via`, and how often it may be there once we have added it.
constexpr std::string_view kViaName = "sluice";
constexpr int kMostPasses = 3;
/// Half of what the `Retry-After` of a 503 says: who asks again at once has then waited, and still gets an
/// answer within a second.
constexpr Duration kRestWhenShed = std::chrono::milliseconds(500);

/// What stands against a request once it is routed: answered after the chain that it must pass anyway.
struct Verdict {
  const RoutePlan* plan = nullptr;
  const Refusal* refusal = nullptr;  // null: the plan's handler answers, or we do for `OPTIONS *`
  std::string_view allow = {};
};

Refusal refusal_of(const http::Error& error) {
  return {error.status, error.code, error.detail, ErrorBy::kClient};
}

/// RFC 9110, section 7.6.3: `Via` lists protocol and name; ours is a pseudonym.
bool passed_too_often(const http::Fields& fields) {
  if (!fields.has(FieldName::kVia)) return false;
  int passes = 0;
  for (const http::Field& field : fields) {
    if (field.id != FieldName::kVia) continue;
    http::for_each_element(field.value, [&](std::string_view element) {
      size_t space = element.find(' ');
      if (space == std::string_view::npos) return;
      std::string_view by = ascii::trim(element.substr(space));
      passes += ascii::equal_ignoring_case(by.substr(0, by.find(' ')), kViaName) ? 1 : 0;
    });
  }
  return passes >= kMostPasses;
}

/// How much body is known to come or has come already.
uint64_t known_body_bytes(const Exchange& exchange, const std::optional<PrefixedBody>& prefixed) {
  const http::BodyLength& announced = exchange.request.body;
  if (announced.kind == http::BodyLength::Kind::kKnown) return announced.bytes;
  return prefixed ? prefixed->prefix().bytes.size() : 0;
}

/// One request's way to its plan.
class Routing {
 public:
  Routing(Exchange& exchange, const Snapshot& snapshot) : exchange_(exchange), snapshot_(snapshot) {
    const http::Request& request = exchange.request;
    view_ = {.listener = exchange.server.listener,
             .host = http::host_of(request.authority),
             .path = request.path,
             .method = request.method,
             .method_text = request.method_text,
             .query = request.query,
             .fields = &request.fields,
             .unmerged = request.path_unmerged};
  }

  /// Without a plan: a body condition decides; ask again with the body's beginning.
  Verdict decide(const BodyPrefix* body) {
    const http::Request& request = exchange_.request;
    Verdict verdict{snapshot_.unmatched.get(), nullptr, {}};
    if (passed_too_often(request.fields)) {
      verdict.refusal = &kLoop;
      return verdict;
    }
    if (request.method == http::Method::kTrace || request.method == http::Method::kConnect) {
      verdict.refusal = &kMethodNotAllowed;
      verdict.allow = kGatewayAllow;
      return verdict;
    }
    if (request.path == "*") {  // about the server itself (RFC 9110, section 9.3.7)
      verdict.allow = kGatewayAllow;
      return verdict;
    }
    bool slashes = request.had_repeated_slash || request.had_encoded_slash;
    if (slashes && refused_by_api(verdict)) return verdict;

    const RootRouter& router = *snapshot_.router;
    Match& match = exchange_.match;
    match = router.match(view_, body);
    if (match.outcome == Outcome::kNeedBody) return {};
    if (match.outcome == Outcome::kNoApi) {
      verdict.refusal = &kNoRoute;
      return verdict;
    }
    const ApiNode& api = *snapshot_.apis[match.api];
    if (match.outcome == Outcome::kMatched) {
      verdict.plan = api.routes[match.route].get();
      exchange_.request.path = match.path;  // with repeated slashes where the API keeps them
      if (verdict.plan->strip_path) strip_prefix(match.prefix_size);
      return verdict;
    }
    verdict.plan = api.unmatched.get();
    verdict.refusal = &kNoRoute;
    if (match.outcome == Outcome::kMethodNotAllowed) {
      verdict.refusal = &kMethodNotAllowed;
      verdict.allow = exchange_.arena.copy(router.allow(view_, body));
    }
    return verdict;
  }

 private:
  /// What an API decides for itself about slashes, once it is known.
  bool refused_by_api(Verdict& verdict) {
    const http::Request& request = exchange_.request;
    auto selection = snapshot_.router->select(view_);
    if (!selection) return false;
    const ApiNode& api = *snapshot_.apis[selection->api];
    if (request.had_encoded_slash && api.encoded_slash == config::EncodedSlash::kReject)
      verdict.refusal = &kEncodedSlash;
    if (request.had_repeated_slash && api.repeated_slash == config::RepeatedSlash::kReject)
      verdict.refusal = &kRepeatedSlash;
    if (verdict.refusal) {
      verdict.plan = api.unmatched.get();
      return true;
    }
    return false;
  }

  void strip_prefix(uint32_t size) {
    if (size == 0) return;
    http::Request& request = exchange_.request;
    request.fields.set(FieldName::kXForwardedPrefix, request.path.substr(0, size));
    request.path.remove_prefix(size);
    if (request.path.empty()) request.path = "/";
  }

  Exchange& exchange_;
  const Snapshot& snapshot_;
  RequestView view_;
};

}  // namespace

io::Task<std::optional<http::Error>> Worker::read_prefix(Exchange& exchange, PrefixedBody& body) {
  http::ServerExchange& server = exchange.server;
  if (server.expects_continue) {
    http::Response proceed(exchange.arena);
    proceed.status = 100;
    co_await server.send_informational(proceed);
    server.expects_continue = false;
    exchange.request.fields.remove(FieldName::kExpect);
  }
  server.timer.begin(http::Phase::kHead, snapshot_->timeouts.header);
  auto error = co_await body.read_prefix(kBodyPrefixBytes);
  server.timer.end_phase();
  exchange.request_body = &body;
  if (error && error->status == 0)  // cancelled: too slow, or nobody is there any more
    error =
        server.timer.expired() != http::Phase::kNone ? http::kRequestTimeoutError : http::kClientGoneError;
  co_return error;
}

io::Task<> Worker::handle(http::ServerExchange& server) {
  Exchange exchange(server, *this);
  identify_client(exchange, *snapshot_);

  // A request that could not be read passes no policy, but has an id, a log line and its metrics.
  if (server.refused) {
    std::ignore = exchange.refuse(refusal_of(*server.refused));
    if (server.refused->status == 499)
      server.abandon();
    else
      co_await exchange.respond();
    account(exchange);
    co_return;
  }

  // A worker that is behind answers what came too long ago in the cheapest way, and leaves that client alone
  // for a while: otherwise those who ask again at once keep it from all other work.
  if (sheds(server)) {
    std::ignore = exchange.refuse(kOverloaded);
    server.rest = kRestWhenShed;
    co_await exchange.respond();
    account(exchange);
    co_return;
  }

  if ((server.security || snapshot_->redirects || services_.challenges.http.pending()) &&
      answer_by_listener(exchange)) {
    co_await exchange.respond();
    account(exchange);
    co_return;
  }

  // Which route. A body condition may need the beginning of the body.
  std::optional<PrefixedBody> prefixed;
  Verdict verdict = Routing(exchange, *snapshot_).decide(nullptr);
  if (!verdict.plan) {
    BodyPrefix body{{}, true};
    if (exchange.request_body) {
      prefixed.emplace(*exchange.request_body, exchange.arena);
      auto error = co_await read_prefix(exchange, *prefixed);
      if (error) {
        std::ignore = exchange.refuse(refusal_of(*error));
        if (error->status == http::kClientGoneError.status)
          server.abandon();
        else
          co_await exchange.respond();
        account(exchange);
        co_return;
      }
      body = prefixed->prefix();
    }
    // By the snapshot that is active now: the one of before the wait may be gone.
    verdict = Routing(exchange, *snapshot_).decide(&body);
  }
  pins_.pin(*verdict.plan);
  const RoutePlan& plan = *verdict.plan;
  exchange.plan = &plan;
  const Refusal* bad_deadline = set_deadline(exchange, plan);
  if (bad_deadline && !verdict.refusal) verdict.refusal = bad_deadline;

  bool failed = false;
  try {
    Step step = exchange.start_request_phase();
    while (step.kind() == Step::Kind::kWait) {
      auto task = step.take_task();
      Step answer = co_await std::move(task);
      step = exchange.continue_request_phase(std::move(answer));
    }
    bool answered = step.kind() == Step::Kind::kAnswer;
    if (!answered && verdict.refusal) {
      std::ignore = exchange.refuse(*verdict.refusal);
      if (!verdict.allow.empty()) exchange.response.fields.add(FieldName::kAllow, verdict.allow);
      answered = true;
    }
    if (!answered && !plan.handler) {
      exchange.response.status = 204;
      exchange.response.fields.add(FieldName::kAllow, verdict.allow);
      answered = true;
    }
    bool by_message = exchange.speech == Speech::kGrpc && plan.grpc_message > 0;
    uint64_t most_body = by_message ? UINT64_MAX : plan.request_body;
    server.limit_request_body(most_body);
    if (!answered && known_body_bytes(exchange, prefixed) > most_body) {
      std::ignore = exchange.refuse(kBodyTooLarge);
      answered = true;
    }
    if (answered)
      co_await exchange.respond();
    else
      co_await plan.handler->handle(exchange);
  } catch (const std::exception& fault) {
    report_fault(exchange, fault.what());
    failed = true;
  }
  if (failed) {
    if (server.response_started()) {
      server.abandon();
    } else {
      std::ignore = exchange.refuse(kFault);
      co_await exchange.respond();
    }
  }
  if (exchange.tunnel && exchange.has_end_phase()) {
    // A policy gives back at the end what it has taken for the exchange: that is when the tunnel ends.
    account(exchange);
    co_await exchange.tunnel->run();
    server.tunnel.reset();
    exchange.run_end_phase();
  } else {
    exchange.run_end_phase();
    account(exchange);
  }
  exchange.plan = nullptr;
  pins_.unpin(plan);
}

}  // namespace sluice::gateway
