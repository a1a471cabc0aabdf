#include "traffic_upstream.h"

#include <algorithm>
#include <charconv>

#include "call.h"

namespace sluice::sim {

namespace {

/// Longer than the gateway waits for an answer.
constexpr Duration kSilenceTime = std::chrono::seconds(10);

}  // namespace

TrafficCall* TrafficLedger::find(std::string_view number) {
  size_t index = 0;
  auto parsed = std::from_chars(number.data(), number.data() + number.size(), index);
  bool known = parsed.ec == std::errc() && !number.empty() && index < calls.size();
  return known ? &calls[index] : nullptr;
}

TrafficServing& TrafficLedger::serve(TrafficCall& call) {
  TrafficServing& serving = servings.emplace_back();
  serving.number = static_cast<uint32_t>(servings.size() - 1);
  serving.call = &call;
  call.servings.push_back(&serving);
  return serving;
}

struct TrafficUpstream::Connection {
  std::unique_ptr<io::Stream> stream;
  io::CancelToken& up;
  std::string buffer = {};
  bool counted = false;  // it has carried a request
};

bool TrafficUpstream::listen() {
  auto listener = loop_.listen(address_, {});
  if (!listener) return false;
  io::CancelToken& up = up_.emplace_back();
  (*listener)->bind(up);
  scope_.spawn(accept_all(std::move(*listener), up));
  return true;
}

void TrafficUpstream::begin(Trouble::Kind trouble) {
  bool first = troubles_[static_cast<size_t>(trouble)]++ == 0;
  if (trouble == Trouble::Kind::kDown && first) stop();
}

void TrafficUpstream::end(Trouble::Kind trouble) {
  bool last = --troubles_[static_cast<size_t>(trouble)] == 0;
  if (trouble != Trouble::Kind::kDown || !last) return;
  io::CurrentLoop current(loop_);
  if (!listen()) violations_.add(Invariant::kUndisturbed, "{} {} cannot listen again", api_, number_);
}

io::Task<> TrafficUpstream::accept_all(std::unique_ptr<io::Listener> listener, io::CancelToken& up) {
  while (!up.cancelled()) {
    auto stream = co_await listener->accept();
    if (stream)
      scope_.spawn(serve(std::move(*stream), up));
    else if (!up.cancelled())
      co_await pause(loop_, std::chrono::milliseconds(5), up);
  }
}

io::Task<> TrafficUpstream::serve(std::unique_ptr<io::Stream> stream, io::CancelToken& up) {
  ++open_;
  Connection connection{std::move(stream), up};
  connection.stream->bind(up);
  bool goes_on = true;
  while (goes_on) goes_on = co_await serve_one(connection);
  connection.stream.reset();
  if (connection.counted) count_.disconnect(loop_.now());
  --open_;
}

/// A look at its health.
io::Task<> TrafficUpstream::answer_probe(Connection& connection) {
  if (probes_.count++ == 0) probes_.first = loop_.now();
  probes_.last = loop_.now();
  bool waits = has(Trouble::Kind::kMute);
  while (waits) waits = co_await read_more(connection);
  bool written =
      co_await write(connection, has(Trouble::Kind::kSick) ? "HTTP/1.1 500 Sim\r\nContent-Length: 0\r\n\r\n"
                                                           : "HTTP/1.1 200 Sim\r\nContent-Length: 0\r\n\r\n");
  std::ignore = written;
}

io::Task<bool> TrafficUpstream::read_more(Connection& connection) {
  auto lease = co_await connection.stream->read();
  if (!lease || lease->empty()) co_return false;
  connection.buffer.append(lease->bytes());
  co_return true;
}

io::Task<bool> TrafficUpstream::write(Connection& connection, std::string_view bytes) {
  iovec piece{const_cast<char*>(bytes.data()), bytes.size()};
  auto written = co_await connection.stream->write({&piece, 1});
  co_return written.has_value();
}

io::Task<bool> TrafficUpstream::serve_one(Connection& connection) {
  bool broken = false;
  std::optional<Head> head;
  while (!(head = read_head(connection.buffer, broken))) {
    bool more = co_await read_more(connection);
    if (!more) co_return false;
  }
  connection.buffer.erase(0, head->bytes);
  if (head->fields.value("user-agent") == "sluice-health") {
    co_await answer_probe(connection);
    co_return true;
  }
  if (!std::exchange(connection.counted, true)) count_.connect(loop_.now());
  TrafficCall* call = ledger_.find(head->fields.value("x-sim-exchange"));
  if (!call || broken || call->api != api_) {
    violations_.add(Invariant::kIdentity, "\"{}\" came to {} {}", head->start, api_, number_);
    co_return false;
  }
  TrafficServing& serving = ledger_.serve(*call);
  serving.target = number_;
  serving.begun = loop_.now();
  if (!call->idempotent() && call->servings.size() > 1)
    violations_.add(Invariant::kAtMostOnce, "exchange {} was sent {} times", call->number,
                    call->servings.size());
  count_.enter();
  BodyDecoder decoder(request_body_rule(*head).value_or(BodyRule{}));
  std::string body;
  bool more = true;
  auto state = BodyDecoder::State::kMore;
  while (more && state == BodyDecoder::State::kMore) {
    std::string_view rest(connection.buffer);
    state = decoder.take(rest, body);
    connection.buffer.erase(0, connection.buffer.size() - rest.size());
    if (state == BodyDecoder::State::kMore) more = co_await read_more(connection);
  }
  bool whole = state == BodyDecoder::State::kDone;
  if (!call->body.starts_with(body) || (whole && body.size() != call->body.size()))
    violations_.add(Invariant::kIdentity, "the body of exchange {} is not its own", call->number);
  Random random(call->seed + 0x51ed27 * call->servings.size());
  bool goes_on = whole;
  if (whole) goes_on = co_await answer(connection, serving, random);
  count_.leave();
  co_return goes_on;
}

io::Task<bool> TrafficUpstream::answer(Connection& connection, TrafficServing& serving, Random& random) {
  const TrafficCall& call = *serving.call;
  bool behaves = !deeds_ || call.behaves || random.below(3) != 0;
  serving.deed = behaves ? TrafficDeed::kAnswer : static_cast<TrafficDeed>(random.below(kTrafficDeeds));
  if (random.below(2) == 0)
    co_await pause(loop_, std::chrono::milliseconds(random.below(400)), connection.up);
  if (serving.deed == TrafficDeed::kSilence) {
    // It does not look at its client either.
    --open_;
    count_.disconnect(loop_.now());
    co_await pause(loop_, kSilenceTime, connection.up);
    count_.connect(loop_.now());
    ++open_;
    co_return false;
  }
  if (serving.deed == TrafficDeed::kReset) {
    connection.stream->abort();
    co_return false;
  }
  if (has(Trouble::Kind::kFailing)) serving.deed = TrafficDeed::kUnavailable;
  if (serving.deed == TrafficDeed::kUnavailable) serving.status = 503;
  serving.body = identity_bytes(2 * uint64_t{serving.number} + 1, 10 + random.below(2000));
  std::string text = fmt::format("HTTP/1.1 {} Sim\r\nX-Sim-Serving: {}\r\nContent-Length: {}\r\n\r\n",
                                 serving.status, serving.number, serving.body.size());
  size_t head = text.size();
  text += serving.body;
  if (serving.deed == TrafficDeed::kTruncated) text.resize(head + serving.body.size() / 2);
  bool written = co_await write(connection, text);
  if (written) serving.answered = loop_.now();
  serving.sent_whole = written && serving.deed != TrafficDeed::kTruncated;
  bool ends = serving.deed == TrafficDeed::kTruncated || serving.deed == TrafficDeed::kCloses;
  co_return written && !ends;
}

}  // namespace sluice::sim
