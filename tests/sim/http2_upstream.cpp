#include "http2_upstream.h"

#include <charconv>

#include "call.h"
#include "faults.h"

namespace sluice::sim {

namespace {

constexpr uint32_t kNoError = 0;
constexpr uint32_t kInternalError = 2;
constexpr uint32_t kRefusedStream = 7;

}  // namespace

/// One connection; its streams are served by coroutines of its own.
class Http2Upstream::Connection final : private Http2Session::Owner {
 public:
  Connection(Http2Upstream& upstream, std::unique_ptr<io::Stream> stream)
      : upstream_(upstream),
        session_(upstream.loop_, std::move(stream), this, {.most_streams = upstream.most_streams_}) {}

  io::Task<> run() {
    upstream_.tokens_.push_back(&token_);
    co_await session_.run(token_);
    std::erase(upstream_.tokens_, &token_);
    co_await scope_.join();
    upstream_.ledger_.losses.push_back(upstream_.loop_.now());
    if (!session_.broken().empty())
      upstream_.violations_.add(Invariant::kOneAnswer, "the gateway broke HTTP/2 towards an upstream: {}",
                                session_.broken());
  }

 private:
  /// Also true once it broke off within the session's own call, which the session learns of later.
  bool over() const { return token_.cancelled() || session_.over(); }

  void on_request(Http2Stream& stream) override { scope_.spawn(serve(stream)); }

  Http2Serving* begin(Http2Stream& stream) {
    std::string_view text = stream.head.value("x-sim-exchange");
    size_t number = SIZE_MAX;
    std::from_chars(text.data(), text.data() + text.size(), number);
    if (number >= upstream_.ledger_.calls.size()) {
      upstream_.violations_.add(Invariant::kIdentity, "an upstream got a request of nobody: {}",
                                stream.head.text());
      return nullptr;
    }
    Http2Call& call = upstream_.ledger_.calls[number];
    Http2Serving& serving = upstream_.ledger_.servings.emplace_back();
    serving.number = static_cast<uint32_t>(upstream_.ledger_.servings.size() - 1);
    serving.call = &call;
    serving.connection = session_.connection();
    call.servings.push_back(&serving);
    std::string_view method = call.websocket ? "CONNECT" : std::string_view(call.method);
    bool right = stream.head.value(":method") == method && stream.head.value(":path") == call.path &&
                 stream.head.value(":authority") == "sim.test" && stream.head.value(":scheme") == "http" &&
                 stream.head.count("via") == 1 && stream.head.count("connection") == 0 &&
                 stream.head.count("transfer-encoding") == 0;
    if (!right)
      upstream_.violations_.add(Invariant::kUndisturbed, "exchange {} reached its upstream as\n{}", number,
                                stream.head.text());
    return &serving;
  }

  void check_body(const Http2Stream& stream, const Http2Call& call) const {
    if (call.websocket) {
      if (!is_of_websocket(stream.body, call.body))
        upstream_.violations_.add(Invariant::kIdentity, "the messages of exchange {} are not its own",
                                  call.number);
      return;
    }
    std::string_view whole = call.body;
    bool prefix = whole.starts_with(stream.body);
    if (!prefix)
      upstream_.violations_.add(Invariant::kIdentity, "the body of exchange {} is not its own", call.number);
    if (stream.ended && stream.body.size() != whole.size())
      upstream_.violations_.add(Invariant::kOneAnswer, "{} of {} bytes passed for the body of exchange {}",
                                stream.body.size(), whole.size(), call.number);
    std::string_view trailer = stream.trailers.value("x-sim-trailer");
    std::string wanted = call.trailers ? std::to_string(call.number) : "";
    if (stream.ended && trailer != wanted)
      upstream_.violations_.add(Invariant::kUndisturbed, "exchange {} has the trailer \"{}\"", call.number,
                                trailer);
  }

  io::Task<> serve(Http2Stream& stream) {
    Http2Serving* serving = begin(stream);
    if (!serving) co_return;
    Http2Call& call = *serving->call;
    Random random(call.seed + 0x51ed27 * call.servings.size());
    serving->deed = upstream_.draw_deed(call, random);
    if (call.websocket && serving->deed == Http2Deed::kAnswer) {
      co_await echo(stream, *serving);
      co_return;
    }
    if (random.below(3) == 0)
      co_await pause(upstream_.loop_, std::chrono::milliseconds(random.below(200)), token_);
    bool waits = serving->deed != Http2Deed::kEarly && serving->deed != Http2Deed::kRefuse &&
                 serving->deed != Http2Deed::kReset && !call.websocket;
    while (waits && !stream.ended && !stream.closed && !over())
      co_await stream.signal.wait(upstream_.loop_, token_);
    check_body(stream, call);
    if (stream.closed || over()) co_return;
    if (random.below(4) == 0) session_.interim(stream, 103);
    co_await answer(stream, *serving, random);
  }

  io::Task<> answer(Http2Stream& stream, Http2Serving& serving, Random& random) {
    const Http2Call& call = *serving.call;
    static constexpr int kStatuses[] = {200, 200, 200, 201, 204, 404, 500};
    serving.status = kStatuses[random.below(std::size(kStatuses))];
    size_t size = random.below(8) == 0 ? 20'000 + random.below(150'000) : random.below(3000);
    if (serving.deed == Http2Deed::kResetInBody || serving.deed == Http2Deed::kShort) {
      serving.status = 200;
      size = std::max<size_t>(size, 10);
    }
    if (call.websocket) serving.status = 403;
    bool bodyless = serving.status == 204 || call.method == "HEAD";
    serving.body = serving.status == 204 ? "" : identity_bytes(2 * uint64_t{serving.number} + 1, size);
    Fields head;
    head.add(":status", std::to_string(serving.deed == Http2Deed::kSwitch ? 101 : serving.status));
    head.add("x-sim-serving", std::to_string(serving.number));
    bool said = random.below(2) || serving.deed == Http2Deed::kShort;
    size_t more = serving.deed == Http2Deed::kShort ? 1 : 0;
    if (said && serving.status != 204) head.add("content-length", std::to_string(serving.body.size() + more));
    serving.trailers = !bodyless && random.below(3) == 0;
    if (serving.trailers) stream.out_trailers.add("x-sim-trailer", std::to_string(serving.number));
    switch (serving.deed) {
      case Http2Deed::kRefuse:
        session_.reset(stream, kRefusedStream);
        co_return;
      case Http2Deed::kReset:
        session_.reset(stream, kInternalError);
        co_return;
      case Http2Deed::kBreakOff:
        session_.break_off();
        token_.cancel(io::CancelReason::kShed);
        co_return;
      case Http2Deed::kSilence:
        while (!stream.closed && !over()) co_await stream.signal.wait(upstream_.loop_, token_);
        co_return;
      case Http2Deed::kGoodbye:
        session_.say_goodbye();
        upstream_.ledger_.losses.push_back(upstream_.loop_.now());
        break;
      default:
        break;
    }
    stream.out = bodyless ? std::string() : serving.body;
    bool breaks = serving.deed == Http2Deed::kResetInBody;
    bool in_pieces = breaks || random.below(4) == 0;
    stream.released = in_pieces ? stream.out.size() / 2 : stream.out.size();
    session_.answer(stream, head, !bodyless);
    if (in_pieces && !bodyless) {
      co_await pause(upstream_.loop_, std::chrono::milliseconds(random.below(300)), token_);
      if (breaks) {
        session_.reset(stream, kInternalError);
        co_return;
      }
      session_.release(stream, stream.out.size());
    }
    while (stream.out_sent < stream.out.size() && !stream.closed && !over())
      co_await pause(upstream_.loop_, std::chrono::milliseconds(10), token_);
    serving.sent_whole = stream.out_sent == stream.out.size();
    if (serving.deed == Http2Deed::kEarly && !stream.ended) {
      co_await pause(upstream_.loop_, std::chrono::milliseconds(20), token_);
      session_.reset(stream, kNoError);
    }
  }

  /// What comes goes back, and so does the end.
  io::Task<> echo(Http2Stream& stream, Http2Serving& serving) {
    Fields head;
    head.add(":status", "200");
    head.add("x-sim-serving", std::to_string(serving.number));
    stream.out_whole = false;
    session_.answer(stream, head, true);
    while (!stream.closed && !over()) {
      stream.out = stream.body;
      stream.out_whole = stream.ended;
      session_.release(stream, stream.out.size());
      if (stream.ended) break;
      co_await stream.signal.wait(upstream_.loop_, token_);
    }
    check_body(stream, *serving.call);
    serving.sent_whole = stream.ended;
  }

  Http2Upstream& upstream_;
  io::CancelToken token_;
  Http2Session session_;
  io::TaskScope scope_;
};

Http2Deed Http2Upstream::draw_deed(const Http2Call&, Random& random) const {
  if (!deeds_ || random.below(3) != 0) return Http2Deed::kAnswer;
  return static_cast<Http2Deed>(random.below(kHttp2Deeds));
}

bool Http2Upstream::listen() {
  auto listener = loop_.listen(address_, {});
  if (!listener) return false;
  listener_ = std::move(*listener);
  listener_->bind(accepting_);
  scope_.spawn(accept_all());
  return true;
}

void Http2Upstream::stop() {
  accepting_.cancel(io::CancelReason::kDrain);
  for (io::CancelToken* token : tokens_) token->cancel(io::CancelReason::kShed);
}

io::Task<> Http2Upstream::accept_all() {
  while (!accepting_.cancelled()) {
    auto stream = co_await listener_->accept();
    if (stream)
      scope_.spawn(serve(std::move(*stream)));
    else if (!accepting_.cancelled())
      co_await pause(loop_, std::chrono::milliseconds(5), accepting_);
  }
  listener_.reset();
}

io::Task<> Http2Upstream::serve(std::unique_ptr<io::Stream> stream) {
  ++open_;
  {
    Connection connection(*this, std::move(stream));
    co_await connection.run();
  }
  --open_;
}

}  // namespace sluice::sim
