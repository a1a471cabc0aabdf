#include "http/grpc_frame.h"

#include <algorithm>
#include <cstring>

namespace sluice::http {

std::array<char, kGrpcPrefixBytes> grpc_prefix(uint32_t size, uint8_t flags) {
  return {static_cast<char>(flags), static_cast<char>(size >> 24), static_cast<char>(size >> 16),
          static_cast<char>(size >> 8), static_cast<char>(size)};
}

std::expected<std::optional<GrpcFrameReader::Frame>, Error> GrpcFrameReader::next(std::string_view& bytes) {
  if (given_) {
    given_ = false;
    message_.clear();
  }
  size_t of_prefix = std::min(kGrpcPrefixBytes - prefix_bytes_, bytes.size());
  if (of_prefix > 0) std::memcpy(prefix_.data() + prefix_bytes_, bytes.data(), of_prefix);
  prefix_bytes_ += of_prefix;
  bytes.remove_prefix(of_prefix);
  if (prefix_bytes_ < kGrpcPrefixBytes) return std::nullopt;

  auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(prefix_[i])); };
  size_t size = byte(1) << 24 | byte(2) << 16 | byte(3) << 8 | byte(4);
  if (size > max_message_) return std::unexpected(kGrpcMessageTooLargeError);
  Frame frame{static_cast<uint8_t>(byte(0)), {}};
  size_t wanted = size - message_.size();
  if (message_.empty() && bytes.size() >= size) {
    frame.message = bytes.substr(0, size);
    bytes.remove_prefix(size);
  } else {
    size_t taken = std::min(wanted, bytes.size());
    message_.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    if (taken < wanted) return std::nullopt;
    frame.message = message_;
    given_ = true;
  }
  prefix_bytes_ = 0;
  return frame;
}

size_t GrpcMessageMeter::pass(std::string_view bytes) {
  size_t at = 0;
  while (at < bytes.size()) {
    if (left_ > 0) {
      size_t passing = std::min<uint64_t>(left_, bytes.size() - at);
      left_ -= passing;
      at += passing;
      continue;
    }
    size_t begin = at;
    while (prefix_bytes_ < kGrpcPrefixBytes && at < bytes.size()) {
      // The flags are shifted out again.
      size_ = size_ << 8 | static_cast<unsigned char>(bytes[at++]);
      ++prefix_bytes_;
    }
    if (prefix_bytes_ < kGrpcPrefixBytes) break;
    if (size_ > max_message_) return begin;
    left_ = size_;
    prefix_bytes_ = 0;
  }
  return at;
}

}  // namespace sluice::http
