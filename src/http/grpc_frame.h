// gRPC's messages on the wire: a byte of flags, four of length, the message (gRPC over HTTP/2,
// "Length-Prefixed-Message"). Read piece by piece, whatever the chunks of the body are.
#pragma once

#include <array>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "http/error.h"

namespace sluice::http {

inline constexpr size_t kGrpcPrefixBytes = 5;
inline constexpr uint8_t kGrpcCompressed = 0x01;
inline constexpr uint8_t kGrpcWebTrailers = 0x80;  // of gRPC-Web alone: the message is the trailers

/// What stands before a message of `size` bytes.
std::array<char, kGrpcPrefixBytes> grpc_prefix(uint32_t size, uint8_t flags = 0);

class GrpcFrameReader {
 public:
  struct Frame {
    uint8_t flags = 0;
    std::string_view message;  // valid until the next call
  };

  /// A message of more than `max_message` bytes is an error, as soon as its length is known.
  explicit GrpcFrameReader(size_t max_message) : max_message_(max_message) {}

  /// Takes bytes from the front of `bytes` until a message is whole; nullopt: all were taken and more are
  /// needed. Memory grows with the bytes that have come, not with the length that was announced. A message
  /// that lies in `bytes` as a whole is not copied.
  std::expected<std::optional<Frame>, Error> next(std::string_view& bytes);

  /// Nothing of a message has come: the body may end here.
  bool between_messages() const { return prefix_bytes_ == 0; }

 private:
  size_t max_message_;
  std::array<char, kGrpcPrefixBytes> prefix_{};
  size_t prefix_bytes_ = 0;
  std::string message_;  // of which parts have come
  bool given_ = false;   // `message_` was handed out
};

/// Looks at messages that pass by, and holds none.
class GrpcMessageMeter {
 public:
  explicit GrpcMessageMeter(uint64_t max_message) : max_message_(max_message) {}

  /// How many of the next bytes may pass: all, or those before a message of more than `max_message` bytes.
  size_t pass(std::string_view bytes);

 private:
  uint64_t max_message_;
  uint64_t left_ = 0;  // of the message that passes
  uint32_t size_ = 0;  // as far as its prefix has come
  uint8_t prefix_bytes_ = 0;
};

/// The status is 413; who reads an upstream's messages makes that 502.
inline constexpr Error kGrpcMessageTooLargeError{413, "message_too_large",
                                                 "A gRPC message is larger than allowed.", true};

}  // namespace sluice::http
