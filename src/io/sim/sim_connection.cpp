#include "io/sim/sim_connection.h"

#include <cstring>

#include "io/sim/sim_listener.h"
#include "io/sim/sim_stream.h"
#include "io/sim/sim_world.h"

namespace sluice::io {

namespace {
/// A connection with small buffers and a long way moves one buffer for each trip. So that this mood of the
/// network meets no deadline, a trip takes no longer than this for each byte of the buffer.
constexpr Duration kTripForEachByte = std::chrono::microseconds(10);
constexpr size_t kCompactBytes = 64 * 1024;
constexpr size_t kCompactPortions = 64;
}  // namespace

void SimConnection::Pipe::clear() {
  bytes.clear();
  way.clear();
  begin = arrived = way_begin = 0;
}

void SimConnection::begin(uint32_t number, SimStream& client, const Address& from, const Address& to) {
  number_ = number;
  for (Pipe& pipe : pipes_) {
    pipe.clear();
    pipe.last_arrival = {};
    pipe.capacity = world_.options().pipe_bytes;
    pipe.written = 0;
    pipe.fault_at = UINT64_MAX;
    pipe.scheduled = pipe.ended = pipe.end_arrived = pipe.starved = pipe.cut = false;
  }
  ends_ = {&client, nullptr};
  broken_ = {};
  refused_ = false;
  latency_ = world_.options().latency;
  slowest_ = Duration::max();
  from_ = from;
  to_ = to;
  trace(0, SimTrace::Event::kConnect, to.port);
  draw_faults();
  if (world_.swallows(to)) return;
  if (world_.strikes(FaultKind::kConnectTimeout)) return strike(FaultKind::kConnectTimeout);
  if (world_.strikes(FaultKind::kConnectRefused)) {
    strike(FaultKind::kConnectRefused);
    return refuse_later();
  }
  schedule(world_.now() + delay(), kArriveAtListener);
}

void SimConnection::draw_faults() {
  if (world_.strikes(FaultKind::kLatency)) {
    latency_ += world_.drawn_time(FaultKind::kLatency);
    strike(FaultKind::kLatency);
  }
  if (world_.strikes(FaultKind::kFullBuffer)) {
    size_t bytes = 1 + world_.random().below(world_.options().faults[FaultKind::kFullBuffer].bytes);
    for (Pipe& pipe : pipes_) pipe.capacity = std::min(pipe.capacity, bytes);
    slowest_ = kTripForEachByte * bytes;
    strike(FaultKind::kFullBuffer);
  }
  // At most one of these: what comes first would hide the other.
  for (FaultKind kind : {FaultKind::kReset, FaultKind::kHalfClose, FaultKind::kStall})
    if (world_.strikes(kind)) return draw_byte_fault(kind);
}

void SimConnection::draw_byte_fault(FaultKind kind) {
  Random& random = world_.random();
  const SimFault& fault = world_.options().faults[kind];
  if (kind == FaultKind::kReset && fault.up_to > Duration{} && random.below(2))
    return schedule(world_.now() + world_.drawn_time(kind), kBreak);
  Pipe& pipe = pipes_[random.below(2)];
  pipe.fault = kind;
  // Small numbers are as likely as large ones: heads are short and bodies long.
  pipe.fault_at = random.below((fault.bytes >> random.below(12)) + 1);
}

void SimConnection::refuse_later() {
  refused_ = true;
  schedule(world_.now() + delay(), kEstablished);
}

void SimConnection::arrive_at_listener() {
  if (!ends_[0] || broken_[0]) return;
  SimListener* listener = world_.find_listener(to_);
  if (!listener) return refuse_later();
  listener->offer(std::make_unique<SimStream>(listener->loop(), *this));
  schedule(world_.now() + delay(), kEstablished);
}

void SimConnection::schedule(Instant at, Due what) {
  ++due_;
  if (at <= world_.now())
    on_due(what);
  else
    world_.queue().add(at, *this, what);
}

void SimConnection::on_due(uint32_t what) {
  switch (what) {
    case kDeliver0:
    case kDeliver1:
      deliver(what - kDeliver0);
      break;
    case kArriveAtListener:
      arrive_at_listener();
      break;
    case kEstablished:
      notify(0, SimTarget::kOutput);
      break;
    case kBreak:
      if (!ends_[0] && !ends_[1]) break;
      strike(FaultKind::kReset);
      reset(0);
      reset(1);
      break;
    default:
      reset(what - kBreak0);
  }
  --due_;
  release_if_done();
}

Duration SimConnection::delay() {
  Duration delay = latency_;
  if (world_.strikes(FaultKind::kJitter)) {
    delay += world_.drawn_time(FaultKind::kJitter);
    strike(FaultKind::kJitter);
  }
  return std::min(delay, slowest_);
}

size_t SimConnection::read(size_t side, char* to, size_t room) {
  Pipe& pipe = pipes_[1 - side];
  size_t count = world_.share_of(std::min(pipe.arrived, room), number_);
  std::memcpy(to, pipe.bytes.data() + pipe.begin, count);
  pipe.begin += count;
  pipe.arrived -= count;
  if (pipe.held() == 0) {
    pipe.bytes.clear();
    pipe.begin = 0;
  } else if (pipe.begin >= kCompactBytes) {
    pipe.bytes.erase(0, pipe.begin);
    pipe.begin = 0;
  }
  trace(side, SimTrace::Event::kRead, count);
  if (pipe.arrived > 0 && count < room) notify(side, SimTarget::kInput);
  if (std::exchange(pipe.starved, false)) notify(1 - side, SimTarget::kOutput);
  return count;
}

size_t SimConnection::write(size_t side, std::span<const iovec> pieces) {
  Pipe& pipe = pipes_[side];
  size_t total = 0;
  for (const iovec& piece : pieces) total += piece.iov_len;
  if (pipe.cut) return total;
  size_t room = pipe.capacity - pipe.held();
  size_t count = world_.share_of(std::min(total, room), number_);
  size_t left = count;
  for (const iovec& piece : pieces) {
    size_t part = std::min(left, piece.iov_len);
    pipe.bytes.append(static_cast<const char*>(piece.iov_base), part);
    left -= part;
  }
  pipe.written += count;
  trace(side, SimTrace::Event::kWrite, count);
  world_.trace_.add_bytes(std::string_view(pipe.bytes).substr(pipe.bytes.size() - count));
  if (count > 0) send_bytes(side, count);
  if (pipe.cut) return total;
  if (count < total) {
    if (count == room)
      pipe.starved = true;
    else
      notify(side, SimTarget::kOutput);
  }
  return count;
}

void SimConnection::send_bytes(size_t side, size_t count) {
  Pipe& pipe = pipes_[side];
  if (pipe.fault_at >= pipe.written) return send(side, count, Mark::kBytes);
  size_t rest = pipe.written - pipe.fault_at;
  pipe.fault_at = UINT64_MAX;
  if (count > rest) send(side, count - rest, Mark::kBytes);
  strike_at_byte(side, rest);
}

/// `rest`: bytes at the end of the pipe that were not sent yet.
void SimConnection::strike_at_byte(size_t side, size_t rest) {
  Pipe& pipe = pipes_[side];
  if (pipe.fault == FaultKind::kStall) {
    Duration lasts = world_.drawn_time(FaultKind::kStall);
    strike(FaultKind::kStall, lasts);
    pipe.last_arrival = std::max(pipe.last_arrival, world_.now()) + lasts;
    return send(side, rest, Mark::kBytes);
  }
  pipe.bytes.resize(pipe.bytes.size() - std::min(rest, pipe.held()));
  pipe.cut = true;
  strike(pipe.fault);
  send(side, 0, pipe.fault == FaultKind::kReset ? Mark::kReset : Mark::kEnd);
}

void SimConnection::end(size_t side) {
  Pipe& pipe = pipes_[side];
  if (pipe.ended || broken_[side]) return;
  pipe.ended = true;
  trace(side, SimTrace::Event::kEnd, 0);
  if (!pipe.cut) send(side, 0, Mark::kEnd);
  if (end_arrived(side)) notify(side, SimTarget::kHangUp);
}

void SimConnection::close(size_t side, bool abort) {
  trace(side, SimTrace::Event::kClose, abort);
  ends_[side] = nullptr;
  ++due_;  // not released meanwhile
  bool unread = pipes_[1 - side].arrived > 0;
  if (!broken_[side]) {
    if (abort || unread)
      send(side, 0, Mark::kReset);
    else
      end(side);
  }
  Pipe& in = pipes_[1 - side];
  in.bytes.clear();
  in.begin = in.arrived = 0;
  if (std::exchange(in.starved, false)) notify(1 - side, SimTarget::kOutput);
  --due_;
  release_if_done();
}

void SimConnection::send(size_t side, size_t bytes, Mark mark) {
  Pipe& pipe = pipes_[side];
  Instant now = world_.now();
  Instant at = std::max(pipe.last_arrival, now + delay());
  pipe.last_arrival = at;
  if (pipe.way.empty() && at <= now) return arrive(side, {at, bytes, mark});
  if (!pipe.way.empty() && mark == Mark::kBytes && pipe.way.back().at == at &&
      pipe.way.back().mark == Mark::kBytes) {
    pipe.way.back().bytes += bytes;
    return;
  }
  pipe.way.push_back({at, bytes, mark});
  if (pipe.scheduled) return;
  pipe.scheduled = true;
  ++due_;
  world_.queue().add(at, *this, kDeliver0 + static_cast<uint32_t>(side));
}

void SimConnection::deliver(size_t side) {
  Pipe& pipe = pipes_[side];
  pipe.scheduled = false;
  if (pipe.way_begin >= kCompactPortions) {
    pipe.way.erase(pipe.way.begin(), pipe.way.begin() + static_cast<ptrdiff_t>(pipe.way_begin));
    pipe.way_begin = 0;
  }
  while (pipe.way_begin < pipe.way.size() && pipe.way[pipe.way_begin].at <= world_.now()) {
    Portion portion = pipe.way[pipe.way_begin++];
    if (pipe.way_begin == pipe.way.size()) {
      pipe.way.clear();
      pipe.way_begin = 0;
    }
    arrive(side, portion);
  }
  if (pipe.way.empty()) return;
  pipe.scheduled = true;
  ++due_;
  world_.queue().add(pipe.way[pipe.way_begin].at, *this, kDeliver0 + static_cast<uint32_t>(side));
}

void SimConnection::arrive(size_t side, const Portion& portion) {
  Pipe& pipe = pipes_[side];
  size_t reader = 1 - side;
  switch (portion.mark) {
    case Mark::kBytes:
      if (!ends_[reader])  // TCP answers with a reset
        return schedule(world_.now() + latency_, side == 0 ? kBreak0 : kBreak1);
      pipe.arrived += portion.bytes;
      pipe.arrived_at = world_.now();
      trace(reader, SimTrace::Event::kArrive, portion.bytes);
      return notify(reader, SimTarget::kInput);
    case Mark::kEnd:
      pipe.end_arrived = true;
      notify(reader, SimTarget::kInput | SimTarget::kEnd);
      if (pipes_[reader].ended) notify(reader, SimTarget::kHangUp);
      return;
    case Mark::kReset:
      reset(reader);
      reset(side);
  }
}

void SimConnection::reset(size_t side) {
  if (broken_[side]) return;
  broken_[side] = true;
  Pipe& pipe = pipes_[1 - side];
  pipe.bytes.resize(pipe.begin + pipe.arrived);  // what has arrived can still be read
  pipe.way.clear();
  pipe.way_begin = 0;
  pipe.cut = true;
  trace(side, SimTrace::Event::kReset, 0);
  notify(side, SimTarget::kInput | SimTarget::kEnd | SimTarget::kOutput | SimTarget::kHangUp);
}

void SimConnection::strike(FaultKind kind, Duration lasts) {
  world_.strike(
      {.kind = kind, .connection = number_, .from = world_.now(), .until = world_.now() + lasts, .to = to_});
}

void SimConnection::trace(size_t side, SimTrace::Event event, uint64_t detail) {
  if (ends_[side]) world_.trace_.add(world_.now(), ends_[side]->loop().index(), number_, event, detail);
}

void SimConnection::notify(size_t side, uint32_t events) {
  if (ends_[side]) ends_[side]->loop().notify(*ends_[side], events);
}

void SimConnection::release_if_done() {
  if (!ends_[0] && !ends_[1] && due_ == 0) world_.release(*this);
}

Duration SimConnection::input_age(size_t side) const { return world_.now() - pipes_[1 - side].arrived_at; }

}  // namespace sluice::io
