// Cancellation: asks whatever waits to stop, resumes nobody inline, and leaves giving back to each owner.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/intrusive_list.h"

namespace sluice::io {

enum class CancelReason : uint8_t { kNone, kClientGone, kDeadline, kDrain, kHandedOver, kRevoked, kShed };
std::string_view cancel_reason_text(CancelReason reason);

class CancelToken;

/// Something whose waits a token can end: a stream, a sleep. It is bound to one token at a time; while that
/// token is cancelled its waits fail at once with ErrorCode::kCancelled.
class Cancellable : public ListHook {
 public:
  void bind(CancelToken& token);
  void unbind() {
    unlink();
    token_ = nullptr;
  }
  bool cancelled() const;

 protected:
  ~Cancellable() = default;
  /// Ends what waits, by queueing the waiter; called once, while cancelling.
  virtual void on_cancel() = 0;

 private:
  friend class CancelToken;
  CancelToken* token_ = nullptr;
};

/// One for each exchange, and for each thing that ends as a whole. Whatever is bound to it when it goes is
/// unbound.
class CancelToken {
 public:
  CancelToken() = default;
  CancelToken(const CancelToken&) = delete;
  CancelToken& operator=(const CancelToken&) = delete;
  ~CancelToken() {
    while (!bound_.empty()) bound_.front().unbind();
  }
  /// The first reason stays.
  void cancel(CancelReason reason) {
    if (reason_ != CancelReason::kNone) return;
    reason_ = reason;
    bound_.for_each([](Cancellable& waiting) { waiting.on_cancel(); });
  }
  bool cancelled() const { return reason_ != CancelReason::kNone; }
  CancelReason reason() const { return reason_; }
  /// For a token that is used again, once nothing waits under it.
  void reset() { reason_ = CancelReason::kNone; }

 private:
  friend class Cancellable;
  IntrusiveList<Cancellable> bound_;
  CancelReason reason_ = CancelReason::kNone;
};

inline void Cancellable::bind(CancelToken& token) {
  unlink();
  token_ = &token;
  token.bound_.push_back(*this);
}
inline bool Cancellable::cancelled() const { return token_ && token_->cancelled(); }

inline std::string_view cancel_reason_text(CancelReason reason) {
  switch (reason) {
    case CancelReason::kNone:
      return "none";
    case CancelReason::kClientGone:
      return "client_gone";
    case CancelReason::kDeadline:
      return "deadline";
    case CancelReason::kDrain:
      return "drain";
    case CancelReason::kHandedOver:
      return "handed_over";
    case CancelReason::kRevoked:
      return "revoked";
    case CancelReason::kShed:
      return "shed";
  }
  return "none";
}

}  // namespace sluice::io
