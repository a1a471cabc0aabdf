#include "gateway/queue_delay.h"

namespace sluice::gateway {

void QueueDelay::judge(Instant now) {
  // Coming needs most to be late, going that hardly any is: in between, shedding is what keeps them in time.
  if (now - interval_began_ >= kForgotten)
    behind_ = false;
  else if (behind_)
    behind_ = late_ * 16 > seen_;
  else
    behind_ = late_ >= kLeastLate && late_ * 2 > seen_;
  interval_began_ = now;
  seen_ = late_ = 0;
}

bool QueueDelay::sheds(Duration delay, Duration target, Instant now) {
  if (now - interval_began_ >= kInterval) judge(now);
  ++seen_;
  bool late = delay > target;
  if (late) ++late_;
  return behind_ && late;
}

}  // namespace sluice::gateway
