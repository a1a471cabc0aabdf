#include "io/sim/sim_offload.h"

#include "io/sim/sim_world.h"

namespace sluice::io {

bool SimOffload::submit(Queued queued) {
  if (active_ == jobs_max_) return false;
  ++active_;
  Duration lasts{};
  if (world_.strikes(FaultKind::kOffloadSlow)) {
    lasts = world_.drawn_time(FaultKind::kOffloadSlow);
    world_.strike({.kind = FaultKind::kOffloadSlow,
                   .loop = static_cast<SimLoop*>(queued.loop)->index(),
                   .from = world_.now(),
                   .until = world_.now() + lasts});
  }
  uint32_t place;
  if (free_.empty()) {
    place = static_cast<uint32_t>(jobs_.size());
    jobs_.push_back(queued);
  } else {
    place = free_.back();
    free_.pop_back();
    jobs_[place] = queued;
  }
  if (lasts == Duration{})
    on_due(place);
  else
    world_.queue().add(world_.now() + lasts, *this, place);
  return true;
}

void SimOffload::on_due(uint32_t job) {
  Queued due = jobs_[job];
  free_.push_back(job);
  --active_;
  (*due.job)();
  send_home(due);
}

}  // namespace sluice::io
