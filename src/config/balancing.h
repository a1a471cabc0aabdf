// What an upstream may say of its targets: how one is chosen, how their health is found out, how much they
// are asked at most, when a request is tried again. Parts of `config::Upstream`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "config/struct_type.h"
#include "config/values.h"

namespace sluice::config {

/// What of a request says which target gets it: `address`, `consumer`, `header:NAME`...
struct HashKey {
  enum class Kind : uint8_t { kAddress, kConsumer, kHeader, kCookie, kQuery, kParameter };
  Kind kind = Kind::kAddress;
  std::string name;  // of the last four
  friend bool operator==(const HashKey&, const HashKey&) = default;
};

enum class BalanceAlgorithm : uint8_t { kRoundRobin, kLeastRequests, kRandom, kP2c, kPeakEwma, kHash };

struct HashBalance {
  HashKey key;
  std::optional<Percent> bounded_load;  // of the average; absent: as many as come
  static const Struct<HashBalance>& schema();
};

/// A cookie of the gateway's brings clients back.
struct StickyBalance {
  std::string cookie;
  std::optional<Duration> ttl;  // absent: until the client's session ends
  std::string path = "/";
  static const Struct<StickyBalance>& schema();
};

struct Balance {
  BalanceAlgorithm algorithm = BalanceAlgorithm::kRoundRobin;
  std::optional<HashBalance> hash;
  std::optional<StickyBalance> sticky;  // before the others
  uint32_t subset = 0;                  // how many targets of a priority are used; 0: all
  static const Struct<Balance>& schema();
  BalanceAlgorithm chosen() const { return hash ? BalanceAlgorithm::kHash : algorithm; }
};

enum class ProbeType : uint8_t { kHttp, kTcp, kGrpc };

struct ActiveHealth {
  ProbeType type = ProbeType::kHttp;
  std::string path = "/";
  std::string host;     // empty: the target's
  std::string service;  // of gRPC; empty: the server as a whole
  std::vector<StatusRange> statuses{{200, 299}};
  Duration interval = std::chrono::seconds(5);
  Duration timeout = std::chrono::seconds(1);
  uint32_t healthy = 2;
  uint32_t unhealthy = 3;
  friend bool operator==(const ActiveHealth&, const ActiveHealth&) = default;
  static const Struct<ActiveHealth>& schema();
};

struct PassiveHealth {
  uint32_t consecutive_failures = 5;
  std::vector<StatusRange> statuses{{502, 504}};  // answers that count as failures
  std::optional<Percent> error_rate;              // absent: not looked at
  std::optional<double> success_rate_deviation;   // absent: not looked at
  Duration interval = std::chrono::seconds(10);   // over which rates are taken
  uint32_t min_requests = 50;                     // below, no rate is taken
  Duration eject_for = std::chrono::seconds(10);
  Duration max_eject_for = std::chrono::minutes(5);
  Percent max_ejected{0.5};
  static const Struct<PassiveHealth>& schema();
};

struct Health {
  std::optional<ActiveHealth> active;
  std::optional<PassiveHealth> passive;
  Percent panic{0};
  static const Struct<Health>& schema();
};

/// What all of an upstream's targets together carry at most; absent: any number.
struct CircuitBreaker {
  std::optional<uint32_t> max_connections;
  uint32_t max_pending = 1024;
  std::optional<uint32_t> max_requests;
  std::optional<uint32_t> max_retries;
  static const Struct<CircuitBreaker>& schema();
};

/// Why a request may be tried again.
struct RetryCondition {
  enum class Kind : uint8_t { kConnectFailure, kReset, kTimeout, kStatus, kGrpcStatus };
  Kind kind = Kind::kConnectFailure;
  uint16_t status = 0;  // of kStatus and kGrpcStatus
  friend bool operator==(const RetryCondition&, const RetryCondition&) = default;
};

struct Retry {
  uint32_t attempts = 2;  // the first counts
  std::vector<RetryCondition> on{{RetryCondition::Kind::kConnectFailure, 0},
                                 {RetryCondition::Kind::kReset, 0}};
  Percent budget{0.2};  // of the requests at once
  Duration backoff = std::chrono::milliseconds(25);
  ByteSize body = kibibytes(64);
  bool idempotency_key = false;
  static const Struct<Retry>& schema();
};

/// A second try beside a first one that takes long.
struct Hedge {
  Duration after{};
  static const Struct<Hedge>& schema();
};

/// When traffic goes back to where it came from.
struct ShiftRollback {
  std::optional<Percent> error_rate;  // of the requests to the new upstream
  std::optional<Duration> latency;    // of one in twenty
  Duration interval = std::chrono::seconds(10);
  uint32_t min_requests = 50;
  static const Struct<ShiftRollback>& schema();
};

/// Traffic moves to another upstream by and by.
struct Shift {
  std::string to;
  Duration over{};
  std::optional<ShiftRollback> rollback;
  static const Struct<Shift>& schema();
};

/// How many requests an upstream gets at once is found out from how fast it answers.
struct AdaptiveConcurrency {
  uint32_t min = 10;
  uint32_t max = 1000;
  uint32_t initial = 50;
  double tolerance = 1.5;  // so many times the usual latency is no overload
  uint32_t queue = 4;      // more requests a window, while all is well
  Duration window = std::chrono::seconds(1);
  static const Struct<AdaptiveConcurrency>& schema();
};

}  // namespace sluice::config
