#include "http/h1/server_exchange.h"

#include "http/h1/head_buffer.h"
#include "http/h1/serializer.h"
#include "http/h1/server_connection.h"
#include "http/syntax.h"
#include "http/transfer_errors.h"
#include "io/sleep.h"

namespace sluice::http::h1 {

namespace {

/// A request body of which so much at most is left is read and dropped, so that the connection can be kept.
constexpr uint64_t kShortRestBytes = 64 * 1024;
/// The only protocol that HTTP is left for (contract, section 3).
constexpr std::string_view kWebSocket = "websocket";
/// How long a last answer may take once the exchange's own time is over.
constexpr Duration kLastAnswerTime = std::chrono::seconds(2);

/// Neither a version nor a target of HTTP/1: who begins a connection like that speaks something else.
bool is_foreign(std::string_view head) {
  std::string_view line = head.substr(0, head.find('\r'));
  size_t target = line.find(' ') + 1;
  size_t version = line.rfind(' ') + 1;
  if (target == 0 || version == target) return false;
  char first = line[target];
  return !line.substr(version).starts_with("HTTP/") && first != '/' && first != '*' &&
         line.find("://", target) == std::string_view::npos;
}

/// Lets a stream outlive its cancelled token for a last answer.
class Shield {
 public:
  Shield(io::Loop& loop, io::Stream& stream, io::CancelToken& token) : stream_(stream), token_(token) {
    if (!token.cancelled()) return;
    deadline_.emplace(loop, loop.now() + kLastAnswerTime, own_);
    stream.bind(own_);
  }
  ~Shield() {
    if (deadline_) stream_.bind(token_);
  }

 private:
  io::Stream& stream_;
  io::CancelToken& token_;
  io::CancelToken own_;
  std::optional<io::Deadline> deadline_;
};

}  // namespace

Http1Exchange::Http1Exchange(ServerConnection& connection, Arena& exchange_arena, Request& exchange_request)
    : ServerExchange(exchange_arena, exchange_request, connection.loop(), connection.token_,
                     connection.timer_, connection.stream_->peer(), connection.listener_),
      connection_(connection),
      stream_(*connection.stream_),
      read_before_(stream_.bytes_taken()),
      written_before_(stream_.bytes_written()) {
  security = stream_.security();
}

io::Task<Http1Exchange::Head> Http1Exchange::read_head() {
  const Limits limits = connection_.handler_.limits();  // a copy: a reload may replace them while we wait
  HeadScanner scanner(Side::kRequest, limits);
  HeadBuffer head(arena);
  for (;;) {
    auto lease = co_await stream_.read();
    if (!lease) co_return read_failed(lease.error(), !scanner.idle());
    if (lease->empty()) {
      // An end between requests is the normal one; within a head nobody is left who could be answered.
      if (scanner.idle()) co_return Head::kNothing;
      co_return refuse(kClientGoneError);
    }
    if (scanner.idle()) timer.begin(Phase::kHead, connection_.handler_.timeouts().header);
    auto progress = scanner.feed(lease->bytes());
    if (!progress) co_return refuse(progress.error());
    head.append(lease->bytes().substr(0, progress->used));
    if (!progress->complete) continue;
    lease->consume(progress->used);
    if (!lease->empty()) stream_.unread(std::move(*lease));
    accept(head.text().substr(progress->skip));
    if (refused && head.text() == kHttp2PrefaceHead && read_before_ == 0 && connection_.http2_)
      co_return Head::kHttp2;
    mute_ = refused == &error_ && read_before_ == 0 && connection_.http2_ && is_foreign(head.text());
    co_return Head::kRequest;
  }
}

Http1Exchange::Head Http1Exchange::read_failed(const io::Error& error, bool begun) {
  if (error.code == io::ErrorCode::kCancelled && timer.expired() == Phase::kHead && begun)
    return refuse(kRequestTimeoutError);
  return Head::kNothing;
}

Http1Exchange::Head Http1Exchange::refuse(const Error& error) {
  error_ = error;
  refused = &error_;
  return Head::kRequest;
}

void Http1Exchange::accept(std::string_view text) {
  timer.end_phase();
  const Limits& limits = connection_.handler_.limits();
  auto head = parse_request(text, limits, request);
  if (!head) {
    refuse(head.error());
    return;
  }
  refused = head->refused;
  keep_alive_ = head->keep_alive;
  expects_continue = head->expect_continue;
  te_trailers = head->te_trailers;
  bool may_upgrade = request.method == Method::kGet && request.body.empty();
  if (may_upgrade && list_has(head->upgrade, kWebSocket)) upgrade = kWebSocket;
  if (head->framing != Framing::kNone) {
    body_.emplace(stream_, Side::kRequest, head->framing, request.body.bytes, limits, arena);
    if (body_->open()) request_body = &*body_;
  }
}

void Http1Exchange::limit_request_body(uint64_t bytes) {
  if (body_) body_->limit(bytes);
}

uint64_t Http1Exchange::request_bytes() const { return stream_.bytes_taken() - read_before_; }
uint64_t Http1Exchange::response_bytes() const { return stream_.bytes_written() - written_before_; }

io::Task<void> Http1Exchange::send_informational(const Response& response) {
  // An HTTP/1.0 client knows no 1xx (RFC 9110, section 15.2).
  if (response_started_ || informing_ || request.version == Version::kHttp10) co_return;
  std::string_view head = write_response_head(response, ResponseHeadOptions{}, arena);
  iovec piece{const_cast<char*>(head.data()), head.size()};
  informing_ = true;
  co_await stream_.write({&piece, 1});
  informing_ = false;
}

void Http1Exchange::skip_rest_at_hand() {
  if (!body_ || body_->started()) return;  // whoever has begun to read it may still be reading
  body_->limit(UINT64_MAX);                // what is dropped need not be small
  ChunkResult chunk;
  while (body_->open() && body_->bytes_received() < kShortRestBytes && body_->try_read(chunk)) {
  }
}

bool Http1Exchange::rest_is_short() const {
  auto left = body_->bytes_left();
  return body_->open() && left && *left <= kShortRestBytes && !expects_continue;
}

io::Task<SendOutcome> Http1Exchange::send(Response& response, Body body, TransferWatch::Bounds bounds) {
  response_started_ = true;
  if (mute_) co_return outcome_;
  while (informing_) co_await loop.yield();
  bool http10 = request.version == Version::kHttp10;
  bool answers_head = request.method == Method::kHead;
  bool bodyless = answers_head || response.status == 204 || response.status == 304;

  OutgoingFraming framing;
  if (!bodyless) {
    using Kind = BodyLength::Kind;
    if (response.body.kind == Kind::kUnknown)
      framing.framing = http10 ? Framing::kUntilClose : Framing::kChunked;
    else if (response.body.kind == Kind::kKnown)
      framing = {Framing::kLength, response.body.bytes};
  }

  // Whether the connection goes on must be said before the body is sent.
  skip_rest_at_hand();
  bool whole_request = !refused || !refused->close;
  bool long_rest = body_ && !body_->done() && !rest_is_short();
  if (long_rest && keep_alive_ && whole_request) connection_.handler_.count_limit("request_rest");
  closing_ = !keep_alive_ || !whole_request || connection_.draining_ || token.cancelled() ||
             framing.framing == Framing::kUntilClose || long_rest;
  ResponseHeadOptions options;
  options.date = connection_.handler_.date();
  options.chunked = !http10;
  options.answers_head = answers_head;
  if (closing_)
    options.connection = ConnectionOption::kClose;
  else if (http10)
    options.connection = ConnectionOption::kKeepAlive;
  std::string_view head = write_response_head(response, options, arena);

  Shield shield(loop, stream_, token);
  TransferWatch watch(bounds, &stream_);
  timer.watch_download(watch);
  connection_.open_ended_ = !bodyless && response.body.kind == BodyLength::Kind::kUnknown;
  auto written = co_await write_message(loop, stream_, head, framing, body, watch, arena);
  timer.unwatch_download();
  connection_.open_ended_ = false;
  if (written.outcome == WriteResult::Outcome::kComplete) co_return outcome_ = SendOutcome::kComplete;
  abandon();
  bool source = written.outcome == WriteResult::Outcome::kSourceFailed;
  if (source && token.reason() != io::CancelReason::kClientGone &&
      watch.stalled() != TransferWatch::Waiting::kSink)
    co_return outcome_ = SendOutcome::kSourceFailed;
  co_return outcome_ = SendOutcome::kClientFailed;
}

io::Task<io::Stream*> Http1Exchange::accept_tunnel(Response& response) {
  response_started_ = true;
  while (informing_) co_await loop.yield();
  ResponseHeadOptions options;
  options.date = connection_.handler_.date();
  response.upgrade = upgrade;
  std::string_view head = write_response_head(response, options, arena);
  iovec piece{const_cast<char*>(head.data()), head.size()};
  timer.begin(Phase::kDownload, connection_.handler_.timeouts().body_progress);
  auto written = co_await stream_.write({&piece, 1});
  if (!written) {
    abandon();
    outcome_ = SendOutcome::kClientFailed;
    co_return nullptr;
  }
  timer.reset();
  // From here on somebody reads all the time, and learns in its turn how the stream ended.
  stream_.observe(nullptr);
  co_return &stream_;
}

void Http1Exchange::stop_request_body() {
  if (closing_) token.cancel(io::CancelReason::kShed);
}

void Http1Exchange::abandon() {
  abandoned_ = true;
  stream_.abort();
}

bool Http1Exchange::has_rest() const {
  return !abandoned_ && response_started_ && !closing_ && body_ && !body_->done();
}

io::Task<> Http1Exchange::skip_rest() {
  timer.reset();
  timer.begin(Phase::kUpload, connection_.handler_.timeouts().body_progress);
  while (body_->open()) {
    auto chunk = co_await body_->read();
    if (!chunk) break;
  }
}

Http1Exchange::Next Http1Exchange::finish() {
  timer.reset();
  if (abandoned_ || !response_started_) return Next::kClose;
  if (closing_) {
    bool in_sync = body_ ? body_->done() : !refused;
    return in_sync && !stream_.dirty() ? Next::kClose : Next::kLinger;
  }
  return body_ && !body_->done() ? Next::kClose : Next::kKeepAlive;
}

}  // namespace sluice::http::h1
