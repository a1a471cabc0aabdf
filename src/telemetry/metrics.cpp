#include "telemetry/metrics.h"

namespace sluice::telemetry {

WorkerMetrics::~WorkerMetrics() {
  for (std::atomic<Chunk*>& chunk : chunks_) delete chunk.load(std::memory_order_relaxed);
}

void WorkerMetrics::grow_to(uint32_t chunks) {
  for (uint32_t i = 0; i < chunks; ++i)
    if (!chunks_[i].load(std::memory_order_relaxed)) chunks_[i].store(new Chunk, std::memory_order_release);
}

}  // namespace sluice::telemetry
