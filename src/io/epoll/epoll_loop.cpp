#include "io/epoll/epoll_loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "io/epoll/epoll_datagram.h"
#include "io/epoll/epoll_listener.h"
#include "io/epoll/epoll_stream.h"

namespace sluice::io {

namespace {

constexpr int kBusyTurn = 8;  // events

int check(int descriptor, const char* what) {
  if (descriptor < 0) throw std::system_error(errno, std::system_category(), what);
  return descriptor;
}

}  // namespace

/// The descriptor that `post` from another thread makes ready.
class EpollLoop::Waker final : public EpollTarget {
 public:
  explicit Waker(EpollLoop& loop) : loop_(loop) {}
  void on_events(uint32_t) override {
    uint64_t count;
    [[maybe_unused]] ssize_t n = read(loop_.wake_, &count, sizeof count);
    loop_.run_posted();
  }

 private:
  EpollLoop& loop_;
};

EpollLoop::EpollLoop(uint64_t seed) : SystemLoop(seed) {
  epoll_ = check(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
  wake_ = check(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), "eventfd");
  waker_ = std::make_unique<Waker>(*this);
  auto watched = watch(wake_, *waker_, EPOLLIN);
  if (!watched) throw std::system_error(watched.error().system, std::system_category(), "epoll_ctl");
  update_time();
}

EpollLoop::~EpollLoop() {
  close(wake_);
  close(epoll_);
}

void EpollLoop::wait(Duration timeout) {
  // Rounded up: a turn that comes too early finds nothing due and spins.
  int64_t ms = -1;
  if (timeout != kForever) ms = std::min<int64_t>((timeout.count() + 999'999) / 1'000'000, 60'000);
  int count = epoll_wait(epoll_, events_.data(), static_cast<int>(events_.size()), static_cast<int>(ms));
  event_count_ = std::max(count, 0);
}

void EpollLoop::dispatch() {
  holds_sends_ = event_count_ >= kBusyTurn;
  for (next_event_ = 0; next_event_ < event_count_;) {
    epoll_event& event = events_[static_cast<size_t>(next_event_++)];
    if (event.data.ptr) static_cast<EpollTarget*>(event.data.ptr)->on_events(event.events);
  }
  event_count_ = 0;
  holds_sends_ = false;
  for (size_t i = 0; i < held_.size(); ++i)
    if (held_[i]) held_[i]->on_events(EPOLLOUT);
  held_.clear();
}

void EpollLoop::wake() {
  uint64_t one = 1;
  [[maybe_unused]] ssize_t n = write(wake_, &one, sizeof one);
}

Result<> EpollLoop::watch(int descriptor, EpollTarget& target, uint32_t events) {
  epoll_event event{};
  event.events = events | EPOLLET;
  event.data.ptr = &target;
  if (epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event) < 0)
    return std::unexpected(error_from_errno(errno));
  return {};
}

void EpollLoop::forget(int descriptor, const EpollTarget& target) {
  epoll_ctl(epoll_, EPOLL_CTL_DEL, descriptor, nullptr);
  for (int i = next_event_; i < event_count_; ++i) {
    epoll_event& event = events_[static_cast<size_t>(i)];
    if (event.data.ptr == &target) event.data.ptr = nullptr;
  }
  std::replace(held_.begin(), held_.end(), const_cast<EpollTarget*>(&target),
               static_cast<EpollTarget*>(nullptr));
}

Result<std::unique_ptr<Listener>> EpollLoop::listen(const Address& address, ListenOptions options) {
  return EpollListener::open(*this, address, options);
}

Task<Result<std::unique_ptr<Stream>>> EpollLoop::connect(Address address, CancelToken& token) {
  if (token.cancelled()) co_return fail(ErrorCode::kCancelled);
  auto stream = EpollStream::start_connect(*this, address);
  if (!stream) co_return std::unexpected(stream.error());
  (*stream)->bind(token);
  auto connected = co_await (*stream)->connected();
  if (!connected) co_return std::unexpected(connected.error());
  (*stream)->unbind();
  co_return std::move(*stream);
}

Result<std::unique_ptr<DatagramSocket>> EpollLoop::open_datagrams(const Address& local,
                                                                  const DatagramOptions& options) {
  return EpollDatagramSocket::open(*this, local, options);
}

}  // namespace sluice::io
