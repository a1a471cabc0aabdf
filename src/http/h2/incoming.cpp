#include "http/h2/incoming.h"

#include <algorithm>

#include "http/h1/chunked_decoder.h"
#include "http/transfer_errors.h"
#include "io/frame_pool.h"

namespace sluice::http::h2 {

namespace {

/// Of the smallest piece of memory: a client that sends byte by byte fills it before it gets another.
constexpr size_t kLeastCapacity = 4096 - sizeof(io::Buffer);

/// Pieces come from the loop's pool of frames.
class PieceOwner final : public io::BufferOwner {
 public:
  void give_back(io::Buffer* piece) override {
    io::release_frame(piece, sizeof(io::Buffer) + piece->capacity);
  }
};
PieceOwner piece_owner;

io::Buffer* make_piece(size_t bytes) {
  size_t capacity = std::max(bytes, kLeastCapacity);
  void* memory = io::allocate_frame(sizeof(io::Buffer) + capacity);
  return new (memory) io::Buffer{&piece_owner, nullptr, static_cast<uint32_t>(capacity), 0};
}

}  // namespace

Incoming::~Incoming() {
  release_lent();
  if (size_t unread = release_unread()) window_.give_back(unread);
}

size_t Incoming::release_unread() {
  size_t bytes = 0;
  while (first_) {
    io::Buffer* piece = pop();
    bytes += piece->size;
    piece->owner->give_back(piece);
  }
  return bytes;
}

void Incoming::drop() {
  fail(kCancelledError);
  release_lent();
  if (size_t unread = release_unread()) window_.give_back(unread);
}

void Incoming::add(std::string_view bytes) {
  if (error_) return window_.give_back(bytes.size());
  received_ += bytes.size();
  if (!last_ || last_->capacity - last_->size < bytes.size()) {
    io::Buffer* piece = make_piece(bytes.size());
    (last_ ? last_->next : first_) = piece;
    last_ = piece;
  }
  std::memcpy(last_->data() + last_->size, bytes.data(), bytes.size());
  last_->size += static_cast<uint32_t>(bytes.size());
  tell();
}

bool Incoming::add_trailer(std::string_view name, std::string_view value, const Limits& limits) {
  if (!trailers_) trailers_.emplace(arena_);
  trailer_bytes_ += static_cast<uint32_t>(name.size() + value.size());
  if (trailer_bytes_ > limits.trailer_bytes || trailers_->size() >= limits.request_fields) return false;
  Field field{arena_.copy(name), arena_.copy(value), intern_field_name(name)};
  if (!h1::is_forbidden_trailer(field)) trailers_->add(field);
  return true;
}

void Incoming::end() {
  ended_ = true;
  tell();
}

void Incoming::fail(const Error& error) {
  if (error_ || (ended_ && !first_)) return;
  error_ = error;
  tell();
}

void Incoming::tell() {
  if (watcher_)
    watcher_->on_incoming();
  else
    signal_.tell();
}

io::Buffer* Incoming::pop() {
  io::Buffer* piece = first_;
  first_ = piece->next;
  if (!first_) last_ = nullptr;
  return piece;
}

void Incoming::release_lent() {
  if (!lent_) return;
  window_.give_back(lent_->size);
  lent_->owner->give_back(lent_);
  lent_ = nullptr;
}

bool Incoming::try_read(ChunkResult& result) {
  release_lent();
  if (error_) {
    result = std::unexpected(*error_);
    return true;
  }
  Chunk chunk;
  if (first_) {
    lent_ = pop();
    chunk.bytes = {lent_->data(), lent_->size};
    given_ += lent_->size;
    if (given_ > limit_) {
      fail(kRequestTooLargeError);
      result = std::unexpected(kRequestTooLargeError);
      return true;
    }
  } else if (!ended_) {
    return false;
  }
  chunk.end = ended_ && !first_;
  if (chunk.end && trailers_ && !trailers_->empty()) chunk.trailers = &*trailers_;
  result = chunk;
  return true;
}

bool Incoming::try_lease(std::expected<io::Lease, Error>& result) {
  if (error_) {
    result = std::unexpected(*error_);
    return true;
  }
  if (!first_ && !ended_) return false;
  io::Lease lease;
  if (first_) {
    io::Buffer* piece = pop();
    lease = io::Lease(piece, piece->size);
    window_.give_back(piece->size);
  }
  result = std::move(lease);
  return true;
}

io::Task<ChunkResult> Incoming::wait_read() {
  ChunkResult result;
  for (;;) {
    co_await signal_.wait(token_);
    if (try_read(result)) co_return result;
    if (token_.cancelled()) {
      result = std::unexpected(kCancelledError);
      co_return result;
    }
  }
}

}  // namespace sluice::http::h2
