// A worker's HTTP/2 connections to one target: each carries many exchanges, as many as the target takes.
#pragma once

#include <memory>

#include "base/intrusive_list.h"
#include "gateway/balance/connection_budget.h"
#include "http/h2/client_connection.h"
#include "http/h2/limits.h"
#include "io/loop.h"
#include "io/scope.h"
#include "io/stream.h"
#include "io/timer.h"
#include "telemetry/families.h"
#include "telemetry/metrics.h"

namespace sluice::gateway {

/// Not thread-safe. Connections that still carry something outlive it, in the scope.
class SharedConnections final : private io::Timer {
 public:
  /// What the connections of all targets have in common.
  struct Environment {
    io::Loop& loop;
    telemetry::WorkerMetrics& metrics;
    telemetry::NamedCounters& limit_hits;
    io::TaskScope& scope;  // they run in
  };

  SharedConnections(const Environment& environment, const telemetry::UpstreamMetrics& upstream);
  ~SharedConnections();

  /// An exchange on the first connection that has room for one; null when none has.
  http::ClientExchange* start(const http::ExchangePlace& place);
  /// Makes a connection of a stream on which HTTP/2 is spoken.
  void add(std::unique_ptr<io::Stream> stream, std::string_view scheme, const http::Limits& limits,
           ConnectionPermit permit = {});
  /// How long a connection is kept without an exchange.
  void set_idle_time(Duration idle) { idle_time_ = idle; }
  /// All of them take no more exchanges, and end when they have none.
  void close();
  /// How many requests at once the target takes on a connection, by what it said last; at least one.
  uint32_t usual_room() const { return usual_room_; }

 private:
  class Entry;
  void await_idle();
  void on_timer() override;

  const Environment environment_;
  telemetry::Group<telemetry::Gauge, telemetry::PoolState> gauges_;
  IntrusiveList<Entry> connections_;  // those that take exchanges
  Duration idle_time_;
  uint32_t usual_room_ = http::h2::kMostRequests;
};

}  // namespace sluice::gateway
