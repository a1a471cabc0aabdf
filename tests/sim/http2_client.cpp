#include "http2_client.h"

#include "call.h"
#include "faults.h"

namespace sluice::sim {

namespace {

constexpr uint32_t kCancel = 8;

Fields head_of(const Http2Call& call) {
  Fields head;
  head.add(":method", call.websocket ? "CONNECT" : call.method);
  if (call.websocket) head.add(":protocol", "websocket");
  head.add(":scheme", "http");
  head.add(":path", call.path);
  head.add(":authority", "sim.test");
  head.add("x-sim-exchange", std::to_string(call.number));
  if (call.websocket) head.add("sec-websocket-version", "13");
  if (call.length && !call.websocket) head.add("content-length", std::to_string(call.body.size()));
  return head;
}

std::string http1_request(const Http2Call& call) {
  std::string text = call.method + " " + call.path + " HTTP/1.1\r\nHost: sim.test\r\nConnection: close\r\n";
  text += "X-Sim-Exchange: " + std::to_string(call.number) + "\r\n";
  if (call.body.empty()) return text + "\r\n";
  if (call.length)
    return text + "Content-Length: " + std::to_string(call.body.size()) + "\r\n\r\n" + call.body;
  Fields trailers;
  if (call.trailers) trailers.add("x-sim-trailer", std::to_string(call.number));
  return text + "Transfer-Encoding: chunked\r\n\r\n" + chunked(call.body, 1000, trailers, "");
}

}  // namespace

io::Task<> Http2Client::run() {
  io::CancelToken never;
  co_await pause(loop_, plan_.start, never);
  if (plan_.http1) {
    for (Http2Call* call : plan_.calls) co_await make_http1(*call);
  } else {
    co_await use_http2();
  }
  done_ = true;
}

io::Task<> Http2Client::use_http2() {
  io::CancelToken token;
  std::optional<io::Deadline> deadline;
  deadline.emplace(loop_, loop_.now() + patience_, token);
  auto connected = co_await loop_.connect(plan_.to, token);
  deadline.reset();
  if (!connected) co_return;
  Http2Session session(loop_, std::move(*connected), nullptr, {.window = plan_.window});
  io::TaskScope scope;
  scope.spawn(session.run(token));
  io::TaskScope calls;
  for (Http2Call* call : plan_.calls) {
    co_await pause(loop_, call->pause, token);
    if (session.over() || session.told_to_go()) break;
    calls.spawn(make(session, *call, token));
  }
  co_await calls.join();
  token.cancel(io::CancelReason::kShed);
  co_await scope.join();
  bool harmed = stream_harmed(loop_.world(), session.stream());
  for (Http2Call* call : plan_.calls) call->harmed |= harmed;
  if (!session.broken().empty())
    violations_.add(Invariant::kOneAnswer, "the gateway broke HTTP/2 towards a client: {}", session.broken());
}

io::Task<> Http2Client::make(Http2Session& session, Http2Call& call, io::CancelToken& token) {
  Fields trailers;
  if (call.trailers) trailers.add("x-sim-trailer", std::to_string(call.number));
  bool body = !call.body.empty() || call.websocket;
  Http2Stream* stream =
      session.request(head_of(call), call.body, call.piece ? call.piece : call.body.size(), trailers, body);
  if (!stream) co_return;
  call.begun = loop_.now();
  call.outcome = Http2Call::Outcome::kBroken;
  io::TaskScope sending;
  if (call.piece || call.websocket) sending.spawn(send_pieces(session, call, *stream, token));
  Instant limit = loop_.now() + patience_;
  bool late = false;
  while (!stream->ended && !stream->closed && !session.over() && !late) {
    Duration left = limit - loop_.now();
    if (call.leaves_after > Duration::zero())
      left = std::min(left, call.begun + call.leaves_after - loop_.now());
    co_await stream->signal.wait(loop_, token, left);
    late = loop_.now() >= limit;
    bool leaves = call.leaves_after > Duration::zero() && loop_.now() >= call.begun + call.leaves_after;
    if (leaves && !stream->ended && !stream->closed) {
      call.left = true;
      session.reset(*stream, kCancel);
      break;
    }
  }
  note(call, session, *stream, late);
  co_await sending.join();
}

io::Task<> Http2Client::send_pieces(Http2Session& session, Http2Call& call, Http2Stream& stream,
                                    io::CancelToken& token) {
  // A WebSocket's bytes go when it stands.
  while (call.websocket && !stream.headed && !stream.closed && !session.over())
    co_await pause(loop_, std::chrono::milliseconds(10), token);
  size_t piece = call.piece ? call.piece : call.body.size();
  for (size_t released = piece; !stream.closed && !session.over(); released += piece) {
    bool last = released >= call.body.size();
    if (last) stream.out_whole = true;
    session.release(stream, std::min(released, call.body.size()));
    if (last) co_return;
    co_await pause(loop_, std::chrono::milliseconds(5), token);
  }
}

void Http2Client::note(Http2Call& call, const Http2Session& session, const Http2Stream& stream, bool late) {
  call.ended = loop_.now();
  call.status = stream.status();
  call.head = stream.head;
  call.answer = stream.body;
  call.answer_trailers = stream.trailers;
  if (stream.ended && stream.headed) call.outcome = Http2Call::Outcome::kAnswered;
  call.excused = session.told_to_go();
  if (late)
    violations_.add(Invariant::kNoEndlessWait, "exchange {} has waited {} s for an answer", call.number,
                    seconds(patience_));
}

io::Task<> Http2Client::make_http1(Http2Call& call) {
  io::CancelToken token;
  co_await pause(loop_, call.pause, token);
  io::Deadline deadline(loop_, loop_.now() + patience_, token);
  auto connected = co_await loop_.connect(plan_.to, token);
  if (!connected) co_return;
  std::unique_ptr<io::Stream> stream = std::move(*connected);
  stream->bind(token);
  call.begun = loop_.now();
  call.outcome = Http2Call::Outcome::kBroken;
  std::string text = http1_request(call);
  io::TaskScope reading;
  reading.spawn(read_http1(call, *stream));
  iovec piece{text.data(), text.size()};
  auto written = co_await stream->write({&piece, 1});
  std::ignore = written;
  co_await reading.join();
  if (token.cancelled())
    violations_.add(Invariant::kNoEndlessWait, "exchange {} has waited {} s for an answer", call.number,
                    seconds(patience_));
  call.harmed = stream_harmed(loop_.world(), *stream);
  call.ended = loop_.now();
}

io::Task<> Http2Client::read_http1(Http2Call& call, io::Stream& stream) {
  std::string buffer;
  std::optional<BodyDecoder> decoder;
  bool broken = false;
  for (;;) {
    auto lease = co_await stream.read();
    if (!lease || lease->empty()) break;
    buffer.append(lease->bytes());
    while (!decoder) {
      auto head = read_head(buffer, broken);
      if (!head) break;
      buffer.erase(0, head->bytes);
      if (head->status() < 200) continue;
      call.status = head->status();
      call.head = head->fields;
      auto rule = answer_body_rule(*head, call.method);
      if (!rule) broken = true;
      decoder.emplace(rule.value_or(BodyRule{}));
    }
    if (!decoder) continue;
    std::string_view rest(buffer);
    auto state = decoder->take(rest, call.answer);
    buffer.erase(0, buffer.size() - rest.size());
    broken |= state == BodyDecoder::State::kBroken;
    if (state != BodyDecoder::State::kMore) break;
  }
  if (broken)
    violations_.add(Invariant::kOneAnswer, "the answer of exchange {} is no HTTP", call.number);
  else if (decoder && decoder->state() == BodyDecoder::State::kDone)
    call.outcome = Http2Call::Outcome::kAnswered;
  if (decoder) call.answer_trailers = decoder->trailers();
}

}  // namespace sluice::sim
