#include "client.h"

#include "faults.h"
#include "tls.h"

namespace sluice::sim {

namespace {
/// How long a client that reads no more stays away.
constexpr Duration kDeafTime = std::chrono::seconds(40);
/// What a client that trickles sends in a second.
constexpr size_t kDrop = 10;
}  // namespace

io::Task<> Client::run() {
  io::CancelToken never;
  co_await pause(loop_, plan_.start, never);
  while (next_ < plan_.calls.size()) co_await use_connection();
  done_ = true;
}

std::string Client::describe() const {
  if (finished_ < outstanding_)
    return fmt::format("exchange {} ({}) has no answer", plan_.calls[finished_]->number,
                       plan_.calls[finished_]->kind);
  return fmt::format("{} of {} calls made, connection {}", next_, plan_.calls.size(),
                     stream_ ? "open" : "closed");
}

bool Client::finished_well() const {
  const Call& last = *plan_.calls.back();
  return plan_.stays && last.outcome == Outcome::kAnswered && last.written && !last_answer_ &&
         !last.spoiled && plan_.read_after == 0;
}

/// The next call is not made; the one after it tries again.
void Client::pass_over_call() {
  ++next_;
  ++outstanding_;
  ++finished_;
}

io::Task<bool> Client::connect(io::CancelToken& token) {
  auto connected = co_await loop_.connect(plan_.to, token);
  if (!connected) {
    if (connected.error().code == io::ErrorCode::kRefused) refusals_.push_back(loop_.now());
    co_return false;
  }
  connection_ = io::SimWorld::connection_number(**connected);
  stream_ = std::move(*connected);
  stream_->bind(token);
  if (!plan_.tls) co_return true;
  auto secured =
      SimTls::get().client->connect(loop_, std::move(stream_), std::string(kGatewayName), sessions_);
  secured->bind(token);
  auto shaken = co_await secured->handshake();
  if (!shaken) co_return false;
  stream_ = std::move(secured);
  co_return true;
}

io::Task<> Client::use_connection() {
  io::CancelToken token;
  token_ = &token;
  {
    io::Deadline deadline(loop_, loop_.now() + patience_, token);
    bool connected = co_await connect(token);
    if (!connected) {
      pass_over_call();
      co_return;
    }
  }
  ended_ = last_answer_ = in_body_ = deaf_ = idle_ = false;
  buffer_.clear();
  size_t first = outstanding_;
  io::TaskScope writer;
  writer.spawn(send_calls());
  co_await read_answers();
  ended_ = true;
  progress_.notify();
  token.cancel(io::CancelReason::kShed);
  co_await writer.join();
  if (outstanding_ == first && next_ < plan_.calls.size()) {
    // The gateway ended it before a call was made; so that it goes on, this one is not made.
    pass_over_call();
  }
  bool harmed = loop_.world().harmed(connection_);
  bool spoiled = false;
  for (size_t i = first; i < outstanding_; ++i) spoiled |= plan_.calls[i]->deed != ClientDeed::kNone;
  for (size_t i = first; i < outstanding_; ++i) {
    plan_.calls[i]->harmed |= harmed;
    plan_.calls[i]->spoiled = spoiled;
    if (i + 1 < outstanding_) plan_.calls[i]->next = plan_.calls[i + 1];
  }
  finished_ = outstanding_;
  stream_.reset();
}

io::Task<> Client::send_calls() {
  while (next_ < plan_.calls.size()) {
    Call& call = *plan_.calls[next_];
    while (!plan_.pipelined && finished_ < outstanding_ && !ended_) co_await progress_.wait(loop_, *token_);
    if (call.pause_before > Duration::zero()) co_await pause(loop_, call.pause_before, *token_);
    if (ended_ || last_answer_ || token_->cancelled()) co_return;
    ++next_;
    ++outstanding_;
    bool goes_on = co_await send_call(call);
    if (!goes_on || call.asks_close || call.broken_frame) co_return;
  }
  if (!plan_.half_closes) co_return;
  stream_->shutdown_write();
  for (size_t i = finished_; i < outstanding_; ++i) plan_.calls[i]->side_ended = true;
}

io::Task<bool> Client::send_call(Call& call) {
  call.begun = call.turn = loop_.now();
  written_ = 0;
  bool sent = co_await send_bytes(call, call.head_wire);
  if (!sent) co_return false;
  call.head_sent = true;
  if (call.expects_continue) {
    while (!call.continued && !call.answer_begun && !ended_)
      co_await progress_.wait(loop_, *token_, patience_);
    // A final answer instead of 100: the body is kept, and what follows could not be told from it.
    if (!call.continued) {
      call.written = true;
      co_return false;
    }
  }
  sent = co_await send_bytes(call, call.body_wire);
  if (!sent) co_return false;
  call.sent = loop_.now();
  call.written = true;
  if (call.deed == ClientDeed::kLeave) {
    if (call.pause_before > Duration::zero()) co_await pause(loop_, call.pause_before, *token_);
    if (call.answer_begun || ended_) {
      call.deed = ClientDeed::kNone;
      co_return true;
    }
    stream_->abort();
    token_->cancel(io::CancelReason::kShed);
    call.left_at = loop_.now();
    co_return false;
  }
  bool on_request = call.deed == ClientDeed::kResetRequest || call.deed == ClientDeed::kEndRequest ||
                    call.deed == ClientDeed::kStallRequest;
  if (on_request) call.deed = ClientDeed::kNone;  // its byte was never reached
  co_return true;
}

io::Task<bool> Client::send_bytes(Call& call, std::string_view bytes) {
  bool on_request = call.deed == ClientDeed::kResetRequest || call.deed == ClientDeed::kEndRequest ||
                    call.deed == ClientDeed::kStallRequest;
  while (!bytes.empty()) {
    if (ended_ || (last_answer_ && finished_ == outstanding_)) co_return false;
    size_t count = bytes.size();
    if (call.write_piece) count = std::min(count, call.write_piece);
    if (on_request) {
      if (written_ >= call.deed_at) {
        co_await act_deed(call);
        co_return false;
      }
      count = std::min<size_t>(count, call.deed_at - written_);
    }
    bool trickles = call.deed == ClientDeed::kTrickle && written_ + count > call.deed_at;
    if (trickles) {
      count = std::min<size_t>(count, kDrop);
      co_await pause(loop_, std::chrono::seconds(1), *token_);
    }
    iovec piece{const_cast<char*>(bytes.data()), count};
    auto written = co_await stream_->write({&piece, 1});
    if (!written) co_return false;
    written_ += count;
    bytes.remove_prefix(count);
    if (call.write_pause > Duration::zero() && !bytes.empty())
      co_await pause(loop_, call.write_pause, *token_);
  }
  co_return true;
}

io::Task<> Client::act_deed(Call& call) {
  if (call.deed == ClientDeed::kResetRequest) {
    stream_->abort();
    token_->cancel(io::CancelReason::kShed);
  } else if (call.deed == ClientDeed::kEndRequest) {
    stream_->shutdown_write();
  }
  co_return;
}

io::Task<> Client::read_answers() {
  size_t since_pause = 0;
  for (;;) {
    io::Deadline deadline(loop_, loop_.now() + patience_, *token_);
    bool was_idle = std::exchange(idle_, finished_ == outstanding_ && next_ == plan_.calls.size());
    if (idle_ && !was_idle) idle_since_ = loop_.now();
    auto lease = co_await stream_->read();
    if (!lease || lease->empty()) {
      if (token_->reason() == io::CancelReason::kDeadline)
        violations_.add(Invariant::kNoEndlessWait, "a client has waited {} s for the gateway: {}",
                        seconds(patience_), describe());
      bool reset = !lease;
      if (idle_) let_go_at_ = loop_.now();
      if (last_answer_ && !in_body_ && finished_ > 0) {
        plan_.calls[finished_ - 1]->closed = loop_.now();
        plan_.calls[finished_ - 1]->closed_by_reset = reset;
      }
      close_outstanding(reset);
      co_return;
    }
    size_t count = lease->size();
    buffer_.append(lease->bytes());
    lease->release();
    received_ += count;
    since_pause += count;
    bool sound = parse();
    progress_.notify();
    if (!sound) {
      close_outstanding(true);
      co_return;
    }
    Call* call = finished_ < outstanding_ ? plan_.calls[finished_] : nullptr;
    if (call && call->answer_bytes + buffer_.size() >= call->deed_at) {
      if (call->deed == ClientDeed::kResetAnswer) {
        stream_->abort();
        close_outstanding(true);
        co_return;
      }
      if (call->deed == ClientDeed::kStallAnswer && !deaf_) {
        deaf_ = true;
        co_await pause(loop_, kDeafTime, *token_);
      }
    }
    if (plan_.read_after && since_pause >= plan_.read_after) {
      since_pause = 0;
      co_await pause(loop_, plan_.read_pause, *token_);
    }
    bool all = finished_ == outstanding_ && next_ == plan_.calls.size();
    if (all && !plan_.stays && !last_answer_ && plan_.calls.back()->written) co_return;
  }
}

bool Client::parse() {
  for (;;) {
    if (!in_body_) {
      if (buffer_.empty()) return true;
      if (finished_ == outstanding_) {
        violations_.add(Invariant::kOneAnswer, "{} bytes came that answer nothing: \"{}\"", buffer_.size(),
                        buffer_.substr(0, 60));
        return false;
      }
      Call& call = *plan_.calls[finished_];
      if (!begin_answer(call)) return buffer_.size() < 64 * 1024 && !buffer_.empty() && !ended_;
      if (!in_body_) continue;
    }
    Call& call = *plan_.calls[finished_];
    std::string_view rest(buffer_);
    auto state = decoder_.take(rest, call.answer);
    size_t taken = buffer_.size() - rest.size();
    call.answer_bytes += taken;
    buffer_.erase(0, taken);
    if (state == BodyDecoder::State::kBroken) {
      violations_.add(Invariant::kOneAnswer, "the answer of exchange {} has a broken chunk", call.number);
      return false;
    }
    if (state == BodyDecoder::State::kMore) return true;
    call.answer_trailers = decoder_.trailers();
    end_answer(call);
  }
}

/// Takes a head from the buffer, if there is a whole one.
bool Client::begin_answer(Call& call) {
  bool broken = false;
  auto head = read_head(buffer_, broken);
  if (broken || (head && !head->status())) {
    violations_.add(Invariant::kOneAnswer, "the answer of exchange {} ({}) is no HTTP: \"{}\"", call.number,
                    call.kind, buffer_.substr(0, 80));
    buffer_.clear();
    return false;
  }
  if (!head) return false;
  buffer_.erase(0, head->bytes);
  call.answer_bytes += head->bytes;
  int status = head->status();
  if (status < 200) {
    ++call.interim;
    call.continued |= status == 100;
    if (status == 100) call.continued_at = loop_.now();
    if (call.http10)
      violations_.add(Invariant::kOneAnswer, "exchange {} is HTTP/1.0 and got {}", call.number, status);
    if (status == 100 && !call.expects_continue)
      violations_.add(Invariant::kOneAnswer, "exchange {} got a 100 that it did not ask for", call.number);
    return true;
  }
  call.answer_begun = true;
  call.answered = loop_.now();
  // Who has not read the method cannot know that it is HEAD.
  bool may_know = call.head_sent && !(status == 408 && stream_harmed(loop_.world(), *stream_));
  auto rule = answer_body_rule(*head, may_know ? call.method : "GET");
  if (!rule) {
    violations_.add(Invariant::kOneAnswer, "the answer of exchange {} has two lengths", call.number);
    return false;
  }
  if (head->fields.value("connection") == "close") last_answer_ = true;
  call.answer_until_close = rule->framing == Framing::kUntilClose;
  call.answer_has_length = !call.answer_until_close && rule->framing != Framing::kChunked;
  if (call.answer_until_close && !last_answer_)
    violations_.add(Invariant::kOneAnswer,
                    "the answer of exchange {} ends with its connection and does not say so", call.number);
  if (call.http10 && rule->framing == Framing::kChunked)
    violations_.add(Invariant::kOneAnswer, "exchange {} is HTTP/1.0 and got chunks", call.number);
  call.head = std::move(*head);
  decoder_ = BodyDecoder(*rule);
  in_body_ = true;
  if (decoder_.state() == BodyDecoder::State::kDone) end_answer(call);
  return true;
}

void Client::end_answer(Call& call) {
  in_body_ = false;
  call.outcome = Outcome::kAnswered;
  call.ended = loop_.now();
  bool on_answer = call.deed == ClientDeed::kResetAnswer || call.deed == ClientDeed::kStallAnswer;
  if (on_answer && !deaf_) call.deed = ClientDeed::kNone;
  ++finished_;
  if (finished_ < outstanding_) plan_.calls[finished_]->turn = loop_.now();
}

void Client::close_outstanding(bool reset) {
  bool first = true;
  for (; finished_ < outstanding_; ++finished_) {
    Call& call = *plan_.calls[finished_];
    call.reset = reset;
    call.ended = loop_.now();
    bool whole = first && in_body_ && !reset && decoder_.ended_by_close();
    call.outcome = whole ? Outcome::kAnswered : Outcome::kClosed;
    call.excused_by_order = !first || (last_answer_ && !in_body_);
    first = false;
  }
  in_body_ = false;
}

}  // namespace sluice::sim
