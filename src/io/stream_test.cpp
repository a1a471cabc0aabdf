// Every back-end of the loop keeps the contract of streams.
#include "io/stream_contract.h"

namespace sluice::io {
namespace {

using namespace std::chrono_literals;

/// A world where bytes take their time, now more and now less, in small portions.
struct SlowSimBackend : fixture::SimBackend {
  SlowSimBackend() : SimBackend(options()) {}
  static SimOptions options() {
    SimOptions options{.seed = 3, .pipe_bytes = 100'000, .split_transfers = true, .latency = 3ms};
    options.faults[FaultKind::kJitter] = {.per_million = 500'000, .up_to = 5ms};
    return options;
  }
};
using Backends =
    testing::Types<fixture::EpollBackend, fixture::UringBackend, fixture::SimBackend, SlowSimBackend>;

}  // namespace

namespace contract {
INSTANTIATE_TYPED_TEST_SUITE_P(Backends, StreamContract, Backends);
}

}  // namespace sluice::io
