#include "gateway/redis/reply.h"

#include <fmt/format.h>
#include <hiredis/hiredis.h>

namespace sluice::gateway {

namespace {

RedisReply copy(const redisReply& from) {
  using Kind = RedisReply::Kind;
  RedisReply reply;
  switch (from.type) {
    case REDIS_REPLY_STATUS:
      reply.kind = Kind::kStatus;
      break;
    case REDIS_REPLY_ERROR:
      reply.kind = Kind::kError;
      break;
    case REDIS_REPLY_STRING:
      reply.kind = Kind::kText;
      break;
    case REDIS_REPLY_INTEGER:
      reply.kind = Kind::kInteger;
      reply.integer = from.integer;
      return reply;
    case REDIS_REPLY_ARRAY:
      reply.kind = Kind::kArray;
      for (size_t i = 0; i < from.elements; ++i) reply.items.push_back(copy(*from.element[i]));
      return reply;
    default:
      return reply;
  }
  reply.text.assign(from.str, from.len);
  return reply;
}

template <class Words>
std::string command_of(const Words& words) {
  std::string out = fmt::format("*{}\r\n", words.size());
  for (const auto& word : words) fmt::format_to(std::back_inserter(out), "${}\r\n{}\r\n", word.size(), word);
  return out;
}

}  // namespace

struct RedisReplyReader::Reader {
  redisReader* reader = redisReaderCreate();
  Reader() {
    if (!reader) throw std::bad_alloc();
  }
  ~Reader() { redisReaderFree(reader); }
};

RedisReplyReader::RedisReplyReader() : reader_(std::make_unique<Reader>()) {}
RedisReplyReader::~RedisReplyReader() = default;

bool RedisReplyReader::feed(std::string_view bytes) {
  waiting_ += bytes.size();
  if (waiting_ > kMostBytes || redisReaderFeed(reader_->reader, bytes.data(), bytes.size()) != REDIS_OK)
    broken_ = true;
  return !broken_;
}

std::optional<RedisReply> RedisReplyReader::next() {
  void* got = nullptr;
  if (broken_ || redisReaderGetReply(reader_->reader, &got) != REDIS_OK) {
    broken_ = true;
    return std::nullopt;
  }
  if (!got) return std::nullopt;
  waiting_ = 0;
  RedisReply reply = copy(*static_cast<redisReply*>(got));
  freeReplyObject(got);
  return reply;
}

std::string redis_command(std::initializer_list<std::string_view> words) { return command_of(words); }
std::string redis_command(const std::vector<std::string>& words) { return command_of(words); }

}  // namespace sluice::gateway
