// Makes a Response of the fields of an HTTP/2 response (RFC 9113, section 8.3.2). nghttp2 has checked what
// makes a message malformed; here is what remains: limits, and what a gateway must not take for an answer.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/error.h"
#include "http/limits.h"
#include "http/message.h"

namespace sluice::http::h2 {

/// The fields of one head. Texts are copied into the arena.
class ResponseHead {
 public:
  explicit ResponseHead(Arena& arena) : response_(arena) {}

  /// False: so much larger than allowed that it is not worth reading through.
  bool add(std::string_view name, std::string_view value, const Limits& limits);
  /// After the last field; null: `response` is right. `ended`: no body follows. `upgrade`: what was asked for
  /// by extended CONNECT, so that agreement is told as a 101. Any error has status 502.
  const Error* finish(bool ended, std::string_view upgrade);
  const Response& response() const { return response_; }
  bool interim() const { return response_.status < 200 && response_.status != 101; }

 private:
  Response response_;
  uint64_t bytes_ = 0;
  uint32_t count_ = 0;
  std::string_view length_;
  bool has_length_ = false;
  bool too_large_ = false;
};

}  // namespace sluice::http::h2
