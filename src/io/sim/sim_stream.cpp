#include "io/sim/sim_stream.h"

#include <algorithm>
#include <cstring>

#include "io/sim/sim_listener.h"
#include "io/sim/sim_world.h"

namespace sluice::io {

SimStream::SimStream(SimLoop& loop, std::shared_ptr<SimConnection> connection, size_t side,
                     const Address& peer)
    : loop_(loop), connection_(std::move(connection)), side_(side), peer_(peer) {
  connection_->ends[side] = this;
}

std::unique_ptr<SimStream> SimStream::start_connect(SimLoop& loop, const Address& source, const Address& to) {
  auto connection = std::make_shared<SimConnection>();
  std::unique_ptr<SimStream> stream(new SimStream(loop, connection, 0, to));
  stream->connecting_ = true;
  SimWorld& world = loop.world();
  if (world.swallows(to)) return stream;
  SimListener* listener = world.find_listener(to);
  stream->refused_ = !listener;
  if (listener)
    listener->offer(std::unique_ptr<Stream>(new SimStream(listener->loop(), connection, 1, source)));
  loop.notify(*stream, kOutput);
  return stream;
}

SimStream::~SimStream() {
  assert(!reader_ && !writer_);
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
  for (auto& pipe : connection_->pipes) pipe.bytes.clear();
  for (SimStream* end : connection_->ends)
    if (end) end->loop_.notify(*end, kInput | kEnd | kOutput | kHangUp);
}

size_t SimStream::share_of(size_t bytes) {
  SimWorld& world = loop_.world();
  return world.options().split_transfers && bytes > 1 ? 1 + world.random().below(bytes) : bytes;
}

bool SimStream::try_read(Result<Lease>& result) {
  if (!unread_.empty()) {
    result = std::move(unread_);
    return true;
  }
  if (cancelled()) {
    result = fail(ErrorCode::kCancelled);
    return true;
  }
  if (ended_) {
    result = Lease();
    return true;
  }
  if (!readable_) return false;
  if (connection_->broken) {
    result = fail(ErrorCode::kReset);
    return true;
  }
  SimConnection::Pipe& pipe = in();
  if (pipe.bytes.empty()) {
    if (pipe.ended) {
      ended_ = true;
      result = Lease();
      return true;
    }
    readable_ = false;
    return false;
  }
  Buffer* buffer = loop_.buffers().take(false);
  size_t count = share_of(std::min<size_t>(pipe.bytes.size(), buffer->capacity));
  std::memcpy(buffer->data(), pipe.bytes.data(), count);
  pipe.bytes.erase(0, count);
  if (pipe.bytes.empty() && !hung_up_) readable_ = false;
  bytes_read_ += count;
  if (pipe.starved && other()) {
    pipe.starved = false;
    other()->loop_.notify(*other(), kOutput);
  }
  result = Lease(buffer, static_cast<uint32_t>(count));
  return true;
}

bool SimStream::try_readable(Result<>& result) {
  result = {};
  if (!unread_.empty() || readable_ || ended_) return true;
  if (!cancelled()) return false;
  result = fail(ErrorCode::kCancelled);
  return true;
}

bool SimStream::try_write(std::span<const iovec> pieces, Result<>& result) {
  if (cancelled()) {
    result = fail(ErrorCode::kCancelled);
    return true;
  }
  pieces_ = pieces;
  pieces_done_ = 0;
  return send_pieces(result);
}

bool SimStream::send_pieces(Result<>& result) {
  SimConnection::Pipe& pipe = out();
  size_t skip = pieces_done_;
  for (const iovec& piece : pieces_) {
    if (skip >= piece.iov_len) {
      skip -= piece.iov_len;
      continue;
    }
    size_t left = piece.iov_len - skip;
    if (connection_->broken || pipe.ended) {
      result = fail(ErrorCode::kReset);
      return true;
    }
    size_t room = loop_.world().options().pipe_bytes - pipe.bytes.size();
    size_t count = share_of(std::min(left, room));
    pipe.bytes.append(static_cast<const char*>(piece.iov_base) + skip, count);
    skip = 0;
    pipe.written = loop_.world().now();
    bytes_written_ += count;
    pieces_done_ += count;
    if (SimStream* reader = other(); !reader) {
      break_connection();
    } else if (count > 0) {
      reader->loop_.notify(*reader, kInput);
    }
    if (count == left) continue;
    if (count == room)
      pipe.starved = true;
    else
      loop_.notify(*this, kOutput);
    return false;
  }
  result = {};
  return true;
}

void SimStream::wait_read(std::coroutine_handle<> waiter, Result<Lease>* result) {
  assert(!reader_);
  reader_ = waiter;
  read_result_ = result;
}

void SimStream::wait_readable(std::coroutine_handle<> waiter, Result<>* result) {
  assert(!reader_);
  reader_ = waiter;
  readable_result_ = result;
}

void SimStream::wait_write(std::coroutine_handle<> waiter, Result<>* result) {
  assert(!writer_);
  writer_ = waiter;
  write_result_ = result;
}

void SimStream::on_events(uint32_t events) {
  // Output first: resuming the reader may end and destroy the stream.
  bool input = events & (kInput | kEnd | kHangUp);
  if (events & (kEnd | kHangUp)) hung_up_ = true;
  if (input) readable_ = true;
  if (writer_ && (events & (kOutput | kHangUp)) && finish_output()) {
    std::coroutine_handle<> writer = std::exchange(writer_, nullptr);
    if (!reader_ || !input) return writer.resume();
    // Both wait. The writer goes by way of the queue, for the stream may be gone once the first was resumed.
    loop_.ready(writer);
  }
  if (!input) return;
  if (reader_) return on_input();
  if (observer_) observer_->on_disturbed(events & kHangUp);
}

void SimStream::on_input() {
  if (readable_result_) {
    *std::exchange(readable_result_, nullptr) = {};
  } else {
    if (!try_read(*read_result_)) return;
    read_result_ = nullptr;
  }
  std::exchange(reader_, nullptr).resume();
}

bool SimStream::finish_output() {
  if (connecting_) {
    connecting_ = false;
    if (refused_)
      *write_result_ = fail(ErrorCode::kRefused);
    else if (connection_->broken)
      *write_result_ = fail(ErrorCode::kReset);
    else
      *write_result_ = {};
    return true;
  }
  return send_pieces(*write_result_);
}

void SimStream::on_cancel() {
  if (reader_) {
    if (readable_result_)
      *std::exchange(readable_result_, nullptr) = fail(ErrorCode::kCancelled);
    else
      *std::exchange(read_result_, nullptr) = fail(ErrorCode::kCancelled);
    loop_.ready(std::exchange(reader_, nullptr));
  }
  if (writer_) {
    *write_result_ = fail(ErrorCode::kCancelled);
    loop_.ready(std::exchange(writer_, nullptr));
  }
}

Duration SimStream::input_age() const { return loop_.world().now() - connection_->pipes[1 - side_].written; }

void SimStream::shutdown_write() {
  if (out().ended || connection_->broken) return;
  out().ended = true;
  bool both = in().ended;
  if (SimStream* reader = other())
    reader->loop_.notify(*reader, both ? kInput | kEnd | kHangUp : kInput | kEnd);
  if (both && connection_->ends[side_]) loop_.notify(*this, kHangUp);
}

}  // namespace sluice::io
