// One request and its response on an HTTP/1.x server connection.
#pragma once

#include <optional>

#include "http/h1/head_scanner.h"
#include "http/h1/message_writer.h"
#include "http/h1/request_parser.h"
#include "http/h1/stream_body.h"
#include "http/server.h"

namespace sluice::http::h1 {

class ServerConnection;

class Http1Exchange final : public ServerExchange {
 public:
  Http1Exchange(ServerConnection& connection, Arena& arena, Request& request);

  enum class Head : uint8_t {
    kNothing,  // the connection ended before a request; there is nothing to answer
    kRequest,  // a request, or one that is `refused`
    kHttp2,    // the preface of HTTP/2
  };
  io::Task<Head> read_head();

  enum class Next : uint8_t {
    kKeepAlive,
    kClose,
    kLinger,  // close, but first read what the client is still sending
  };
  /// After the handler. Whether a short rest of the request's body stands before the next request: it is to
  /// be skipped first.
  bool has_rest() const;
  io::Task<> skip_rest();
  /// Leaves the stream at the next request, or says how to end it.
  Next finish();

  void limit_request_body(uint64_t bytes) override;
  io::Address local() const override { return stream_.local(); }
  uint64_t request_bytes() const override;
  uint64_t response_bytes() const override;
  io::Task<void> send_informational(const Response& response) override;
  io::Task<SendOutcome> send(Response& response, Body body, TransferWatch::Bounds bounds) override;
  io::Task<io::Stream*> accept_tunnel(Response& response) override;
  void stop_request_body() override;
  void abandon() override;

 private:
  Head read_failed(const io::Error& error, bool begun);
  Head refuse(const Error& error);
  void accept(std::string_view head);
  void skip_rest_at_hand();
  bool rest_is_short() const;

  ServerConnection& connection_;
  io::Stream& stream_;
  uint64_t read_before_;  // bytes of the stream when the exchange began
  uint64_t written_before_;
  std::optional<StreamBody> body_;
  Error error_;              // what `refused` points to when it is not static
  bool keep_alive_ = false;  // as far as the request goes; false until it is understood
  bool closing_ = true;      // what the response said, or what an error demands
  bool abandoned_ = false;
  bool informing_ = false;  // a 1xx is being written
  bool mute_ = false;       // nobody is there who would understand an answer
};

}  // namespace sluice::http::h1
