// A UDP socket on a UringLoop: a poll says when there is something, and one call fetches the batch.
#pragma once

#include "io/system_datagram.h"
#include "io/uring/uring_loop.h"

namespace sluice::io {

class UringDatagramSocket final : public SystemDatagramSocket, private UringTarget {
 public:
  ~UringDatagramSocket() override { loop_.remove(slot_); }

  static Result<std::unique_ptr<DatagramSocket>> open(UringLoop& loop, const Address& local,
                                                      const DatagramOptions& options);

 private:
  UringDatagramSocket(UringLoop& loop, DatagramBatch& batch, int descriptor, bool connected);
  void on_completion(Operation operation, int result, uint32_t flags) override;
  void poll();

  UringLoop& loop_;
  UringLoop::Slot slot_;
};

}  // namespace sluice::io
