#include "http/h2/client_stream.h"

#include "http/h2/client_connection.h"
#include "http/h2/errors.h"
#include "http/h2/sent_fields.h"
#include "http/transfer_errors.h"

namespace sluice::http::h2 {

namespace {

/// Interim responses that may wait to be read; who sends more does not want to be read.
constexpr uint32_t kMostWaitingHeads = 20;

}  // namespace

ClientStream::ClientStream(ClientConnection& connection, const ExchangePlace& place)
    : connection_(connection),
      token_(place.token),
      arena_(place.arena),
      limits_(place.limits),
      outgoing_(connection.loop_, connection, place.arena),
      incoming_(connection.loop_, place.token, *this, place.arena),
      heads_(connection.loop_),
      read_before_(connection.stream_->bytes_read()),
      reused_(connection.begun_ > 1) {}

// --- the request ---

void ClientStream::begin(const Request& request, const RequestOptions& options) {
  request_ = &request;
  options_ = options;
}

std::span<const Field> ClientStream::fields() {
  std::span<Field> sent = arena_.allocate_array<Field>(request_->fields.size() + 2);
  size_t count = 0;
  for (const Field& field : request_->fields)
    if (is_sent(field)) sent[count++] = field;
  if (request_->body.kind == BodyLength::Kind::kKnown)
    sent[count++] = {field_name_text(FieldName::kContentLength), decimal(request_->body.bytes, arena_),
                     FieldName::kContentLength};
  if (options_.te_trailers) sent[count++] = {"te", "trailers", FieldName::kTe};
  return sent.first(count);
}

bool ClientStream::try_send_head(io::Result<>& result) {
  RequestLine line;
  line.method = request_->method_text.empty() ? method_text(request_->method) : request_->method_text;
  line.scheme = connection_.scheme_;
  line.authority = options_.host;
  std::string_view base = request_->path == "*" ? std::string_view() : options_.base_path;
  line.path = request_->path;
  if (request_->has_query)
    line.path = arena_.concat(base, request_->path, "?", request_->query);
  else if (!base.empty())
    line.path = arena_.concat(base, request_->path);
  connection_.submit(*this, line, fields(), !request_->body.empty());
  result = {};
  return true;
}

void ClientStream::wait_send_head(std::coroutine_handle<>, io::Result<>*) { std::unreachable(); }

io::Task<WriteResult> ClientStream::send_body(Body body, TransferWatch& watch) {
  if (id_ == 0) {
    io::Result<> submitted;
    try_send_head(submitted);
  }
  return outgoing_.send(body, request_->body, watch, token_);
}

// --- the response ---

io::Task<std::expected<void, Error>> ClientStream::read_head(Response& out) {
  for (;;) {
    if (token_.cancelled()) co_return std::unexpected(kCancelledError);
    if (first_head_) {
      out = first_head_->response;
      first_head_ = first_head_->next;
      if (!first_head_) last_head_ = nullptr;
      --waiting_heads_;
      co_return std::expected<void, Error>();
    }
    if (error_) co_return std::unexpected(*error_);
    co_await heads_.wait(token_);
  }
}

BodyReader* ClientStream::body() {
  bool none = incoming_.ended() && incoming_.received() == 0 && !incoming_.has_trailers();
  return none ? nullptr : &incoming_;
}

bool ClientStream::stale() const {
  return reused_ && connection_.lost_ && connection_.stream_->bytes_read() == read_before_;
}

void ClientStream::end(bool) {
  ClientConnection& connection = connection_;
  bool unheard = token_.reason() == io::CancelReason::kDeadline && !head_complete_ && outgoing_.head_sent() &&
                 connection.stream_->bytes_read() == read_before_;
  if (id_ != 0 && !closed_ && !connection.lost_) {
    connection.session_.reset(id_, ErrorCode::kCancel);
    connection.session_.forget(id_);
  }
  closed_ = true;
  this->~ClientStream();
  connection.on_gone(unheard);
}

void ClientStream::give_back(size_t bytes) {
  if (connection_.lost_ || id_ == 0) return;
  connection_.session_.consume(id_, bytes);
  connection_.schedule_write();
}

// --- the connection's side ---

bool ClientStream::add_field(std::string_view name, std::string_view value) {
  if (error_) return true;  // it is being reset
  if (head_complete_) {
    if (!incoming_.add_trailer(name, value, limits_)) {
      fail(errors::kResponseTrailersTooLarge);
      connection_.session_.reset(id_, ErrorCode::kCancel);
    }
    return true;
  }
  if (!head_) head_.emplace(arena_);
  return head_->add(name, value, limits_);
}

void ClientStream::end_fields(bool ended) {
  if (error_ || head_complete_ || !head_) return;
  const Error* wrong = head_->finish(ended);
  if (!wrong && waiting_heads_ == kMostWaitingHeads) wrong = &errors::kBadResponse;
  if (wrong) {
    fail(*wrong);
    connection_.session_.reset(id_, ErrorCode::kProtocolError);
    return;
  }
  auto* received = arena_.make<ReceivedHead>(head_->response(), nullptr);
  (last_head_ ? last_head_->next : first_head_) = received;
  last_head_ = received;
  ++waiting_heads_;
  head_complete_ = !head_->interim();
  head_.reset();
  heads_.tell();
}

void ClientStream::fail(const Error& error) {
  if (!error_) error_ = error;
  if (!incoming_.ended()) incoming_.fail(error);
  outgoing_.close();
  heads_.tell();
}

void ClientStream::refuse() {
  refused_ = true;
  fail(kUpstreamResetError);
}

void ClientStream::lose(const Error* why) {
  if (!incoming_.ended()) fail(why ? *why : head_complete_ ? kUpstreamTruncatedError : kUpstreamResetError);
  outgoing_.close();
}

void ClientStream::finish(uint32_t code) {
  closed_ = true;
  if (code == static_cast<uint32_t>(ErrorCode::kRefusedStream)) refused_ = true;
  lose(nullptr);
}

}  // namespace sluice::http::h2
