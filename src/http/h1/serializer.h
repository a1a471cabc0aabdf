// Writes HTTP/1.1 heads, chunk-size lines and trailer sections (RFC 9112). Names and values are sent as they
// stand: whoever put them into a message has checked them (see http/syntax.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/arena.h"
#include "http/message.h"

namespace sluice::http::h1 {

/// The `Connection` field to write.
enum class ConnectionOption : uint8_t {
  kNone,       // no field: persistent in HTTP/1.1
  kKeepAlive,  // said aloud, for HTTP/1.0 clients
  kClose,
  kUpgrade,  // with `Upgrade:` the token given
};

struct RequestHeadOptions {
  std::string_view host = {};       // value of `Host`; written first (RFC 9110, section 7.2)
  std::string_view base_path = {};  // put before the path, without a slash at its end; not before "*"
  ConnectionOption connection = ConnectionOption::kNone;
  std::string_view upgrade = {};  // for kUpgrade
  bool te_trailers = false;  // writes `TE: trailers` and names it in `Connection` (RFC 9110, section 10.1.4)
};

/// The whole request head in one piece in `arena`. `request.body` decides the framing fields: known gives
/// Content-Length, unknown gives `Transfer-Encoding: chunked`, none gives neither.
std::string_view write_request_head(const Request& request, const RequestHeadOptions& options, Arena& arena);

struct ResponseHeadOptions {
  ConnectionOption connection = ConnectionOption::kNone;  // not kUpgrade: `response.upgrade` says that
  std::string_view date = {};  // added as `Date` when the response has none; empty: nothing is added
  bool chunked = true;         // how a body of unknown length is sent: chunked, or (HTTP/1.0) until the close
  bool answers_head = false;   // to HEAD: a body of kind none then writes no `Content-Length: 0`
};

/// The whole response head in one piece in `arena`, with the version HTTP/1.1 whatever the client's (RFC
/// 9110, section 6.2). 1xx and 204 get no framing field, 304 only a known length; else none gives
/// `Content-Length: 0`.
std::string_view write_response_head(const Response& response, const ResponseHeadOptions& options,
                                     Arena& arena);

/// The line before a chunk: its size in hexadecimal and CRLF. The chunk's bytes and kChunkEnd follow it.
class ChunkLine {
 public:
  explicit ChunkLine(uint64_t size);
  std::string_view text() const { return {bytes_ + start_, sizeof bytes_ - start_}; }

 private:
  char bytes_[18];
  uint8_t start_;
};

inline constexpr std::string_view kChunkEnd = "\r\n";
/// The end of a chunked body without trailers.
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";
/// The end of a chunked body with these trailers, in one piece in `arena`.
std::string_view write_last_chunk(const Fields& trailers, Arena& arena);

}  // namespace sluice::http::h1
