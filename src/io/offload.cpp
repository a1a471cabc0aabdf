#include "io/offload.h"

namespace sluice::io {

OffloadPool::OffloadPool(size_t threads, size_t queue_max) : queue_max_(queue_max), idle_(threads) {
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { run_thread(); });
}

OffloadPool::~OffloadPool() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wanted_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool OffloadPool::submit(Queued queued) {
  {
    std::lock_guard lock(mutex_);
    // A job that an idle thread is about to take does not wait.
    if (queue_.size() >= queue_max_ + idle_) return false;
    queue_.push_back(queued);
  }
  wanted_.notify_one();
  return true;
}

void OffloadPool::run_thread() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wanted_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) return;
    Queued next = queue_.front();
    queue_.pop_front();
    --idle_;
    lock.unlock();
    (*next.job)();
    // Idle before the asker knows: it may ask again at once.
    lock.lock();
    ++idle_;
    lock.unlock();
    send_home(next);
    lock.lock();
  }
}

}  // namespace sluice::io
