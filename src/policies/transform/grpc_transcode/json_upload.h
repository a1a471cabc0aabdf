// The body of a call whose client streams: JSON values, one a line or one behind the other (NDJSON), or the
// items of one array, each sent on as a message as soon as it is whole.
#pragma once

#include <string>

#include "base/arena.h"
#include "http/body.h"
#include "policies/transform/grpc_transcode/binding.h"
#include "policies/transform/grpc_transcode/json_scanner.h"

namespace sluice::policies::grpc {

class JsonUpload final : public http::BodyReader {
 public:
  struct Settings {
    const Binding& binding;
    const MessageCodec& codec;
    size_t max_message;
    bool lines;  // never an array
    Arena& arena;
  };

  /// `first` goes with the first message: the fields of the URL.
  JsonUpload(http::BodyReader& source, const Settings& settings, std::string first)
      : source_(source), settings_(settings), first_(std::move(first)) {}

  bool try_read(http::ChunkResult& result) override;

 private:
  enum class State : uint8_t { kStart, kItemOrEnd, kItem, kCommaOrEnd, kBehindArray, kLines };

  io::Task<http::ChunkResult> wait_read() override;
  /// Takes what the source gave; false: more is needed.
  bool accept(http::ChunkResult chunk, http::ChunkResult& result);
  void take(std::string_view bytes);
  void take_value(std::string_view& bytes);
  void take_separator(std::string_view& bytes);
  void take_end();
  void send_value();
  void fail(uint16_t status, std::string_view code, std::string_view detail);

  http::BodyReader& source_;
  Settings settings_;
  std::string first_;
  State state_ = State::kStart;
  JsonScanner scanner_;
  std::string value_;  // as much as has come of it
  std::string out_;
  bool ended_ = false;
  std::optional<http::Error> error_;
};

}  // namespace sluice::policies::grpc
