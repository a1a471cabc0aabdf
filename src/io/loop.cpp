#include "io/loop.h"

namespace sluice::io {

thread_local constinit Loop* current_loop = nullptr;

void Loop::run_ready() {
  running_.swap(ready_);
  for (std::coroutine_handle<> waiter : running_) waiter.resume();
  running_.clear();
}

void Loop::post(Message message) {
  bool first;
  {
    std::lock_guard lock(posted_mutex_);
    first = posted_.empty();
    posted_.push_back(std::move(message));
  }
  if (first) wake();
}

void Loop::run_posted() {
  std::vector<Message> messages;
  {
    std::lock_guard lock(posted_mutex_);
    messages.swap(posted_);
  }
  for (Message& message : messages) message();
}

}  // namespace sluice::io
