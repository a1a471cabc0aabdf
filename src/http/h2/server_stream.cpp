#include "http/h2/server_stream.h"

#include <algorithm>

#include "http/h1/connection_fields.h"
#include "http/h2/errors.h"
#include "http/h2/server_connection.h"
#include "http/transfer_errors.h"
#include "http/websocket/handshake.h"
#include "io/sleep.h"

namespace sluice::http::h2 {

namespace {

constexpr Error kWrongLengthError{502, "wrong_length", "The body has another length than announced.", true};

/// What HTTP/2 says in another way, or not at all (RFC 9113, section 8.2.2). `TE` is for requests.
constexpr uint64_t kNotSent = h1::name_set(
    FieldName::kConnection, FieldName::kContentLength, FieldName::kTransferEncoding, FieldName::kKeepAlive,
    FieldName::kProxyConnection, FieldName::kTe, FieldName::kUpgrade, FieldName::kHttp2Settings);
constexpr bool is_sent(const Field& field) { return !(kNotSent >> static_cast<int>(field.id) & 1); }

/// Lets a last answer outlive the exchange's own time.
class LastAnswer {
 public:
  LastAnswer(io::Loop& loop, io::CancelToken& token) : token_(token) {
    if (token.reason() == io::CancelReason::kNone || token.reason() == io::CancelReason::kClientGone) return;
    deadline_.emplace(loop, loop.now() + kLastAnswerTime, own_);
  }
  io::CancelToken& token() { return deadline_ ? own_ : token_; }

 private:
  io::CancelToken& token_;
  io::CancelToken own_;
  std::optional<io::Deadline> deadline_;
};

std::string_view decimal(uint64_t number, Arena& arena) {
  char* text = arena.allocate_chars(20);
  return {text, static_cast<size_t>(std::to_chars(text, text + 20, number).ptr - text)};
}

}  // namespace

ServerStream::ServerStream(ServerConnection& connection, int32_t id)
    : StreamState(connection.loop_),
      ServerExchange(memory, received, connection.loop_, ends, timeouts, connection.stream_->peer(),
                     connection.listener_),
      connection_(connection),
      id_(id),
      incoming_(connection.loop_, ends, *this, memory),
      head_(received),
      signal_(connection.loop_) {
  security = connection.stream_->security();
}

ServerStream::~ServerStream() = default;

void ServerStream::begin() {
  begun_ = true;
  if (malformed_) head_.refuse(errors::kMalformed);
  bool bodyless = incoming_.ended() && incoming_.received() == 0 && !incoming_.has_trailers();
  head_.finish(bodyless);
  // A body that is here already has a length, whether it was said or not.
  if (request.body.kind == BodyLength::Kind::kUnknown && incoming_.ended() && !incoming_.has_trailers())
    request.body = BodyLength::known(incoming_.received());
  refused = head_.refused();
  expects_continue = head_.expects_continue();
  te_trailers = head_.te_trailers();
  upgrade = head_.upgrade();
  if (upgrade.empty()) {
    if (!bodyless) request_body = &incoming_;
  } else {
    request.body = BodyLength::none();  // what comes is the tunnel's
  }
}

bool ServerStream::broken() const { return connection_.lost_ || (closed_ && !end_sent_); }

void ServerStream::lose(io::CancelReason reason) {
  incoming_.fail(kClientGoneError);
  if (!end_sent_) token.cancel(reason);
  on_progress();
}

io::Task<> ServerStream::skip_rest() {
  drops_ = true;
  incoming_.drop();
  io::LinkedToken waiting(token);
  io::Deadline deadline(loop, loop.now() + kRestTime, waiting);
  while (has_rest() && !connection_.lost_ && !waiting.cancelled()) co_await signal_.wait(waiting);
  if (waiting.cancelled() && !token.cancelled()) connection_.handler_.count_limit("request_rest");
}

void ServerStream::finish() {
  timer.reset();
  if (closed_) return;
  if (!end_sent_)
    abandon();
  else if (!incoming_.ended())  // the rest is not wanted (RFC 9113, section 8.1)
    connection_.session_.reset(id_, ErrorCode::kNoError);
  connection_.session_.forget(id_);
}

void ServerStream::give_back(size_t bytes) {
  if (connection_.lost_) return;
  if (drops_)
    connection_.session_.drop(bytes);
  else
    connection_.session_.consume(id_, bytes);
  connection_.schedule_write();
}

/// What is in a batch moves when the connection does, what waits for a window does not.
uint64_t ServerStream::moved() const {
  return sent_bytes_ + (in_batch_.linked() ? connection_.stream_->bytes_written() : 0);
}

io::Task<> ServerStream::end_tunnel() {
  incoming_.watch(nullptr);
  tunnel_stream_.reset();
  if (!last_ || broken()) co_return;
  io::LinkedToken until(token);
  io::Deadline deadline(loop, loop.now() + kLastAnswerTime, until);
  bool gone = co_await delivered(until);
  std::ignore = gone;  // else it is reset
}

void ServerStream::stop_request_body() {
  if (!incoming_.ended()) incoming_.fail(kCancelledError);
}

io::Address ServerStream::local() const { return connection_.stream_->local(); }

void ServerStream::reset(ErrorCode code) {
  if (!closed_ && !end_sent_ && !reset_ && !malformed_) {
    connection_.session_.reset(id_, code);
    connection_.schedule_write();
  }
  reset_ = true;
}

void ServerStream::abandon() { reset(ErrorCode::kInternalError); }
void ServerStream::cancel_stream() { reset(ErrorCode::kCancel); }

std::span<const Field> ServerStream::sendable(const Fields& fields, const Response* response) {
  bool plain = true;
  for (const Field& field : fields) plain &= is_sent(field);
  if (plain && !response) return fields.all();
  std::span<Field> sent = arena.allocate_array<Field>(fields.size() + 2);
  size_t count = 0;
  if (response) {
    if (!fields.has(FieldName::kDate))
      sent[count++] = {field_name_text(FieldName::kDate), connection_.handler_.date(), FieldName::kDate};
    if (response->body.kind == BodyLength::Kind::kKnown && response->status != 204)
      sent[count++] = {field_name_text(FieldName::kContentLength), decimal(response->body.bytes, arena),
                       FieldName::kContentLength};
  }
  for (const Field& field : fields)
    if (is_sent(field)) sent[count++] = field;
  return sent.first(count);
}

io::Task<void> ServerStream::send_informational(const Response& response) {
  if (response_started_ || closed_ || reset_ || connection_.lost_) co_return;
  connection_.session_.submit_interim(id_, response.status, sendable(response.fields, nullptr));
  connection_.schedule_write();
}

void ServerStream::submit_head(const Response& response, bool body) {
  connection_.session_.submit_head(id_, response.status, sendable(response.fields, &response), body);
  connection_.schedule_write();
}

void ServerStream::offer(std::string_view bytes, bool last, const Fields* trailers) {
  offered_ = bytes.data();
  left_ = bytes.size();
  last_ = last;
  trailers_ = trailers;
  if (trailers) {
    auto* sent = arena.make<Fields>(arena);
    for (const Field& field : sendable(*trailers, nullptr)) sent->add(field);
    trailers_ = sent->empty() ? nullptr : sent;
  }
}

Portion ServerStream::next_portion(size_t most) const {
  Portion portion;
  portion.bytes = std::min(left_, most);
  portion.end = last_ && portion.bytes == left_;
  if (portion.end) portion.trailers = trailers_;
  return portion;
}

void ServerStream::put_portion(size_t bytes, OutputBatch& batch) {
  std::string_view payload(offered_, bytes);
  if (bytes > OutputBatch::kCopiedBytes)
    batch.refer(payload);
  else if (bytes > 0)
    batch.copy(payload);
  offered_ += bytes;
  left_ -= bytes;
  sent_bytes_ += bytes;
  if (last_ && left_ == 0 && !trailers_) end_sent_ = true;
  connection_.join_batch(*this);
}

void ServerStream::head_sent(size_t bytes, bool end) {
  sent_bytes_ += bytes;
  if (end) end_sent_ = true;
  connection_.join_batch(*this);
}

void ServerStream::on_progress() {
  if (tunnel_stream_)
    tunnel_stream_->on_sent();
  else
    signal_.tell();
}

void ServerStream::offer_bytes(std::string_view bytes, bool last) {
  offer(bytes, last, nullptr);
  connection_.session_.resume(id_);
  connection_.schedule_write();
}

/// What HTTP/1.1 says by 101 is a 200 here, whose DATA go on as long as the tunnel (RFC 8441, section 5).
io::Task<io::Stream*> ServerStream::accept_tunnel(Response& response) {
  response_started_ = true;
  if (broken() || closed_ || reset_) {
    outcome_ = SendOutcome::kClientFailed;
    co_return nullptr;
  }
  response.status = 200;
  response.fields.remove(websocket::kAcceptField);
  response.body = BodyLength::unknown();
  submit_head(response, true);
  timer.reset();
  tunnel_stream_.emplace(static_cast<TunnelSender&>(*this), incoming_, loop);
  tunnel_stream_->bind(token);
  incoming_.watch(&*tunnel_stream_);
  co_return &*tunnel_stream_;
}

/// Until what was offered has left, or never will. In any case nothing points at it any more.
io::Task<bool> ServerStream::delivered(io::CancelToken& until) {
  for (;;) {
    bool stop = broken() || until.cancelled();
    if (!in_batch_.linked()) {
      if (all_sent()) co_return true;
      if (stop) co_return false;
    }
    if (stop)
      co_await signal_.wait_anyway();
    else
      co_await signal_.wait(until);
  }
}

io::Task<bool> ServerStream::has_window(io::CancelToken& until) {
  while (!broken() && !until.cancelled() && !connection_.session_.has_window(id_)) {
    waits_for_window_ = true;
    co_await signal_.wait(until);
    waits_for_window_ = false;
  }
  co_return !broken() && !until.cancelled();
}

/// Nothing of a message that is broken off may look whole.
SendOutcome ServerStream::fail(SendOutcome outcome) {
  left_ = 0;
  abandon();
  return outcome_ = outcome;
}

io::Task<SendOutcome> ServerStream::send(Response& response, Body body, TransferWatch::Bounds bounds) {
  using Kind = BodyLength::Kind;
  response_started_ = true;
  if (malformed_) co_return outcome_ = SendOutcome::kComplete;  // its reset is the answer
  if (broken() || closed_ || reset_) co_return outcome_ = SendOutcome::kClientFailed;
  bool bodyless = request.method == Method::kHead || response.status == 204 || response.status == 304 ||
                  response.body.kind == Kind::kNone;
  if (!bodyless && !body.stream) {
    if (response.body.kind == Kind::kKnown && response.body.bytes != body.bytes.size())
      co_return fail(SendOutcome::kSourceFailed);
    bodyless = body.bytes.empty();
  }

  LastAnswer last_answer(loop, token);
  TransferWatch watch(bounds, static_cast<const TransferWatch::Sink*>(this));
  timer.watch_download(watch);
  submit_head(response, !bodyless);
  SendOutcome outcome = SendOutcome::kComplete;
  if (bodyless || !body.stream) {
    offer(bodyless ? std::string_view() : body.bytes, true, nullptr);
    watch.waiting = TransferWatch::Waiting::kSink;
    bool gone = co_await delivered(last_answer.token());
    if (!gone) outcome = SendOutcome::kClientFailed;
  } else {
    outcome = co_await send_stream(*body.stream, response.body, watch, last_answer.token());
  }
  watch.waiting = TransferWatch::Waiting::kNobody;
  timer.unwatch_download();
  if (outcome == SendOutcome::kComplete) {
    connection_.session_.request_answered();
    co_return outcome_ = outcome;
  }
  bool client = token.reason() == io::CancelReason::kClientGone ||
                watch.stalled() == TransferWatch::Waiting::kSink || connection_.lost_;
  co_return fail(client ? SendOutcome::kClientFailed : outcome);
}

io::Task<SendOutcome> ServerStream::send_stream(BodyReader& body, BodyLength length, TransferWatch& watch,
                                                io::CancelToken& until) {
  using Waiting = TransferWatch::Waiting;
  uint64_t left = length.bytes;
  for (;;) {
    watch.waiting = Waiting::kSink;
    bool window = co_await has_window(until);
    if (!window) co_return SendOutcome::kClientFailed;
    ChunkResult chunk;
    if (!body.try_read(chunk)) {
      watch.waiting = Waiting::kSource;
      chunk = co_await body.read();
    }
    if (chunk && length.kind == BodyLength::Kind::kKnown) {
      bool fits = chunk->bytes.size() <= left;
      if (fits) left -= chunk->bytes.size();
      if (!fits || (chunk->end && left != 0)) chunk = std::unexpected(kWrongLengthError);
    }
    watch.waiting = Waiting::kSink;
    if (!chunk) co_return SendOutcome::kSourceFailed;
    watch.source_moved += chunk->bytes.size();
    if (chunk->bytes.empty() && !chunk->end) continue;
    offer(chunk->bytes, chunk->end, chunk->trailers);
    if (!broken()) {
      connection_.session_.resume(id_);
      connection_.schedule_write();
    }
    bool gone = co_await delivered(until);
    if (!gone) co_return SendOutcome::kClientFailed;
    if (chunk->end) co_return SendOutcome::kComplete;
  }
}

}  // namespace sluice::http::h2
