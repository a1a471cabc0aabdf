// What stays of an exchange that became a tunnel: its line of the access log, and what it counts into. It
// knows no route any more, so that it keeps no configuration alive.
#pragma once

#include <memory>

#include "base/intrusive_list.h"
#include "base/time.h"
#include "http/tunnel.h"
#include "http/websocket/relay.h"
#include "io/stream.h"
#include "telemetry/access_log.h"

namespace sluice::gateway {

class Exchange;
class Worker;

/// How a tunnel ended; texts are static.
struct TunnelEnd {
  std::string_view how;         // of `sluice_websockets_ended_total`
  std::string_view error_code;  // for the log; empty: nothing was wrong
  telemetry::ErrorBy error_by = telemetry::ErrorBy::kNobody;
  std::string_view dry_run = {};  // code of what was found and let pass
  http::websocket::RelayCount count = {};
};

/// In its worker's list as long as it lives.
class Tunnel : public http::Tunnel, public ListHook {
 public:
  ~Tunnel() override;
  /// The worker goes: both sides are to be told when they can be.
  virtual void drain() = 0;
  /// Takes over the line that the exchange would have written.
  void keep(const telemetry::AccessRecord& record);

 protected:
  Tunnel(Exchange& exchange, io::Stream& client);
  /// To be called when it is whole: `drain` may come at once.
  void begin();
  /// To be called once, when both sides are done.
  void ended(const TunnelEnd& end);

 private:
  Worker& worker_;
  io::Stream& client_;
  Instant since_;
  uint64_t taken_before_;
  uint64_t written_before_;
  std::unique_ptr<telemetry::KeptRecord> record_;  // null: it is not logged
};

}  // namespace sluice::gateway
