// The way from workers to whoever looks after the health of targets: a target has failed too often in a row.
#pragma once

#include <functional>
#include <memory>

#include "gateway/upstream.h"
#include "io/loop.h"

namespace sluice::gateway {

class HealthReports {
 public:
  using Receiver = std::function<void(const std::shared_ptr<TargetIdentity>&)>;

  /// Before the first worker; without it reports are dropped.
  void receive_on(io::Loop& loop, Receiver receiver) {
    loop_ = &loop;
    receiver_ = std::move(receiver);
  }
  /// From any worker's thread.
  void failing(const std::shared_ptr<TargetIdentity>& target) {
    if (loop_) loop_->post([this, target] { receiver_(target); });
  }

 private:
  io::Loop* loop_ = nullptr;
  Receiver receiver_;
};

}  // namespace sluice::gateway
