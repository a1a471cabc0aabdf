#include "io/sim/sim_stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "io/sim/sim_listener.h"
#include "io/sim/sim_world.h"

namespace sluice::io {

SimStream::SimStream(SimLoop& loop, std::shared_ptr<SimConnection> connection, size_t side,
                     const Address& peer)
    : ReadinessStream(loop, peer), loop_(loop), connection_(std::move(connection)), side_(side) {
  connection_->ends[side] = this;
}

std::unique_ptr<SimStream> SimStream::start_connect(SimLoop& loop, const Address& source, const Address& to) {
  auto connection = std::make_shared<SimConnection>();
  std::unique_ptr<SimStream> stream(new SimStream(loop, connection, 0, to));
  stream->begin_connecting();
  SimWorld& world = loop.world();
  world.connections_.emplace_back();
  connection->number = static_cast<uint32_t>(world.connections_.size());
  if (world.swallows(to)) return stream;
  SimListener* listener = world.find_listener(to);
  stream->refused_ = !listener;
  if (listener)
    listener->offer(std::unique_ptr<Stream>(new SimStream(listener->loop(), connection, 1, source)));
  loop.notify(*stream, kOutput);
  return stream;
}

SimStream::~SimStream() {
  loop_.forget(*this);
  connection_->ends[side_] = nullptr;
  if (connection_->broken) return;
  if (aborted_ || !in().bytes.empty()) {
    break_connection();
  } else if (!out().ended) {
    shutdown_write();
  }
}

void SimStream::break_connection() {
  connection_->broken = true;
  for (SimStream* end : connection_->ends)
    if (end) end->loop_.notify(*end, kInput | kEnd | kOutput | kHangUp);
}

size_t SimStream::share_of(size_t bytes) {
  SimWorld& world = loop_.world();
  return world.options().split_transfers && bytes > 1 ? 1 + world.random().below(bytes) : bytes;
}

ssize_t SimStream::receive(char* to, size_t room, Error& error) {
  SimConnection::Pipe& pipe = in();
  if (pipe.bytes.empty()) {
    if (pipe.ended) return 0;
    if (!connection_->broken) return kWouldWait;
    error = {ErrorCode::kReset, ECONNRESET};
    return kFailed;
  }
  size_t count = share_of(std::min(pipe.bytes.size(), room));
  std::memcpy(to, pipe.bytes.data(), count);
  pipe.bytes.erase(0, count);
  if (!pipe.bytes.empty() && count < room) loop_.notify(*this, kInput);
  if (pipe.starved && other()) {
    pipe.starved = false;
    other()->loop_.notify(*other(), kOutput);
  }
  return static_cast<ssize_t>(count);
}

bool SimStream::receivable() { return !in().bytes.empty() || in().ended || connection_->broken; }

ssize_t SimStream::transmit(std::span<const iovec> pieces, Error& error) {
  SimConnection::Pipe& pipe = out();
  if (connection_->broken || pipe.ended) {
    // Where the peer's end came first, the reset is news to nobody.
    error = {ErrorCode::kReset, pipe.ended || in().ended ? EPIPE : ECONNRESET};
    return kFailed;
  }
  size_t total = 0;
  for (const iovec& piece : pieces) total += piece.iov_len;
  size_t room = loop_.world().options().pipe_bytes - pipe.bytes.size();
  size_t count = share_of(std::min(total, room));
  size_t left = count;
  for (const iovec& piece : pieces) {
    size_t part = std::min(left, piece.iov_len);
    pipe.bytes.append(static_cast<const char*>(piece.iov_base), part);
    left -= part;
  }
  if (SimStream* reader = other(); !reader)
    break_connection();
  else if (count > 0)
    reader->loop_.notify(*reader, kInput);
  if (count == room)
    pipe.starved = true;
  else if (count < total)
    loop_.notify(*this, kOutput);
  return static_cast<ssize_t>(count);
}

Result<> SimStream::connect_result() {
  if (refused_) return fail(ErrorCode::kRefused);
  if (connection_->broken) return fail(ErrorCode::kReset);
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

void SimStream::shutdown_write() {
  if (out().ended || connection_->broken) return;
  out().ended = true;
  bool both = in().ended;
  if (SimStream* reader = other())
    reader->loop_.notify(*reader, both ? kInput | kEnd | kHangUp : kInput | kEnd);
  if (both && connection_->ends[side_]) loop_.notify(*this, kHangUp);
}

}  // namespace sluice::io
