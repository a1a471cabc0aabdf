#include "io/sim/sim_stream.h"

#include <cerrno>

#include "io/sim/sim_world.h"

namespace sluice::io {

SimStream::SimStream(SimLoop& loop, SimConnection& connection)
    : ReadinessStream(loop, connection.from()), connection_(connection), side_(1) {
  connection.attach(*this);
}

SimStream::SimStream(SimLoop& loop, SimConnection& connection, const Address& to)
    : ReadinessStream(loop, to), connection_(connection), side_(0) {}

std::unique_ptr<SimStream> SimStream::start_connect(SimLoop& loop, const Address& source, const Address& to) {
  SimConnection& connection = loop.world().take_connection();
  std::unique_ptr<SimStream> stream(new SimStream(loop, connection, to));
  stream->begin_connecting();
  connection.begin(loop.world().next_connection_number(), *stream, source, to);
  return stream;
}

SimStream::~SimStream() {
  loop().forget(*this);
  connection_.close(side_, aborted_);
}

ssize_t SimStream::receive(char* to, size_t room, Error& error) {
  if (connection_.readable(side_) > 0) return static_cast<ssize_t>(connection_.read(side_, to, room));
  if (connection_.end_arrived(side_)) return 0;
  if (!connection_.broken(side_)) return kWouldWait;
  error = {ErrorCode::kReset, ECONNRESET};
  return kFailed;
}

bool SimStream::receivable() {
  return connection_.readable(side_) > 0 || connection_.end_arrived(side_) || connection_.broken(side_);
}

ssize_t SimStream::transmit(std::span<const iovec> pieces, Error& error) {
  if (connection_.ended(side_) || connection_.broken(side_)) {
    // Where the peer's end came first, the reset is no news to the reader.
    bool ended = connection_.ended(side_) || connection_.end_arrived(side_);
    error = {ErrorCode::kReset, ended ? EPIPE : ECONNRESET};
    return kFailed;
  }
  return static_cast<ssize_t>(connection_.write(side_, pieces));
}

Result<> SimStream::connect_result() {
  if (connection_.refused()) return fail(ErrorCode::kRefused);
  if (connection_.broken(side_)) return fail(ErrorCode::kReset);
  return {};
}

void SimStream::on_events(uint32_t events) {
  bool broken = events & kHangUp;
  bool hung_up = broken || (events & kEnd);
  on_readiness({.input = hung_up || (events & kInput),
                .output = broken || (events & kOutput),
                .hung_up = hung_up,
                .broken = broken});
}

}  // namespace sluice::io
