#include "traffic_client.h"

#include "faults.h"
#include "io/linked_token.h"
#include "wait.h"

namespace sluice::sim {

namespace {

/// Longer than all that the gateway may wait for.
constexpr Duration kPatience = std::chrono::seconds(60);

std::string request_of(const TrafficCall& call, std::string_view cookie) {
  std::string text = call.method + " " + call.path + " HTTP/1.1\r\nHost: sim.test\r\n";
  text += "X-Sim-Exchange: " + std::to_string(call.number) + "\r\nX-Caller: " + call.caller + "\r\n";
  if (!cookie.empty()) text += "Cookie: " + std::string(cookie) + "\r\n";
  if (!call.body.empty()) text += "Content-Length: " + std::to_string(call.body.size()) + "\r\n";
  return text + "\r\n" + call.body;
}

}  // namespace

io::Task<> TrafficClient::run() {
  io::CancelToken never;
  co_await pause(loop_, plan_.start, never);
  for (TrafficCall* call : plan_.calls) {
    co_await pause(loop_, call->pause, never);
    co_await make(*call);
  }
  stream_.reset();
  done_ = true;
}

io::Task<> TrafficClient::connect() {
  io::CancelToken token;
  io::Deadline deadline(loop_, loop_.now() + kPatience, token);
  auto connected = co_await loop_.connect(plan_.to, token);
  if (connected) stream_ = std::move(*connected);
}

io::Task<> TrafficClient::make(TrafficCall& call) {
  if (!stream_) co_await connect();
  if (!stream_) co_return;
  io::CancelToken all;
  io::LinkedToken leaving(all);
  stream_->bind(leaving);
  std::optional<io::Deadline> deadline;
  deadline.emplace(loop_, loop_.now() + kPatience, all);
  std::optional<io::Deadline> leave;
  if (call.leaves_after > Duration::zero()) leave.emplace(loop_, loop_.now() + call.leaves_after, leaving);
  call.begun = loop_.now();
  call.outcome = TrafficCall::Outcome::kBroken;
  co_await ask(call);
  bool keeps = co_await read_answer(call);
  call.ended = loop_.now();
  if (all.cancelled())
    violations_.add(Invariant::kNoEndlessWait, "exchange {} has waited {} s for an answer", call.number,
                    seconds(kPatience));
  call.left = leaving.cancelled();
  deadline.reset();
  leave.reset();
  call.harmed = stream_harmed(loop_.world(), *stream_);
  stream_->unbind();
  if (call.left) stream_->abort();
  if (!keeps || call.left) stream_.reset();
}

io::Task<> TrafficClient::ask(TrafficCall& call) {
  std::string text = request_of(call, cookie_);
  call.sticks_to = target_;
  iovec piece{text.data(), text.size()};
  auto written = co_await stream_->write({&piece, 1});
  std::ignore = written;  // the answer tells
}

io::Task<bool> TrafficClient::read_answer(TrafficCall& call) {
  std::string buffer;
  std::optional<BodyDecoder> decoder;
  bool broken = false;
  auto state = BodyDecoder::State::kMore;
  while (state == BodyDecoder::State::kMore && !broken) {
    auto lease = co_await stream_->read();
    if (!lease || lease->empty()) break;
    buffer.append(lease->bytes());
    if (!decoder) {
      auto head = read_head(buffer, broken);
      if (!head) continue;
      buffer.erase(0, head->bytes);
      call.status = head->status();
      call.head = head->fields;
      auto rule = answer_body_rule(*head, call.method);
      if (!rule) broken = true;
      decoder.emplace(rule.value_or(BodyRule{}));
    }
    std::string_view rest(buffer);
    state = decoder->take(rest, call.answer);
    buffer.erase(0, buffer.size() - rest.size());
    broken |= state == BodyDecoder::State::kBroken;
  }
  if (broken || (state == BodyDecoder::State::kDone && !buffer.empty()))
    violations_.add(Invariant::kOneAnswer, "the answer of exchange {} is no HTTP", call.number);
  if (state != BodyDecoder::State::kDone) co_return false;
  call.outcome = TrafficCall::Outcome::kAnswered;
  std::string_view given = call.head.value("set-cookie");
  if (!given.empty()) {
    cookie_ = given.substr(0, given.find(';'));
    target_ = call.servings.empty() ? std::nullopt : std::optional(call.servings.back()->target);
  }
  co_return call.head.value("connection") != "close" && !broken;
}

}  // namespace sluice::sim
