#include "io/sim/sim_datagram.h"

#include "base/hash.h"
#include "io/sim/sim_world.h"

namespace sluice::io {

namespace {

bool is_unspecified(const Address& address) {
  return std::ranges::all_of(address.bytes, [](uint8_t byte) { return byte == 0; });
}

uint64_t mixed(const Address& address) {
  std::string_view bytes(reinterpret_cast<const char*>(address.bytes.data()), address.bytes.size());
  return mix64(hash64(bytes) ^ address.port);
}

}  // namespace

Result<std::unique_ptr<DatagramSocket>> SimDatagramSocket::open(SimLoop& loop, const Address& local,
                                                                const DatagramOptions& options) {
  if (loop.world().out_of_descriptors(loop)) return fail(ErrorCode::kNoDescriptors);
  std::unique_ptr<SimDatagramSocket> socket(new SimDatagramSocket(loop, options));
  auto bound = loop.world().datagrams().add(*socket, local);
  if (!bound) return std::unexpected(bound.error());
  socket->address_ = *bound;
  return socket;
}

SimDatagramSocket::~SimDatagramSocket() {
  assert(!receiver_);
  loop_.world().datagrams().remove(*this);
  loop_.forget(*this);
}

size_t SimDatagramSocket::send(std::span<const Datagram> datagrams) {
  size_t sent = 0;
  for (const Datagram& datagram : datagrams) {
    Address source = datagram.local.port != 0 ? datagram.local : address_;
    if (is_unspecified(source)) source = Address::loopback(address_.port);
    Address to = options_.remote.value_or(datagram.peer);
    sent += loop_.world().datagrams().send(*this, source, to, datagram.bytes) ? 1 : 0;
  }
  return sent;
}

void SimDatagramSocket::arrive(Waiting datagram) {
  uint32_t room = options_.waiting_bytes > 0 ? options_.waiting_bytes : kWaitingBytes;
  if (waiting_bytes_ + datagram.bytes.size() > room) return;
  waiting_bytes_ += datagram.bytes.size();
  waiting_.push_back(std::move(datagram));
  loop_.notify(*this, kInput);
}

void SimDatagramSocket::refuse() {
  refused_ = true;
  loop_.notify(*this, kInput);
}

bool SimDatagramSocket::try_receive(Result<Received>& result) {
  if (cancelled()) {
    result = fail(ErrorCode::kCancelled);
    return true;
  }
  if (std::exchange(refused_, false)) {
    result = fail(ErrorCode::kRefused);
    return true;
  }
  if (waiting_.empty()) return false;
  lent_.clear();
  views_.clear();
  while (!waiting_.empty() && lent_.size() < kBatch) {
    waiting_bytes_ -= waiting_.front().bytes.size();
    lent_.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  for (const Waiting& datagram : lent_) views_.push_back({datagram.peer, datagram.local, datagram.bytes});
  result = Received(views_);
  return true;
}

void SimDatagramSocket::wait_receive(std::coroutine_handle<> waiter, Result<Received>* result) {
  assert(!receiver_);
  receiver_ = waiter;
  result_ = result;
}

void SimDatagramSocket::on_events(uint32_t) {
  if (!receiver_ || !try_receive(*result_)) return;
  std::exchange(receiver_, nullptr).resume();
}

void SimDatagramSocket::on_cancel() {
  if (!receiver_) return;
  *result_ = fail(ErrorCode::kCancelled);
  loop_.ready(std::exchange(receiver_, nullptr));
}

Result<Address> SimDatagrams::add(SimDatagramSocket& socket, const Address& local) {
  Address bound = local;
  if (bound.port == 0) bound.port = world_.next_port();
  for (const SimDatagramSocket* other : sockets_)
    if (other->address_ == bound && !(other->options_.reuse_port && socket.options_.reuse_port))
      return fail(ErrorCode::kAddressInUse);
  sockets_.push_back(&socket);
  return bound;
}

bool SimDatagrams::send(const SimDatagramSocket& from, const Address& source, const Address& to,
                        std::string_view bytes) {
  if (flights_.size() >= kOnTheWay) return false;
  Duration delay = world_.options().latency;
  if (world_.strikes(FaultKind::kJitter)) delay += world_.drawn_time(FaultKind::kJitter);
  uint32_t number = next_++;
  flights_.emplace(number, Flight{source, to, std::string(bytes)});
  world_.trace_.add(world_.now(), from.loop_.index(), 0, SimTrace::Event::kWrite, bytes.size());
  world_.trace_.add_bytes(bytes);
  world_.queue().add(world_.now() + delay, *this, number);
  return true;
}

void SimDatagrams::on_due(uint32_t what) {
  auto found = flights_.find(what);
  Flight flight = std::move(found->second);
  flights_.erase(found);
  if (world_.swallows(flight.to)) return;
  if (SimDatagramSocket* to = find(flight.from, flight.to)) {
    world_.trace_.add(world_.now(), to->loop_.index(), 0, SimTrace::Event::kArrive, flight.bytes.size());
    Address local = is_unspecified(to->address_) ? flight.to : Address{};
    return to->arrive({flight.from, local, std::move(flight.bytes)});
  }
  // ICMP tells a socket that has one peer only.
  if (SimDatagramSocket* sender = find(flight.to, flight.from); sender && sender->options_.remote)
    sender->refuse();
}

/// A socket whose only peer it is, or one of those bound there: always the same one for a peer.
SimDatagramSocket* SimDatagrams::find(const Address& from, const Address& to) {
  std::vector<SimDatagramSocket*> fit;
  for (SimDatagramSocket* socket : sockets_) {
    bool bound =
        socket->address_ == to || (socket->address_.port == to.port && is_unspecified(socket->address_));
    if (!bound) continue;
    if (socket->options_.remote && *socket->options_.remote == from) return socket;
    if (!socket->options_.remote) fit.push_back(socket);
  }
  return fit.empty() ? nullptr : fit[mixed(from) % fit.size()];
}

}  // namespace sluice::io
