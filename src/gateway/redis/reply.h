// Replies of Redis (RESP2, the protocol of every version), read piece by piece as they come.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::gateway {

struct RedisReply {
  enum class Kind : uint8_t { kStatus, kError, kInteger, kText, kNil, kArray };
  Kind kind = Kind::kNil;
  int64_t integer = 0;
  std::string text;  // of kStatus, kError and kText
  std::vector<RedisReply> items;
};

class RedisReplyReader {
 public:
  /// A reply beyond these breaks the connection: none that is asked for is.
  struct Bounds {
    size_t bytes = 1 << 20;
    size_t items = 1024;  // of an array
  };

  explicit RedisReplyReader(Bounds bounds);
  RedisReplyReader() : RedisReplyReader(Bounds()) {}
  ~RedisReplyReader();

  /// False: that is not the protocol, or too much of it.
  bool feed(std::string_view bytes);
  /// The next whole reply, if it is there; check `broken` when it is not.
  std::optional<RedisReply> next();
  bool broken() const { return broken_; }

 private:
  struct Reader;
  const Bounds bounds_;
  std::unique_ptr<Reader> reader_;
  size_t waiting_ = 0;  // bytes that belong to no reply yet
  bool broken_ = false;
};

/// A command as it goes over the wire: an array of bulk strings.
std::string redis_command(std::initializer_list<std::string_view> words);
std::string redis_command(const std::vector<std::string>& words);

}  // namespace sluice::gateway
