#include "http/websocket/relay.h"

#include <algorithm>
#include <cstring>

namespace sluice::http::websocket {

namespace {

constexpr int kTurnsBeforeYield = 64;
/// An idle relay is looked at so often within the time that it may idle.
constexpr int kLooksWithinIdle = 4;

constexpr CloseReason kLeaving{kGoingAway, "going away"};
constexpr CloseReason kTooIdle{kGoingAway, "idle for too long"};
constexpr CloseReason kTooOld{kGoingAway, "open for too long"};
constexpr CloseReason kPartnerRefused{kGoingAway, "the other side was refused"};

RelayEnd end_of(const CloseReason& violation, bool of_client) {
  if (violation.code == kMessageTooBig)
    return of_client ? RelayEnd::kMessageSize : RelayEnd::kUpstreamMessageSize;
  if (violation.code == kPolicyViolation)
    return of_client ? RelayEnd::kMessageRate : RelayEnd::kUpstreamMessageRate;
  return of_client ? RelayEnd::kProtocol : RelayEnd::kUpstreamProtocol;
}

}  // namespace

std::string_view relay_end_text(RelayEnd end) {
  static constexpr std::string_view kTexts[] = {"client",
                                                "upstream",
                                                "idle",
                                                "max_age",
                                                "message_size",
                                                "message_rate",
                                                "protocol",
                                                "upstream_message_size",
                                                "upstream_message_rate",
                                                "upstream_protocol",
                                                "drain",
                                                "cancelled"};
  return kTexts[static_cast<size_t>(end)];
}

Relay::Relay(io::Loop& loop, io::Stream& client, io::Stream& upstream, io::CancelToken& token,
             const RelayRules& rules)
    : loop_(loop),
      token_(token),
      up_(client, upstream, true),
      down_(upstream, client, false),
      idle_(rules.idle),
      age_ends_(rules.max_age > Duration::zero() ? loop.now() + rules.max_age : kNever),
      moved_at_(loop.now()) {
  if (!rules.checked) return;
  using Sender = MessageChecker::Sender;
  auto up = std::make_unique<MessageChecker>(Sender::kClient, rules.of_client);
  auto down = std::make_unique<MessageChecker>(Sender::kServer, rules.of_upstream);
  (rules.dry_run ? up_.observer : up_.checker) = std::move(up);
  (rules.dry_run ? down_.observer : down_.checker) = std::move(down);
}

RelayEnd Relay::end() const {
  if (end_) return *end_;
  return token_.reason() == io::CancelReason::kClientGone ? RelayEnd::kClient : RelayEnd::kCancelled;
}

RelayCount Relay::count() const {
  RelayCount count{.received = up_.count(), .sent = down_.count(), .close_code = our_code_};
  if (closed_by_) count.close_code = closed_by_->said_code();
  if (count.close_code == 0) count.close_code = kAbnormal;
  return count;
}

io::Task<> Relay::run() {
  running_ = true;
  up_.source.bind(token_);
  down_.source.bind(token_);
  moved_seen_ = moved();
  arm_timer();
  scope_.spawn(pump(up_));
  co_await pump(down_);
  co_await scope_.join();
  disarm();
  up_.source.unbind();
  down_.source.unbind();
}

io::Task<> Relay::pump(Way& way) {
  if (way.due) co_await say_goodbye(way);
  bool broken = false;
  for (int turn = 1;; ++turn) {
    auto lease = co_await way.source.read();
    broken = !lease;
    if (broken || lease->empty()) break;
    Pieces pieces = take(way, lease->bytes());
    if (pieces.count > 0) {
      way.writing = true;
      auto written = co_await way.sink.write({pieces.all, pieces.count});
      way.writing = false;
      if (!written) {
        // The source is read on, so that what the sink has said before can still be told to it in peace.
        way.stopped = true;
        end_within(kCloseTime);
      }
    }
    if (way.checker && way.checker->violation() && !way.due) violated(way);
    if (way.due && !way.stopped) co_await say_goodbye(way);
    if (pieces.used < lease->size()) overlook(way, lease->bytes().substr(pieces.used));
    if (turn % kTurnsBeforeYield == 0) co_await loop_.yield();
  }
  if (&way == &down_ && refusal_) {
    way.due = *refusal_;
    co_await say_goodbye(way);
  }
  source_ended(way, broken);
}

Relay::Pieces Relay::take(Way& way, std::string_view bytes) {
  Pieces pieces;
  pieces.used = bytes.size();
  if (way.stopped) {
    overlook(way, bytes);
    return pieces;
  }
  bool to_boundary = way.due.has_value();
  size_t passed = 0;
  if (way.checker) {
    passed = way.checker->check(bytes, loop_.now(), to_boundary);
    pieces.add(way.checker->held());
    if (way.checker->close_seen()) note_close(way);
  } else {
    passed = pass_frames(way, bytes, to_boundary);
    if (way.observer) observe(way, bytes.substr(0, passed));
  }
  pieces.add(bytes.substr(0, passed));
  if (to_boundary && way.at_boundary()) pieces.used = passed;
  return pieces;
}

void Relay::overlook(Way& way, std::string_view bytes) {
  if (!way.checker) {
    pass_frames(way, bytes, false);
  } else if (!way.checker->violation()) {
    way.checker->check(bytes, loop_.now());
    if (way.checker->close_seen()) note_close(way);
  }
}

/// How many bytes it went over: all of them, or `to_boundary` those up to the end of the frame at hand.
size_t Relay::pass_frames(Way& way, std::string_view bytes, bool to_boundary) {
  std::string_view input = bytes;
  while (!input.empty()) {
    auto event = way.reader.next(input);
    if (event == FrameReader::Event::kHead) note_head(way);
    if (event == FrameReader::Event::kPayload && way.close_seen) note_close_code(way);
    if (to_boundary && way.reader.at_boundary()) break;
  }
  return bytes.size() - input.size();
}

void Relay::note_head(Way& way) {
  const FrameHead& head = way.reader.head();
  if (head.opcode == Opcode::kText || head.opcode == Opcode::kBinary) ++way.messages;
  // What is no close frame by all that a head says belongs to something that is not RFC 6455.
  if (head.opcode == Opcode::kClose && head.fin && head.masked == way.masks && head.reserved == 0 &&
      head.length <= kMaxControlPayload)
    note_close(way);
}

/// The first two bytes of a close frame, in whatever pieces they come (section 5.5.1).
void Relay::note_close_code(Way& way) {
  const FrameHead& head = way.reader.head();
  if (head.opcode != Opcode::kClose || head.length < 2) return;
  uint64_t at = way.reader.payload_offset();
  for (char c : way.reader.payload().substr(0, at < 2 ? 2 - at : 0)) {
    auto byte = static_cast<uint8_t>(head.masked ? c ^ head.mask[at] : c);
    way.close_code = at == 0 ? static_cast<uint16_t>(byte << 8) : way.close_code | byte;
    ++at;
  }
}

/// What a dry run finds: the first thing only, and everything passes.
void Relay::observe(Way& way, std::string_view bytes) {
  way.observer->check(bytes, loop_.now());
  if (!way.observer->violation() || observed_) return;
  observed_ = end_of(*way.observer->violation(), way.masks);
}

void Relay::note_close(Way& way) {
  if (way.close_seen) return;
  way.close_seen = true;
  if (!closed_by_ && our_code_ == 0) closed_by_ = &way;
  if (&way == &down_ && refusal_) way.due = *refusal_;
  finish(other(way), way);
  // Both have said goodbye: nothing is left but to end (RFC 6455, section 7.1.1).
  if (other(way).close_seen) end_within(kCloseTime);
}

void Relay::source_ended(Way& way, bool broken) {
  way.ended = true;
  if (token_.cancelled()) return;
  if (!end_) end_ = way.masks ? RelayEnd::kClient : RelayEnd::kUpstream;
  if (!way.writing) way.sink.shutdown_write();
  // An end alone may be one half of a connection whose other half goes on.
  if (broken || way.close_seen || other(way).close_seen) end_within(kCloseTime);
}

void Relay::violated(Way& way) {
  const CloseReason& violation = *way.checker->violation();
  if (!closed_by_ && our_code_ == 0) our_code_ = violation.code;
  RelayEnd end = end_of(violation, way.masks);
  if (way.masks)
    refuse_client(end, violation);
  else
    close(end, kPartnerRefused, violation);
  // Within a frame nothing can be said to the sink any more but the end.
  if (way.stopped || way.at_boundary()) return;
  way.stopped = true;
  way.sink.shutdown_write();
}

/// What the upstream answers to all that was sound goes before.
void Relay::refuse_client(RelayEnd end, const CloseReason& violation) {
  if (!end_) end_ = end;
  end_within(kCloseTime);
  tell(up_, kPartnerRefused);
  if (down_.due || down_.stopped || down_.ended) return;
  refusal_ = violation;
  down_.checker->withhold_close();
  refused_by_ = loop_.now() + kLastWordsTime;
  arm_timer();
}

void Relay::drain() { close(RelayEnd::kDrain, kLeaving, kLeaving); }

void Relay::close(RelayEnd end, const CloseReason& to_client, const CloseReason& to_upstream) {
  if (!end_) end_ = end;
  if (!closed_by_ && our_code_ == 0) our_code_ = to_client.code;
  // A worker that drains has a time of its own for everybody.
  if (end != RelayEnd::kDrain) end_within(kCloseTime);
  tell(down_, to_client);
  tell(up_, to_upstream);
}

void Relay::tell(Way& way, const CloseReason& reason) {
  if (way.due || way.stopped || way.ended) return;
  way.due = &way == &down_ && refusal_ ? *refusal_ : reason;
  // Who writes says it when that is done.
  if (running_ && !way.writing && way.at_boundary()) scope_.spawn(say_goodbye(way));
}

io::Task<> Relay::say_goodbye(Way& way) {
  if (way.stopped || !way.at_boundary()) co_return;
  way.stopped = true;
  std::array<char, 4> mask;
  auto bits = static_cast<uint32_t>(loop_.random().next());
  std::memcpy(mask.data(), &bits, mask.size());
  CloseFrame frame = way.masks ? CloseFrame(*way.due, mask) : CloseFrame(*way.due);
  iovec piece{const_cast<char*>(frame.bytes().data()), frame.bytes().size()};
  way.writing = true;
  auto written = co_await way.sink.write({&piece, 1});
  way.writing = false;
  if (!written) co_return;  // whoever reads from the sink finds out
  way.close_sent = true;
  if (way.ended)
    way.sink.shutdown_write();
  else
    finish(way, other(way));
}

void Relay::finish(Way& to, Way& from) {
  if (!to.close_sent || !from.close_seen || to.ended) return;
  to.sink.shutdown_write();
  end_within(kCloseTime);
}

void Relay::end_within(Duration time) {
  ends_by_ = std::min(ends_by_, loop_.now() + time);
  if (running_) arm_timer();
}

uint64_t Relay::moved() const {
  return up_.source.bytes_read() + up_.sink.bytes_written() + down_.source.bytes_read() +
         down_.sink.bytes_written();
}

void Relay::arm_timer() {
  Instant next = std::min({ends_by_, age_ends_, refused_by_});
  if (idle_ > Duration::zero()) next = std::min(next, loop_.now() + idle_ / kLooksWithinIdle);
  if (next != kNever) loop_.timers().arm(*this, next);
}

void Relay::on_timer() {
  Instant now = loop_.now();
  if (now >= ends_by_) {
    token_.cancel(io::CancelReason::kDeadline);
    return;
  }
  if (now >= refused_by_) {
    refused_by_ = kNever;
    tell(down_, *refusal_);
  }
  if (now >= age_ends_) {
    age_ends_ = kNever;
    close(RelayEnd::kMaxAge, kTooOld, kTooOld);
  }
  uint64_t seen = moved();
  if (seen != moved_seen_) {
    moved_seen_ = seen;
    moved_at_ = now;
  } else if (idle_ > Duration::zero() && now - moved_at_ >= idle_) {
    close(RelayEnd::kIdle, kTooIdle, kTooIdle);
  }
  arm_timer();
}

}  // namespace sluice::http::websocket
