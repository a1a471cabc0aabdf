#include "http/h1/response_reader.h"

#include "http/h1/head_buffer.h"
#include "http/h1/head_scanner.h"
#include "http/transfer_errors.h"

namespace sluice::http::h1 {

io::Task<std::expected<ResponseHead, Error>> read_response_head(io::Stream& stream, Method method,
                                                                const Limits& limits, Arena& arena,
                                                                Response& out) {
  HeadScanner scanner(Side::kResponse, limits);
  HeadBuffer head(arena);
  for (;;) {
    auto lease = co_await stream.read();
    if (!lease) {
      bool cancelled = lease.error().code == io::ErrorCode::kCancelled;
      co_return std::unexpected(cancelled ? kCancelledError : kUpstreamResetError);
    }
    if (lease->empty())
      co_return std::unexpected(head.empty() ? kUpstreamResetError : kUpstreamTruncatedError);
    auto progress = scanner.feed(lease->bytes());
    if (!progress) co_return std::unexpected(progress.error());
    head.append(lease->bytes().substr(0, progress->used));
    if (!progress->complete) continue;
    lease->consume(progress->used);
    if (!lease->empty()) stream.unread(std::move(*lease));
    std::string_view text = head.text().substr(progress->skip);
    auto parsed = parse_response(text, method, limits, out);
    co_return parsed;
  }
}

}  // namespace sluice::http::h1
