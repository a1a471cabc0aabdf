#include "http/h1/client_exchange.h"

#include "http/h1/message_writer.h"
#include "http/h1/response_reader.h"
#include "http/h1/serializer.h"

namespace sluice::http::h1 {

void ClientExchange::begin(const Request& request, const RequestOptions& options) {
  request_ = &request;
  RequestHeadOptions head_options{
      .host = options.host, .base_path = options.base_path, .te_trailers = options.te_trailers};
  if (!options.upgrade.empty()) {
    head_options.connection = ConnectionOption::kUpgrade;
    head_options.upgrade = options.upgrade;
  }
  std::string_view head = write_request_head(request, head_options, arena_);
  unsent_ = {const_cast<char*>(head.data()), head.size()};
}

bool ClientExchange::try_send_head(io::Result<>& result) {
  sending_ = std::exchange(unsent_, {});
  io::Stream::WriteAwait write{stream(), {&sending_, 1}};
  if (!write.await_ready()) return false;
  result = write.result;
  return true;
}

void ClientExchange::wait_send_head(std::coroutine_handle<> waiter, io::Result<>* result) {
  io::Stream::WriteAwait{stream(), {&sending_, 1}}.await_suspend(waiter, result);
}

io::Task<WriteResult> ClientExchange::send_body(Body body, TransferWatch& watch) {
  std::string_view head(static_cast<const char*>(unsent_.iov_base), unsent_.iov_len);  // empty: it was sent
  OutgoingFraming framing{Framing::kChunked, 0};
  const BodyLength& length = request_->body;
  if (length.kind == BodyLength::Kind::kKnown) framing = {Framing::kLength, length.bytes};
  return write_message(connection_.loop, stream(), head, framing, body, watch, arena_);
}

io::Task<std::expected<void, Error>> ClientExchange::read_head(Response& out) {
  response_ = &out;
  return read_response_head(stream(), request_->method, limits_, arena_, out, head_);
}

ClientTunnel& ClientExchange::become_tunnel() {
  Lender& lender = connection_.lender;
  this->~ClientExchange();
  return lender.on_upgrade();
}

BodyReader* ClientExchange::body() {
  body_.emplace(stream(), Side::kResponse, head_.framing, response_->body.bytes, limits_, arena_);
  return body_->open() ? &*body_ : nullptr;
}

void ClientExchange::end(bool sent) {
  bool reusable = sent && head_.keep_alive && body_ && body_->done() && !stream().cancelled();
  Lender& lender = connection_.lender;
  this->~ClientExchange();
  lender.on_exchange_end(reusable);
}

}  // namespace sluice::http::h1
