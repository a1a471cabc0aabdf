#include "policies/transform/grpc_web/web_body.h"

#include "base/ascii.h"
#include "http/grpc_frame.h"

namespace sluice::policies {

namespace {
constexpr http::Error kBadBase64{400, "bad_base64", "The body is not base64.", true};
}  // namespace

bool Base64Body::try_read(http::ChunkResult& result) {
  http::ChunkResult chunk;
  do {
    if (!source_.try_read(chunk)) return false;
  } while (!accept(chunk, result));
  return true;
}

io::Task<http::ChunkResult> Base64Body::wait_read() {
  http::ChunkResult result;
  bool done = false;
  while (!done) {
    auto chunk = co_await source_.read();
    done = accept(chunk, result);
  }
  co_return result;
}

bool Base64Body::accept(const http::ChunkResult& chunk, http::ChunkResult& result) {
  out_.clear();
  if (!chunk) {
    result = chunk;
    return true;
  }
  failed_ = failed_ || !decoder_.decode(chunk->bytes, out_) || (chunk->end && !decoder_.between_groups());
  if (failed_)
    result = std::unexpected(kBadBase64);
  else if (!out_.empty() || chunk->end)
    result = http::Chunk{.bytes = out_, .end = chunk->end};
  else
    return false;
  return true;
}

bool is_status_field(std::string_view name) {
  for (std::string_view known : {"grpc-status", "grpc-message", "grpc-status-details-bin"})
    if (ascii::equal_ignoring_case(name, known)) return true;
  return false;
}

bool WebAnswer::try_read(http::ChunkResult& result) {
  http::ChunkResult chunk = http::Chunk{.bytes = {}, .end = true};
  if (source_ && !done_ && !source_->try_read(chunk)) return false;
  accept(chunk, result);
  return true;
}

io::Task<http::ChunkResult> WebAnswer::wait_read() {
  http::ChunkResult result;
  auto chunk = co_await source_->read();
  accept(chunk, result);
  co_return result;
}

void WebAnswer::accept(const http::ChunkResult& chunk, http::ChunkResult& result) {
  out_.clear();
  if (!chunk) {
    result = chunk;
    return;
  }
  bool last = chunk->end && !done_;
  if (!text_ && !last) {
    result = http::Chunk{.bytes = chunk->bytes, .end = chunk->end};
    return;
  }
  add(chunk->bytes);
  if (last) add(trailers_frame(chunk->trailers));
  done_ = done_ || chunk->end;
  result = http::Chunk{.bytes = out_, .end = chunk->end};
}

/// In text each piece is base64 with padding of its own, so that it can leave at once (PROTOCOL-WEB.md).
void WebAnswer::add(std::string_view bytes) {
  if (text_)
    base64::append_encoded(bytes, out_);
  else
    out_ += bytes;
}

std::string WebAnswer::trailers_frame(const http::Fields* trailers) const {
  std::string lines;
  auto add_line = [&](const http::Field& field) {
    lines.append(ascii::to_lower(field.name)).append(": ").append(field.value).append("\r\n");
  };
  bool has_status = false;
  if (trailers && !trailers->empty()) {
    for (const http::Field& field : *trailers) add_line(field);
    has_status = trailers->find("grpc-status") != nullptr;
  }
  if (!has_status) {
    for (const http::Field& field : head_)
      if (is_status_field(field.name)) add_line(field);
    has_status = head_.find("grpc-status") != nullptr;
  }
  if (!has_status) lines += "grpc-status: 2\r\n";  // UNKNOWN
  auto prefix = http::grpc_prefix(static_cast<uint32_t>(lines.size()), http::kGrpcWebTrailers);
  return std::string(prefix.data(), prefix.size()).append(lines);
}

}  // namespace sluice::policies
