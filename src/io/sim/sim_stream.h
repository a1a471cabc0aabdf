// One end of a simulated connection. It waits, wakes and fails as an EpollStream does.
#pragma once

#include "io/readiness_stream.h"
#include "io/sim/sim_connection.h"
#include "io/sim/sim_loop.h"

namespace sluice::io {

/// As TCP does it: closing an end that has unread bytes, or was told to abort, resets the connection, and so
/// does writing to an end that is closed. What arrived before a reset can still be read, as on Linux.
class SimStream final : public ReadinessStream, public SimTarget {
 public:
  /// The end that is to be accepted.
  SimStream(SimLoop& loop, SimConnection& connection);
  ~SimStream() override;

  static std::unique_ptr<SimStream> start_connect(SimLoop& loop, const Address& source, const Address& to);

  void shutdown_write() override { connection_.end(side_); }
  void abort() override { aborted_ = true; }
  Duration input_age() const override { return connection_.input_age(side_); }
  Address local() const override { return side_ == 0 ? connection_.from() : connection_.to(); }

  SimLoop& loop() const { return static_cast<SimLoop&>(ReadinessStream::loop()); }
  uint32_t connection_number() const { return connection_.number(); }
  /// A fault strikes its connection.
  void strike(FaultKind kind) { connection_.strike(kind); }

 private:
  SimStream(SimLoop& loop, SimConnection& connection, const Address& to);
  ssize_t receive(char* to, size_t room, Error& error) override;
  bool receivable() override;
  ssize_t transmit(std::span<const iovec> pieces, Error& error) override;
  Result<> connect_result() override;
  void on_events(uint32_t events) override;

  SimConnection& connection_;
  uint8_t side_;
  bool aborted_ = false;
};

}  // namespace sluice::io
