#include "config/balancing.h"

#include <fmt/format.h>

#include "base/ascii.h"
#include "config/types.h"
#include "http/syntax.h"

namespace sluice::config {

using namespace std::chrono_literals;

template <>
struct ScalarTraits<HashKey> {
  static constexpr std::string_view kName = "key";
  static constexpr std::string_view kExpected =
      "`address`, `consumer`, `header:NAME`, `cookie:NAME`, `query:NAME` or `parameter:NAME`";
  static constexpr std::string_view kPattern = "^(address|consumer|(header|cookie|query|parameter):.+)$";
  static constexpr bool kPlainNumber = false;
  using Kind = HashKey::Kind;
  static constexpr std::pair<std::string_view, Kind> kNamed[] = {{"header:", Kind::kHeader},
                                                                 {"cookie:", Kind::kCookie},
                                                                 {"query:", Kind::kQuery},
                                                                 {"parameter:", Kind::kParameter}};
  static Parsed<HashKey> parse(std::string_view text) {
    if (text == "address") return HashKey{Kind::kAddress, {}};
    if (text == "consumer") return HashKey{Kind::kConsumer, {}};
    for (const auto& [prefix, kind] : kNamed) {
      if (!text.starts_with(prefix) || text.size() == prefix.size()) continue;
      std::string_view name = text.substr(prefix.size());
      if ((kind == Kind::kHeader || kind == Kind::kCookie) && !http::is_token(name))
        return std::unexpected("expected a name without separators behind the colon");
      return HashKey{kind, kind == Kind::kHeader ? ascii::to_lower(name) : std::string(name)};
    }
    return std::unexpected(std::string());
  }
  static std::string text(const HashKey& key) {
    if (key.kind == Kind::kAddress) return "address";
    if (key.kind == Kind::kConsumer) return "consumer";
    for (const auto& [prefix, kind] : kNamed)
      if (kind == key.kind) return std::string(prefix) + key.name;
    return {};
  }
};

template <>
struct EnumTraits<BalanceAlgorithm> {
  static constexpr EnumName<BalanceAlgorithm> kNames[] = {
      {"round_robin", BalanceAlgorithm::kRoundRobin},
      {"least_requests", BalanceAlgorithm::kLeastRequests},
      {"random", BalanceAlgorithm::kRandom},
      {"p2c", BalanceAlgorithm::kP2c},
      {"peak_ewma", BalanceAlgorithm::kPeakEwma}};
};

template <>
struct EnumTraits<ProbeType> {
  static constexpr EnumName<ProbeType> kNames[] = {
      {"http", ProbeType::kHttp}, {"tcp", ProbeType::kTcp}, {"grpc", ProbeType::kGrpc}};
};

const Struct<HashBalance>& HashBalance::schema() {
  static const auto schema =
      Struct<HashBalance>("hash_balance",
                          "The same key goes to the same target. May be written as its key alone.")
          .field("key", &HashBalance::key,
                 "What of a request decides. A request without it is balanced by `random`.")
          .required()
          .field(
              "bounded_load", &HashBalance::bounded_load,
              "How many requests a target may have at once, against the average: `125%`; those beyond go to "
              "the next one of the key. As many as come when left out.")
          .check([](const HashBalance& hash, const Node& node, Reader& reader) {
            if (hash.bounded_load && hash.bounded_load->share <= 1)
              reader.error(*node.find("bounded_load"), "invalid-value", "must be more than `100%`");
          })
          .shorthand("key");
  return schema;
}

const Struct<StickyBalance>& StickyBalance::schema() {
  static const auto schema =
      Struct<StickyBalance>("sticky_balance", "A cookie that brings a client back to the target that it had.")
          .field("cookie", &StickyBalance::cookie, "Its name.")
          .required()
          .field("ttl", &StickyBalance::ttl, "How long it lasts; until the browser is closed when left out.")
          .range(1s, 24h * 400)
          .field("path", &StickyBalance::path, "Below which paths the client sends it.")
          .check([](const StickyBalance& sticky, const Node& node, Reader& reader) {
            if (!http::is_token(sticky.cookie))
              reader.error(*node.find("cookie"), "invalid-value", "that is no name of a cookie");
            if (!sticky.path.starts_with('/') || !http::is_field_value(sticky.path) ||
                sticky.path.find_first_of(";, ") != std::string::npos)
              reader.error(*node.find("path"), "invalid-value", "must be a path such as `/shop`");
          });
  return schema;
}

const Struct<Balance>& Balance::schema() {
  static const auto schema =
      Struct<Balance>("balance", "How a target is chosen. May be written as its algorithm alone.")
          .field(
              "algorithm", &Balance::algorithm,
              "`round_robin` in turn by weight; `least_requests` who has the fewest in hand by its weight; "
              "`random`; `p2c` the better one of two drawn; `peak_ewma` likewise, by latency.")
          .field("hash", &Balance::hash, "By a key of the request instead.")
          .field("sticky", &Balance::sticky,
                 "Who has been there before goes to the same target, by a cookie; others as above.")
          .field("subset", &Balance::subset,
                 "How many targets of each priority this gateway uses, for upstreams with very many; others "
                 "take the place of those that are not healthy. `0`: all.")
          .range(0, 10'000)
          .unit("targets")
          .check([](const Balance& balance, const Node& node, Reader& reader) {
            if (balance.hash && node.find("algorithm"))
              reader.error(*node.find("algorithm"), "conflict", "`hash` and `algorithm` exclude each other");
            if (balance.subset > 0 && (balance.hash || balance.sticky))
              reader.error(*node.find("subset"), "conflict",
                           std::string("each gateway has a subset of its own, and `") +
                               (balance.hash ? "hash" : "sticky") +
                               "` wants the same target from all of them");
          })
          .shorthand("algorithm");
  return schema;
}

const Struct<ActiveHealth>& ActiveHealth::schema() {
  static const auto schema =
      Struct<ActiveHealth>("active_health", "Asks each target from time to time, once for the whole process.")
          .field("type", &ActiveHealth::type,
                 "`http`: a GET; `tcp`: a connection, over TLS its handshake; `grpc`: grpc.health.v1.Health.")
          .field("path", &ActiveHealth::path, "What is asked for, of HTTP.")
          .field("host", &ActiveHealth::host, "The `Host` that is sent; the target's when left out.")
          .field("service", &ActiveHealth::service, "The service of gRPC; the whole server when left out.")
          .field("statuses", &ActiveHealth::statuses,
                 "Answers that are good, of HTTP; a redirect is not followed.")
          .one_or_many()
          .field("interval", &ActiveHealth::interval, "From one probe to the next; varied by a tenth.")
          .range(10ms, 1h)
          .field("timeout", &ActiveHealth::timeout, "For a probe from connecting to the last byte.")
          .range(1ms, 1min)
          .field("healthy", &ActiveHealth::healthy, "Good probes in a row until a target is healthy again.")
          .range(1, 100)
          .field("unhealthy", &ActiveHealth::unhealthy, "Bad probes in a row until it is unhealthy.")
          .range(1, 100)
          .check([](const ActiveHealth& health, const Node& node, Reader& reader) {
            if (!health.path.starts_with('/') ||
                !std::ranges::all_of(health.path, [](char c) { return c > ' ' && c < 0x7f && c != '#'; }))
              reader.error(*node.find("path"), "invalid-value", "must be a path such as `/healthz`");
            auto only = [&](std::string_view name, ProbeType type, std::string_view of) {
              const Node* member = node.find(name);
              if (member && health.type != type)
                reader.error(*member, "conflict", fmt::format("`{}` is of `type: {}` alone", name, of));
            };
            only("path", ProbeType::kHttp, "http");
            only("statuses", ProbeType::kHttp, "http");
            only("service", ProbeType::kGrpc, "grpc");
          });
  return schema;
}

const Struct<PassiveHealth>& PassiveHealth::schema() {
  static const auto schema =
      Struct<PassiveHealth>("passive_health",
                            "Looks at how requests end; a target that fails is ejected for a while.")
          .field(
              "consecutive_failures", &PassiveHealth::consecutive_failures,
              "Failures in a row that eject a target; `0` for none. What fails: a connection that cannot be "
              "had or breaks, a timeout, an answer against the protocol, one of `statuses`.")
          .range(0, 1'000'000)
          .field("statuses", &PassiveHealth::statuses, "Answers that count as failures.")
          .one_or_many()
          .field("error_rate", &PassiveHealth::error_rate,
                 "Failures among the requests of an `interval` that eject a target; not looked at when left "
                 "out.")
          .field("success_rate_deviation", &PassiveHealth::success_rate_deviation,
                 "Ejects a target whose success rate is so many standard deviations below the targets' mean, "
                 "of at least three; not looked at when left out.")
          .range(0.1, 100)
          .field("interval", &PassiveHealth::interval, "Over which rates are taken.")
          .range(100ms, 1h)
          .field("min_requests", &PassiveHealth::min_requests, "Fewer in an `interval` make no rate.")
          .range(1, 1'000'000)
          .field("eject_for", &PassiveHealth::eject_for,
                 "How long a target is ejected the first time; each time in a row it is as much longer.")
          .range(10ms, 24h)
          .field("max_eject_for", &PassiveHealth::max_eject_for, "How long at most.")
          .range(10ms, 24h)
          .field("max_ejected", &PassiveHealth::max_ejected,
                 "The share of the targets that is ejected at most.")
          .check([](const PassiveHealth& health, const Node& node, Reader& reader) {
            if (health.max_eject_for < health.eject_for)
              reader.error(node.find("max_eject_for") ? *node.find("max_eject_for") : node, "invalid-value",
                           "`max_eject_for` must not be shorter than `eject_for`");
            if (health.max_ejected.share > 1)
              reader.error(*node.find("max_ejected"), "invalid-value", "must be at most `100%`");
          });
  return schema;
}

const Struct<Health>& Health::schema() {
  static const auto schema =
      Struct<Health>("health", "How it is found out which targets can take requests.")
          .field("active", &Health::active, "By asking them.")
          .field("passive", &Health::passive, "By how their answers are.")
          .field("panic", &Health::panic,
                 "When a smaller share of the targets is healthy, all are used as if they were. `0%`: never; "
                 "without a healthy target requests get 503.")
          .check([](const Health& health, const Node& node, Reader& reader) {
            if (health.panic.share > 1)
              reader.error(*node.find("panic"), "invalid-value", "must be at most `100%`");
          });
  return schema;
}

const Struct<CircuitBreaker>& CircuitBreaker::schema() {
  static const auto schema =
      Struct<CircuitBreaker>("circuit_breaker",
                             "What an upstream carries at most, over all targets and workers; more get 503.")
          .field("max_connections", &CircuitBreaker::max_connections,
                 "Connections at once, idle ones too. Any number when left out.")
          .at_least(1)
          .field("max_pending", &CircuitBreaker::max_pending,
                 "Requests that wait for a connection, no longer than `timeouts.connect`, once there are "
                 "`max_connections`.")
          .field("max_requests", &CircuitBreaker::max_requests, "Requests at once. Any number when left out.")
          .at_least(1)
          .field("max_retries", &CircuitBreaker::max_retries, "Retries at once. Any number when left out.")
          .at_least(0);
  return schema;
}

const Struct<Hedge>& Hedge::schema() {
  static const auto schema =
      Struct<Hedge>(
          "hedge",
          "An idempotent request without a body is sent to a second target when the first one takes "
          "long; whose answer comes first is taken. Within the budget of `retry`. May be written as "
          "its time alone.")
          .field("after", &Hedge::after, "How long the first one has.")
          .required()
          .range(1ms, 1min)
          .shorthand("after");
  return schema;
}

const Struct<ShiftRollback>& ShiftRollback::schema() {
  static const auto schema =
      Struct<ShiftRollback>("shift_rollback",
                            "When all requests go back, until the shift is written in another way.")
          .field("error_rate", &ShiftRollback::error_rate,
                 "So many requests to the new upstream of an `interval` end in 5xx.")
          .field("latency", &ShiftRollback::latency,
                 "More than one in twenty waits longer than that for its answer (the 95th percentile).")
          .range(1ms, 10min)
          .field("interval", &ShiftRollback::interval, "Over which requests are counted.")
          .range(100ms, 1h)
          .field("min_requests", &ShiftRollback::min_requests, "Fewer in an `interval` say nothing.")
          .range(1, 1'000'000)
          .check([](const ShiftRollback& rollback, const Node& node, Reader& reader) {
            if (!rollback.error_rate && !rollback.latency)
              reader.error(node, "missing-key", "`rollback` needs `error_rate`, `latency` or both");
            if (rollback.error_rate && (rollback.error_rate->share <= 0 || rollback.error_rate->share > 1))
              reader.error(*node.find("error_rate"), "invalid-value", "must be above `0%`, at most `100%`");
          });
  return schema;
}

const Struct<Shift>& Shift::schema() {
  static const auto schema =
      Struct<Shift>("shift", "Moves traffic to another upstream by and by, evenly, by chance.")
          .field("to", &Shift::to, "The name of the new upstream.")
          .required()
          .field("over", &Shift::over, "How long it takes from none to all, from the first request on.")
          .required()
          .range(1s, 24h * 30)
          .field("rollback", &Shift::rollback, "When it is given up; never when left out.");
  return schema;
}

const Struct<AdaptiveConcurrency>& AdaptiveConcurrency::schema() {
  static const auto schema =
      Struct<AdaptiveConcurrency>(
          "adaptive_concurrency",
          "A bound on the requests at once that follows how fast the upstream answers "
          "(Gradient2 of Netflix's concurrency-limits); more get 503.")
          .field("min", &AdaptiveConcurrency::min, "It never falls below.")
          .range(1, 1'000'000)
          .field("max", &AdaptiveConcurrency::max, "It never rises above.")
          .range(1, 1'000'000)
          .field("initial", &AdaptiveConcurrency::initial, "Until answers have been seen.")
          .range(1, 1'000'000)
          .field("tolerance", &AdaptiveConcurrency::tolerance,
                 "How many times as long as usual answers may take before it falls.")
          .range(1, 10)
          .field("queue", &AdaptiveConcurrency::queue,
                 "How many requests may queue up at the upstream: by so many it tries to grow.")
          .range(1, 10'000)
          .field("window", &AdaptiveConcurrency::window, "How long answers are looked at before it moves.")
          .range(10ms, 1min)
          .check([](const AdaptiveConcurrency& limit, const Node& node, Reader& reader) {
            if (limit.min > limit.max)
              reader.error(node.find("min") ? *node.find("min") : *node.find("max"), "invalid-value",
                           fmt::format("`min` ({}) must not be above `max` ({})", limit.min, limit.max));
            else if (node.find("initial") && (limit.initial < limit.min || limit.initial > limit.max))
              reader.error(*node.find("initial"), "invalid-value", "must lie between `min` and `max`");
          });
  return schema;
}

}  // namespace sluice::config
