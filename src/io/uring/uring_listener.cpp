#include "io/uring/uring_listener.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "io/uring/uring_stream.h"

namespace sluice::io {

UringListener::UringListener(UringLoop& loop, int descriptor)
    : loop_(loop), slot_(loop.add(*this)), descriptor_(descriptor), address_(local_address(descriptor)) {}

UringListener::~UringListener() {
  assert(!acceptor_);
  loop_.remove(slot_);
  for (int accepted : waiting_) close(accepted);
  close(descriptor_);
}

Result<std::unique_ptr<Listener>> UringListener::open(UringLoop& loop, const Address& address,
                                                      ListenOptions options) {
  auto descriptor = open_listening_socket(address, options);
  if (!descriptor) return std::unexpected(descriptor.error());
  return std::unique_ptr<Listener>(new UringListener(loop, *descriptor));
}

bool UringListener::try_accept(Result<std::unique_ptr<Stream>>& result) {
  if (!waiting_.empty()) {
    int accepted = waiting_.front();
    waiting_.pop_front();
    result = UringStream::adopt(loop_, accepted, peer_address(accepted));
    return true;
  }
  if (cancelled()) {
    // What the kernel accepts for us until it has heard of the cancel is ours.
    if (loop_.in_flight(slot_, Operation::kAccept)) {
      loop_.cancel(slot_, Operation::kAccept);
      return false;
    }
    result = accept_last();
    return true;
  }
  if (int system = std::exchange(error_, 0)) {
    if (system == EMFILE || system == ENFILE) reserve_.shed_one(descriptor_);
    result = std::unexpected(error_from_errno(system));
    return true;
  }
  if (!loop_.in_flight(slot_, Operation::kAccept)) {
    io_uring_sqe& entry = loop_.prepare(slot_, Operation::kAccept);
    entry.opcode = IORING_OP_ACCEPT;
    entry.fd = descriptor_;
    entry.accept_flags = SOCK_NONBLOCK | SOCK_CLOEXEC;
    entry.ioprio = IORING_ACCEPT_MULTISHOT;
  }
  return false;
}

/// Of what had come before it was cancelled.
Result<std::unique_ptr<Stream>> UringListener::accept_last() {
  if (last_accepts_ == 0) return fail(ErrorCode::kCancelled);
  int accepted = accept_rest(descriptor_);
  last_accepts_ = accepted < 0 ? 0 : last_accepts_ - 1;
  if (accepted < 0) return fail(ErrorCode::kCancelled);
  return UringStream::adopt(loop_, accepted, peer_address(accepted));
}

void UringListener::wait_accept(std::coroutine_handle<> waiter, Result<std::unique_ptr<Stream>>* result) {
  assert(!acceptor_);
  acceptor_ = waiter;
  result_ = result;
}

void UringListener::on_completion(Operation, int result, uint32_t) {
  // accept(2): an error of the connection that was to be accepted, or a cancel: the next one may be fine.
  constexpr int kPassing[] = {ECANCELED, EINTR,        EAGAIN,      ECONNABORTED, EPROTO,
                              ENETDOWN,  EHOSTUNREACH, ENETUNREACH, EPERM};
  if (result >= 0) {
    waiting_.push_back(result);
    if (waiting_.size() == kWaiting && loop_.in_flight(slot_, Operation::kAccept))
      loop_.cancel(slot_, Operation::kAccept);
  } else if (std::ranges::find(kPassing, -result) == std::end(kPassing)) {
    error_ = -result;
  }
  if (!acceptor_ || !try_accept(*result_)) return;
  std::exchange(acceptor_, nullptr).resume();
}

void UringListener::on_cancel() {
  if (!acceptor_ || !try_accept(*result_)) return;
  loop_.ready(std::exchange(acceptor_, nullptr));
}

}  // namespace sluice::io
