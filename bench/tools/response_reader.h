// Frames the answers on one connection of the load generator: status, body length, end. Bodies are counted,
// not kept.
#pragma once

#include <string>
#include <string_view>

#include "http_scan.h"

namespace bench {

class ResponseReader {
 public:
  enum class Result : uint8_t { kMore, kDone, kBroken };

  Result take(std::string_view input) {
    if (!in_body_) {
      if (!partial_.empty()) {
        partial_.append(input);
        input = partial_;
      }
      const size_t end = input.find("\r\n\r\n");
      if (end == std::string_view::npos) {
        if (partial_.empty()) partial_.assign(input);
        return partial_.size() > 64 * 1024 ? Result::kBroken : Result::kMore;
      }
      if (!start_body(input.substr(0, end + 4))) return Result::kBroken;
      if (status_ < 200) {  // an interim answer: the real one follows
        in_body_ = false;
        const std::string rest(input.substr(end + 4));
        partial_.clear();
        return rest.empty() ? Result::kMore : take(rest);
      }
      input.remove_prefix(end + 4);
    }
    const Result result = take_body(input);
    if (!partial_.empty()) partial_.clear();
    return result;
  }

  void reset() {
    in_body_ = false;
    partial_.clear();
  }

  int status() const { return status_; }
  uint64_t body_bytes() const { return body_bytes_; }
  bool close() const { return head_.close; }
  bool in_body() const { return in_body_; }

 private:
  bool start_body(std::string_view head) {
    if (head.size() < 16 || !head.starts_with("HTTP/1.")) return false;
    status_ = (head[9] - '0') * 100 + (head[10] - '0') * 10 + (head[11] - '0');
    head_ = scan_head(head);
    in_body_ = true;
    chunks_ = {};
    body_bytes_ = 0;
    // Without framing the answer would end with the connection, which no server here should need.
    return status_ < 200 || status_ == 204 || status_ == 304 || head_.has_length || head_.chunked;
  }

  Result take_body(std::string_view input) {
    bool done;
    if (head_.chunked) {
      done = chunks_.skip(input);
      body_bytes_ = chunks_.payload();
    } else {
      body_bytes_ += input.size();
      if (body_bytes_ > head_.content_length) return Result::kBroken;
      done = body_bytes_ == head_.content_length;
      input = {};
    }
    if (!done) return Result::kMore;
    in_body_ = false;
    return input.empty() ? Result::kDone : Result::kBroken;  // nothing was asked for beyond this answer
  }

  bool in_body_ = false;
  int status_ = 0;
  Head head_;
  ChunkedSkipper chunks_;
  uint64_t body_bytes_ = 0;
  std::string partial_;  // of a head
};

}  // namespace bench
