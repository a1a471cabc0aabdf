#include "http/h1/response_reader.h"

#include "http/h1/head_buffer.h"
#include "http/h1/head_scanner.h"
#include "http/transfer_errors.h"

namespace sluice::http::h1 {

io::Task<std::expected<void, Error>> read_response_head(io::Stream& stream, Method method,
                                                        const Limits& limits, Arena& arena, Response& out,
                                                        ResponseHead& head) {
  HeadScanner scanner(Side::kResponse, limits);
  HeadBuffer buffer(arena);
  for (;;) {
    auto lease = co_await stream.read();
    if (!lease) {
      bool cancelled = lease.error().code == io::ErrorCode::kCancelled;
      co_return std::unexpected(cancelled ? kCancelledError : kUpstreamResetError);
    }
    if (lease->empty())
      co_return std::unexpected(buffer.empty() ? kUpstreamResetError : kUpstreamTruncatedError);
    auto progress = scanner.feed(lease->bytes());
    if (!progress) co_return std::unexpected(progress.error());
    buffer.append(lease->bytes().substr(0, progress->used));
    if (!progress->complete) continue;
    lease->consume(progress->used);
    if (!lease->empty()) stream.unread(std::move(*lease));
    std::string_view text = buffer.text().substr(progress->skip);
    auto parsed = parse_response(text, method, limits, out);
    if (!parsed) co_return std::unexpected(parsed.error());
    head = *parsed;
    co_return std::expected<void, Error>();
  }
}

}  // namespace sluice::http::h1
