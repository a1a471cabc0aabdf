// One end of a simulated connection. It waits, wakes and fails as an EpollStream does.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "io/readiness_stream.h"
#include "io/sim/sim_loop.h"

namespace sluice::io {

class SimStream;

/// What lies between two ends.
struct SimConnection {
  struct Pipe {
    std::string bytes;     // written and not yet read
    bool ended = false;    // no more will be written
    bool starved = false;  // its writer waits for room
  };
  std::array<Pipe, 2> pipes;         // by the end that writes
  std::array<SimStream*, 2> ends{};  // null when closed
  bool broken = false;
  uint32_t number = 0;
};

/// As TCP does it: closing an end that has unread bytes, or was told to abort, resets the connection, and so
/// does writing to an end that is closed. What arrived before a reset can still be read, as on Linux.
class SimStream final : public ReadinessStream, private SimTarget {
 public:
  ~SimStream() override;

  static std::unique_ptr<SimStream> start_connect(SimLoop& loop, const Address& source, const Address& to);

  void shutdown_write() override;
  void abort() override { aborted_ = true; }
  uint32_t connection_number() const { return connection_->number; }

 private:
  SimStream(SimLoop& loop, std::shared_ptr<SimConnection> connection, size_t side, const Address& peer);

  SimConnection::Pipe& in() { return connection_->pipes[1 - side_]; }
  SimConnection::Pipe& out() { return connection_->pipes[side_]; }
  SimStream* other() { return connection_->ends[1 - side_]; }
  void break_connection();

  ssize_t receive(char* to, size_t room, Error& error) override;
  bool receivable() override;
  ssize_t transmit(std::span<const iovec> pieces, Error& error) override;
  Result<> connect_result() override;
  void on_events(uint32_t events) override;
  size_t share_of(size_t bytes);

  SimLoop& loop_;
  std::shared_ptr<SimConnection> connection_;
  size_t side_;
  bool aborted_ = false;
  bool refused_ = false;
};

}  // namespace sluice::io
