// The policy interface: one door of the corridor that a request walks down (see ARCHITECTURE.md).
#pragma once

#include <cstdint>
#include <utility>

#include "io/task.h"

namespace sluice::gateway {

class Exchange;

/// What a policy's request phase says: go on, an answer stands in `Exchange::response`, or wait for a task
/// that says either.
class [[nodiscard]] Step {
 public:
  enum class Kind : uint8_t { kNext, kAnswer, kWait };

  static Step next() { return Step(Kind::kNext); }
  static Step answer() { return Step(Kind::kAnswer); }
  static Step wait(io::Task<Step> task) {
    Step step(Kind::kWait);
    step.task_ = std::move(task);
    return step;
  }

  Kind kind() const { return kind_; }
  io::Task<Step> take_task() { return std::move(task_); }

 private:
  explicit Step(Kind kind) : kind_(kind) {}
  Kind kind_;
  io::Task<Step> task_;
};

/// One configured policy. Built once per configuration, immutable, shared by every exchange of every worker.
class Policy {
 public:
  /// The hooks that it has; the others are not called.
  struct Hooks {
    bool request = false;
    bool response = false;
    bool end = false;
    bool response_waits = false;  // `wait_response` instead of `on_response`
  };

  virtual ~Policy() = default;
  virtual Hooks hooks() const = 0;
  /// Request phase. Go on, or answer now. Returning without suspending costs no coroutine frame.
  virtual Step on_request(Exchange&) const { return Step::next(); }
  /// Response phase: the head is known, the body not read. May change both.
  virtual void on_response(Exchange&) const {}
  /// The same for a policy that may have to read the body before it knows the head.
  virtual io::Task<> wait_response(Exchange&) const { co_return; }
  /// After the last byte, also when the exchange failed or was cancelled. Never throws, never waits.
  virtual void on_end(const Exchange&) const noexcept {}
};

}  // namespace sluice::gateway
