#include "policies/transform/grpc_transcode/json_upload.h"

#include "http/grpc_frame.h"

namespace sluice::policies::grpc {

bool JsonUpload::try_read(http::ChunkResult& result) {
  for (;;) {
    if (error_) {
      result = std::unexpected(*error_);
      return true;
    }
    if (ended_) {
      result = http::Chunk{.bytes = {}, .end = true};
      return true;
    }
    http::ChunkResult chunk;
    if (!source_.try_read(chunk)) return false;
    if (accept(std::move(chunk), result)) return true;
  }
}

io::Task<http::ChunkResult> JsonUpload::wait_read() {
  http::ChunkResult result;
  bool done = false;
  while (!done) {
    auto chunk = co_await source_.read();
    done = accept(std::move(chunk), result);
  }
  co_return result;
}

bool JsonUpload::accept(http::ChunkResult chunk, http::ChunkResult& result) {
  out_.clear();
  if (!chunk) {
    error_ = chunk.error();
  } else {
    take(chunk->bytes);
    if (chunk->end && !error_) take_end();
  }
  // What was whole before the fault is not sent either: the call fails.
  if (error_)
    result = std::unexpected(*error_);
  else if (ended_ || !out_.empty())
    result = http::Chunk{.bytes = out_, .end = ended_};
  else
    return false;
  return true;
}

void JsonUpload::take(std::string_view bytes) {
  while (!bytes.empty() && !error_) {
    if (state_ == State::kItem || state_ == State::kLines)
      take_value(bytes);
    else
      take_separator(bytes);
  }
}

void JsonUpload::take_value(std::string_view& bytes) {
  size_t used = 0;
  JsonScanner::Status status = scanner_.scan(bytes, used);
  // White space between values does not count, and is not kept.
  if (!value_.empty() || !scanner_.between_values() || status == JsonScanner::Status::kWhole)
    value_.append(bytes.substr(0, used));
  bytes.remove_prefix(used);
  if (value_.size() > settings_.max_message)
    return fail(413, "message_too_large", "A message is larger than allowed.");
  switch (status) {
    case JsonScanner::Status::kMore:
      return;
    case JsonScanner::Status::kWhole:
      return send_value();
    case JsonScanner::Status::kBad:
      return fail(400, "bad_json", "The body is not JSON.");
    case JsonScanner::Status::kDeep:
      return fail(400, "bad_json", "The body's JSON nests too deep.");
  }
}

void JsonUpload::take_separator(std::string_view& bytes) {
  char c = bytes.front();
  if (c == ' ' || c == '\t' || c == '\n' || c == '\r') return bytes.remove_prefix(1);
  bool is_array = state_ == State::kStart && c == '[' && !settings_.lines;
  if (state_ == State::kStart && !is_array) {
    state_ = State::kLines;
    return;
  }
  bool ends = c == ']' && (state_ == State::kItemOrEnd || state_ == State::kCommaOrEnd);
  if (is_array) {
    state_ = State::kItemOrEnd;
  } else if (ends) {
    state_ = State::kBehindArray;
  } else if (state_ == State::kItemOrEnd) {
    state_ = State::kItem;
    return;
  } else if (state_ == State::kCommaOrEnd && c == ',') {
    state_ = State::kItem;
  } else {
    return fail(400, "bad_json", "The body is neither a JSON array nor JSON values.");
  }
  bytes.remove_prefix(1);
}

void JsonUpload::take_end() {
  bool number = state_ == State::kLines && !scanner_.between_values();
  if (number && scanner_.end() == JsonScanner::Status::kWhole)
    send_value();
  else if (number || (state_ != State::kStart && state_ != State::kBehindArray && state_ != State::kLines))
    fail(400, "bad_json", "The body's JSON ends too early.");
  ended_ = !error_;
}

void JsonUpload::send_value() {
  state_ = state_ == State::kItem ? State::kCommaOrEnd : state_;
  size_t begin = out_.size();
  out_.append(http::kGrpcPrefixBytes, '\0');
  auto written = settings_.binding.write_body(value_, settings_.codec, out_);
  value_.clear();
  if (!written) return fail(400, "bad_json", written.error());
  out_.append(std::exchange(first_, {}));
  size_t size = out_.size() - begin - http::kGrpcPrefixBytes;
  if (size > settings_.max_message)
    return fail(413, "message_too_large", "A message is larger than allowed.");
  auto prefix = http::grpc_prefix(static_cast<uint32_t>(size));
  out_.replace(begin, prefix.size(), prefix.data(), prefix.size());
}

void JsonUpload::fail(uint16_t status, std::string_view code, std::string_view detail) {
  error_ = http::Error{status, code, settings_.arena.copy(detail), true};
}

}  // namespace sluice::policies::grpc
