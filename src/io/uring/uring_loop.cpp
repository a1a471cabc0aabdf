#include "io/uring/uring_loop.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <stdexcept>
#include <system_error>

#include "io/uring/buffer_ring.h"
#include "io/uring/ring.h"
#include "io/uring/uring_datagram.h"
#include "io/uring/uring_listener.h"
#include "io/uring/uring_stream.h"

namespace sluice::io {

namespace {

constexpr unsigned kOperationBits = 8;  // of a submission's user data; the rest is the slot
constexpr UringLoop::Slot kNoSlot = std::numeric_limits<UringLoop::Slot>::max();
constexpr int kCompletionsATurn = 1024;  // so that timers have their turn too
constexpr unsigned kBusyTurn = 8;        // completions
constexpr int kLettingGoRounds = 20;     // of 50 ms

uint64_t user_data(UringLoop::Slot slot, Operation operation) {
  return static_cast<uint64_t>(slot) << kOperationBits | static_cast<uint64_t>(operation);
}

timespec to_timespec(Duration duration) {
  return {.tv_sec = duration.count() / 1'000'000'000, .tv_nsec = duration.count() % 1'000'000'000};
}

}  // namespace

/// The descriptor that `post` from another thread makes ready.
class UringLoop::Waker final : public UringTarget {
 public:
  explicit Waker(UringLoop& loop) : loop_(loop), slot_(loop.add(*this)) { listen(); }
  ~Waker() { loop_.remove(slot_); }

 private:
  void listen() {
    io_uring_sqe& entry = loop_.prepare(slot_, Operation::kPoll);
    entry.opcode = IORING_OP_POLL_ADD;
    entry.fd = loop_.wake_;
    entry.poll32_events = POLLIN;
    entry.len = IORING_POLL_ADD_MULTI;
  }
  void on_completion(Operation, int, uint32_t flags) override {
    uint64_t count;
    [[maybe_unused]] ssize_t n = read(loop_.wake_, &count, sizeof count);
    if (!(flags & IORING_CQE_F_MORE)) listen();
    loop_.run_posted();
  }

  UringLoop& loop_;
  Slot slot_;
};

UringLoop::UringLoop(uint64_t seed)
    : SystemLoop(seed), lent_(std::make_unique<BufferRing>()), first_free_(kNoSlot) {
  auto ring = Ring::open();
  if (!ring) throw std::runtime_error(ring.error());
  ring_ = std::move(*ring);
  auto buffers = lent_->open(*ring_);
  if (!buffers) throw std::runtime_error(buffers.error());
  wake_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (wake_ < 0) throw std::system_error(errno, std::system_category(), "eventfd");
  waker_ = std::make_unique<Waker>(*this);
  update_time();
}

UringLoop::~UringLoop() {
  let_go();
  ring_.reset();
  close(wake_);
}

void UringLoop::let_go() {
  waker_.reset();
  if (!ring_->enabled()) return;
  for (int i = 0; operations_ > 0 && i < kLettingGoRounds; ++i) {
    wait(std::chrono::milliseconds(50));
    dispatch();
  }
  ring_->disable();
}

void UringLoop::begin() {
  ring_->enable();
  if (!waker_) waker_ = std::make_unique<Waker>(*this);
}

bool UringLoop::has_events() {
  // What is submitted may be complete at once, a send above all; the time that takes is not spent waiting.
  if (ring_->has_submissions() && !ring_->has_completions()) ring_->enter(nullptr, false);
  return ring_->has_completions();
}

void UringLoop::wait(Duration timeout) {
  if (timeout == kForever) {
    ring_->enter(nullptr, true);
  } else if (timeout > Duration::zero()) {
    timespec limit = to_timespec(timeout);
    ring_->enter(&limit, false);
  } else if (!ring_->has_completions() || ring_->has_submissions()) {
    ring_->enter(nullptr, false);
  }
}

void UringLoop::dispatch() {
  busy_ = ring_->completions() >= kBusyTurn;
  turn_before_ = std::exchange(turn_, now());
  io_uring_cqe completion;
  for (int i = 0; i < kCompletionsATurn && ring_->pop(completion); ++i) complete(completion);
}

void UringLoop::complete(const io_uring_cqe& completion) {
  auto operation = static_cast<Operation>(completion.user_data & ((1u << kOperationBits) - 1));
  if (operation == Operation::kNone) return;
  auto slot = static_cast<Slot>(completion.user_data >> kOperationBits);
  Registered& registered = slots_[slot];
  if (!(completion.flags & IORING_CQE_F_MORE)) {
    registered.in_flight &= static_cast<uint8_t>(~bit(operation));
    --operations_;
  }
  if (registered.target) return registered.target->on_completion(operation, completion.res, completion.flags);
  complete_without_target(operation, completion.res, completion.flags);
  if (!registered.in_flight) free_slot(slot);
}

void UringLoop::complete_without_target(Operation operation, int result, uint32_t flags) {
  if (operation == Operation::kReceive && (flags & IORING_CQE_F_BUFFER))
    lent_->give_back(lent_->take(flags >> IORING_CQE_BUFFER_SHIFT, 0));
  if (operation == Operation::kAccept && result >= 0) close(result);
}

void UringLoop::wake() {
  uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(wake_, &one, sizeof one);
}

UringLoop::Slot UringLoop::add(UringTarget& target) {
  if (first_free_ == kNoSlot) {
    slots_.push_back({&target, kNoSlot, 0});
    return static_cast<Slot>(slots_.size() - 1);
  }
  Slot slot = first_free_;
  first_free_ = slots_[slot].next_free;
  slots_[slot] = {&target, kNoSlot, 0};
  return slot;
}

void UringLoop::remove(Slot slot) {
  slots_[slot].target = nullptr;
  uint8_t in_flight = slots_[slot].in_flight;
  if (!in_flight) return free_slot(slot);
  for (auto operation :
       {Operation::kReceive, Operation::kPoll, Operation::kSend, Operation::kConnect, Operation::kAccept}) {
    if (!(in_flight & bit(operation))) continue;
    // What is not submitted yet names its descriptor by a number, which is another thread's new connection as
    // soon as that is closed here.
    if (!ring_->withdraw(user_data(slot, operation))) cancel(slot, operation);
  }
}

void UringLoop::free_slot(Slot slot) {
  slots_[slot].next_free = first_free_;
  first_free_ = slot;
}

io_uring_sqe& UringLoop::prepare(Slot slot, Operation operation) {
  assert(!in_flight(slot, operation));
  io_uring_sqe& entry = ring_->next_submission();
  entry.user_data = user_data(slot, operation);
  slots_[slot].in_flight |= bit(operation);
  ++operations_;
  return entry;
}

void UringLoop::cancel(Slot slot, Operation operation) {
  io_uring_sqe& entry = ring_->next_submission();
  entry.opcode = IORING_OP_ASYNC_CANCEL;
  entry.fd = -1;
  entry.addr = user_data(slot, operation);
  entry.flags = IOSQE_CQE_SKIP_SUCCESS;
  entry.user_data = user_data(slot, Operation::kNone);
}

Result<std::unique_ptr<Listener>> UringLoop::listen(const Address& address, ListenOptions options) {
  return UringListener::open(*this, address, options);
}

Task<Result<std::unique_ptr<Stream>>> UringLoop::connect(Address address, CancelToken& token) {
  if (token.cancelled()) co_return fail(ErrorCode::kCancelled);
  auto stream = UringStream::start_connect(*this, address);
  if (!stream) co_return std::unexpected(stream.error());
  (*stream)->bind(token);
  auto connected = co_await (*stream)->connected();
  if (!connected) co_return std::unexpected(connected.error());
  (*stream)->unbind();
  co_return std::move(*stream);
}

Result<std::unique_ptr<DatagramSocket>> UringLoop::open_datagrams(const Address& local,
                                                                  const DatagramOptions& options) {
  return UringDatagramSocket::open(*this, local, options);
}

}  // namespace sluice::io
