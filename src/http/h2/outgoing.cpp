#include "http/h2/outgoing.h"

#include <algorithm>

#include "http/h2/sent_fields.h"

namespace sluice::http::h2 {

namespace {

constexpr Error kWrongLengthError{502, "wrong_length", "The body has another length than announced.", true};
constexpr int kTurnsBeforeYield = 64;

}  // namespace

Portion Outgoing::next_portion(size_t most) const {
  Portion portion;
  portion.bytes = std::min(left_, most);
  portion.end = last_ && portion.bytes == left_;
  if (portion.end) portion.trailers = trailers_;
  return portion;
}

void Outgoing::put_portion(size_t bytes, OutputBatch& batch) {
  std::string_view payload(offered_, bytes);
  if (bytes > OutputBatch::kCopiedBytes)
    batch.refer(payload);
  else if (bytes > 0)
    batch.copy(payload);
  offered_ += bytes;
  left_ -= bytes;
  sent_bytes_ += bytes;
  if (last_ && left_ == 0 && !trailers_) end_sent_ = true;
  carrier_.join_batch(*this);
}

void Outgoing::on_head_sent(size_t bytes, bool end) {
  sent_bytes_ += bytes;
  head_sent_ = true;
  if (end) end_sent_ = true;
  carrier_.join_batch(*this);
}

void Outgoing::offer(const Chunk& chunk) {
  offered_ = chunk.bytes.data();
  left_ = chunk.bytes.size();
  last_ = chunk.end;
  if (chunk.trailers) {
    auto* sent = arena_.make<Fields>(arena_);
    for (const Field& field : *chunk.trailers)
      if (is_sent(field)) sent->add(field);
    trailers_ = sent->empty() ? nullptr : sent;
  }
  if (broken()) return;
  carrier_.session().resume(id_);
  carrier_.schedule_write();
}

/// Until what was offered has left, or never will. In any case nothing points at it any more.
io::Task<bool> Outgoing::delivered(io::CancelToken& until) {
  for (;;) {
    bool stop = broken() || until.cancelled();
    if (!linked()) {
      if (last_ ? end_sent_ : left_ == 0) co_return true;
      if (stop) {
        left_ = 0;
        last_ = false;
        co_return false;
      }
    }
    if (stop)
      co_await signal_.wait_anyway();
    else
      co_await signal_.wait(until);
  }
}

/// Before the head is out the peer's window is taken for granted, so that head and body leave together.
/// Nothing is read of a body before the peer could refuse what is too much for it: that can be sent elsewhere
/// then.
bool Outgoing::has_window() const {
  return carrier_.takes_bodies() && (!head_sent_ || carrier_.session().has_window(id_));
}

io::Task<> Outgoing::wait_for_window(io::CancelToken& until) {
  while (!broken() && !until.cancelled() && !has_window()) {
    waits_for_window_ = true;
    co_await signal_.wait(until);
    waits_for_window_ = false;
  }
}

WriteResult Outgoing::broken_off(io::CancelToken& until) const {
  WriteResult result;
  result.outcome = WriteResult::Outcome::kSinkFailed;
  result.sink_error.code = until.cancelled() ? io::ErrorCode::kCancelled : io::ErrorCode::kReset;
  result.anything_written = head_sent_;
  return result;
}

io::Task<WriteResult> Outgoing::send(Body body, BodyLength length, TransferWatch& watch,
                                     io::CancelToken& until) {
  using Waiting = TransferWatch::Waiting;
  using Kind = BodyLength::Kind;
  uint64_t left = length.bytes;
  WriteResult result;
  for (int turn = 1;; ++turn) {
    watch.waiting = Waiting::kSink;
    if (!has_window()) co_await wait_for_window(until);
    if (broken() || until.cancelled()) {
      result = broken_off(until);
      break;
    }
    body_begun_ = true;
    ChunkResult chunk = Chunk{.bytes = body.bytes, .end = true};
    if (body.stream && !body.stream->try_read(chunk)) {
      watch.waiting = Waiting::kSource;
      chunk = co_await body.stream->read();
    }
    if (chunk && length.kind == Kind::kKnown) {
      bool fits = chunk->bytes.size() <= left;
      if (fits) left -= chunk->bytes.size();
      if (!fits || (chunk->end && left != 0)) chunk = std::unexpected(kWrongLengthError);
    }
    if (!chunk) {
      result.outcome = WriteResult::Outcome::kSourceFailed;
      result.source_error = chunk.error();
      break;
    }
    watch.source_moved += chunk->bytes.size();
    watch.waiting = Waiting::kSink;
    if (chunk->bytes.empty() && !chunk->end) continue;
    offer(*chunk);
    bool gone = co_await delivered(until);
    if (!gone) {
      result = broken_off(until);
      break;
    }
    if (chunk->end) break;
    if (turn % kTurnsBeforeYield == 0) co_await loop_.yield();
  }
  watch.waiting = Waiting::kNobody;
  result.anything_written = head_sent_;
  co_return result;
}

}  // namespace sluice::http::h2
