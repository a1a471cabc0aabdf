#include "http/h2/client_stream.h"

#include "http/h2/client_connection.h"
#include "http/h2/errors.h"
#include "http/h2/sent_fields.h"
#include "http/transfer_errors.h"
#include "http/websocket/handshake.h"

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
  for (const Field& field : request_->fields) {
    // Over HTTP/2 there is no key (RFC 8441, section 5).
    if (asks_for_tunnel() && ascii::equal_ignoring_case(field.name, websocket::kKeyField)) continue;
    if (is_sent(field)) sent[count++] = field;
  }
  if (asks_for_tunnel()) return sent.first(count);
  if (request_->body.kind == BodyLength::Kind::kKnown)
    sent[count++] = {field_name_text(FieldName::kContentLength), decimal(request_->body.bytes, arena_),
                     FieldName::kContentLength};
  if (options_.te_trailers) sent[count++] = {"te", "trailers", FieldName::kTe};
  return sent.first(count);
}

bool ClientStream::try_send_head(io::Result<>& result) {
  result = {};
  waits_settings_ = asks_for_tunnel() && !connection_.settled_ && !connection_.lost_;
  if (!waits_settings_) submit();
  return true;
}

void ClientStream::on_settled() {
  if (std::exchange(waits_settings_, false)) submit();
}

void ClientStream::submit() {
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
  if (asks_for_tunnel()) {
    if (!connection_.session_.offers_extended_connect()) return fail(errors::kNoExtendedConnect);
    line.method = "CONNECT";
    line.protocol = options_.upgrade;
  }
  connection_.submit(*this, line, fields(), asks_for_tunnel() || !request_->body.empty());
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
  leave_session();
  delete this;
  connection.on_gone(unheard);
}

void ClientStream::give_back(size_t bytes) {
  if (connection_.lost_ || id_ == 0) return;
  connection_.session_.consume(id_, bytes);
  connection_.schedule_write();
}

/// Also when all is lost: the session may still have something of it to send.
void ClientStream::leave_session() {
  if (id_ == 0 || closed_) return;
  if (!connection_.lost_) connection_.session_.reset(id_, ErrorCode::kCancel);
  connection_.session_.forget(id_);
}

// --- the tunnel ---

http::ClientTunnel& ClientStream::become_tunnel() {
  tunnel_.emplace(static_cast<TunnelSender&>(*this), incoming_, connection_.loop_);
  incoming_.watch(&*tunnel_);
  outgoing_.watch(*this);
  return *this;
}

void ClientStream::on_outgoing() {
  tunnel_->on_sent();
  if (tunnel_ended_) end_if_told();
}

void ClientStream::end() {
  tunnel_ended_ = true;
  incoming_.drop();
  end_if_told();
}

/// The server hears of our end before the stream is forgotten.
void ClientStream::end_if_told() {
  bool telling = tunnel_->write_ended() && !outgoing_.end_sent() && !outgoing_.broken();
  if (telling || outgoing_.linked()) return;
  ClientConnection& connection = connection_;
  leave_session();
  delete this;
  connection.on_gone(false);
}

io::Address ClientStream::tunnel_peer() const { return connection_.stream_->peer(); }

void ClientStream::cancel_stream() {
  if (closed_ || connection_.lost_) return;
  connection_.session_.reset(id_, ErrorCode::kCancel);
  connection_.schedule_write();
}

// --- the connection's side ---

bool ClientStream::add_field(std::string_view name, std::string_view value) {
  if (error_) return true;  // it is being reset
  if (tunnel_) {            // nothing but DATA comes on it (RFC 9113, section 8.5)
    connection_.session_.reset(id_, ErrorCode::kProtocolError);
    fail(errors::kBadResponse);
    return true;
  }
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
  const Error* wrong = head_->finish(ended, options_.upgrade);
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

/// A tunnel that has ended is gone with it.
void ClientStream::fail(const Error& error) {
  if (!error_) error_ = error;
  if (!incoming_.ended()) incoming_.fail(error);
  heads_.tell();
  outgoing_.close();
}

void ClientStream::refuse() {
  refused_ = true;
  fail(kUpstreamResetError);
}

void ClientStream::withdraw() {
  leave_session();
  closed_ = true;
  refuse();
}

void ClientStream::lose(const Error* why) {
  if (incoming_.ended()) return outgoing_.close();
  fail(why ? *why : head_complete_ ? kUpstreamTruncatedError : kUpstreamResetError);
}

void ClientStream::finish(uint32_t code) {
  closed_ = true;
  if (code == static_cast<uint32_t>(ErrorCode::kRefusedStream)) refused_ = true;
  lose(nullptr);
}

}  // namespace sluice::http::h2
