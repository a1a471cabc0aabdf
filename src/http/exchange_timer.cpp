#include "http/exchange_timer.h"

namespace sluice::http {

void TransferWatch::start(Instant now) {
  next_look_ = now + bounds_.interval;
  source_since_ = sink_since_ = now;
  source_seen_ = source_moved;
  sink_seen_ = sink_moved();
}

bool TransferWatch::look(Instant now) {
  next_look_ = now + bounds_.interval;
  // Only who is waited for can be at fault: a source that may not send has not stalled, nor has a sink
  // without input.
  bool source_waited = waiting == Waiting::kSource;
  if (!source_waited || source_moved != source_seen_) source_since_ = now;
  if (waiting != Waiting::kSink || sink_moved() != sink_seen_) sink_since_ = now;
  bool too_slow = source_waited && source_waited_ && source_moved - source_seen_ < bounds_.source_bytes;
  source_waited_ = source_waited;
  source_seen_ = source_moved;
  sink_seen_ = sink_moved();

  if (too_slow || (bounds_.source_idle > Duration::zero() && now - source_since_ >= bounds_.source_idle))
    stalled_ = Waiting::kSource;
  else if (bounds_.sink_idle > Duration::zero() && now - sink_since_ >= bounds_.sink_idle)
    stalled_ = Waiting::kSink;
  return stalled_ == Waiting::kNobody;
}

void ExchangeTimer::start(TransferWatch*& slot, TransferWatch& watch) {
  if (watch.bounds_.interval <= Duration::zero()) return;
  slot = &watch;
  watch.start(loop_.now());
  arm_for(watch.next_look_);
}

void ExchangeTimer::expire(Phase phase, io::CancelToken& token) {
  expired_ = phase;
  token.cancel(io::CancelReason::kDeadline);
}

void ExchangeTimer::on_timer() {
  Instant now = loop_.now();
  if (now >= total_deadline_) return expire(Phase::kTotal, token_);
  if (upload_ && now >= upload_->next_look_ && !upload_->look(now)) return expire(Phase::kUpload, token_);
  if (download_ && now >= download_->next_look_ && !download_->look(now))
    return expire(Phase::kDownload, token_);
  if (now >= phase_deadline_) {
    // A part ends, the exchange goes on under its other deadlines.
    bool whole = phase_token_ == &token_;
    phase_deadline_ = kNever;
    expire(phase_, *phase_token_);
    if (whole) return;
  }
  Instant next = std::min(total_deadline_, phase_deadline_);
  if (upload_) next = std::min(next, upload_->next_look_);
  if (download_) next = std::min(next, download_->next_look_);
  arm_for(next);
}

}  // namespace sluice::http
