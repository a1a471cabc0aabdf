// A token that is cancelled with its parent, and can be cancelled alone: for a part of an exchange.
#pragma once

#include "io/cancel.h"

namespace sluice::io {

class LinkedToken final : public CancelToken, private Cancellable {
 public:
  using CancelToken::cancelled;

  explicit LinkedToken(CancelToken& parent) : parent_(parent) {
    if (parent.cancelled())
      cancel(parent.reason());
    else
      bind(parent);
  }

 private:
  void on_cancel() override { cancel(parent_.reason()); }
  CancelToken& parent_;
};

}  // namespace sluice::io
