#include "gateway/redis/reply.h"

#include <fmt/format.h>
#include <hiredis/read.h>

#include <new>

namespace sluice::gateway {

namespace {

using Kind = RedisReply::Kind;

/// What a task of the reader makes: the reply itself, or its place in the array that it is part of. The
/// reader's own way would take memory for as many items as an array claims to have.
RedisReply* place_of(const redisReadTask* task) {
  if (!task->parent) return new (std::nothrow) RedisReply;
  return &static_cast<RedisReply*>(task->parent->obj)->items[static_cast<size_t>(task->idx)];
}

void* make_string(const redisReadTask* task, char* text, size_t size) {
  RedisReply* reply = place_of(task);
  if (!reply) return nullptr;
  reply->kind = task->type == REDIS_REPLY_ERROR    ? Kind::kError
                : task->type == REDIS_REPLY_STATUS ? Kind::kStatus
                                                   : Kind::kText;
  reply->text.assign(text, size);
  return reply;
}

void* make_array(const redisReadTask* task, int size) {
  const auto* bounds = static_cast<const RedisReplyReader::Bounds*>(task->privdata);
  if (size < 0 || static_cast<size_t>(size) > bounds->items) return nullptr;
  RedisReply* reply = place_of(task);
  if (!reply) return nullptr;
  reply->kind = Kind::kArray;
  reply->items.resize(static_cast<size_t>(size));
  return reply;
}

void* make_integer(const redisReadTask* task, long long value) {
  RedisReply* reply = place_of(task);
  if (!reply) return nullptr;
  reply->kind = Kind::kInteger;
  reply->integer = value;
  return reply;
}

void* make_nil(const redisReadTask* task) { return place_of(task); }

void free_reply(void* reply) { delete static_cast<RedisReply*>(reply); }

redisReplyObjectFunctions kFunctions{make_string, make_array, make_integer, make_nil, free_reply};

template <class Words>
std::string command_of(const Words& words) {
  std::string out = fmt::format("*{}\r\n", words.size());
  for (const auto& word : words) fmt::format_to(std::back_inserter(out), "${}\r\n{}\r\n", word.size(), word);
  return out;
}

}  // namespace

struct RedisReplyReader::Reader {
  redisReader* reader = redisReaderCreateWithFunctions(&kFunctions);
  explicit Reader(const Bounds& bounds) {
    if (!reader) throw std::bad_alloc();
    reader->privdata = const_cast<Bounds*>(&bounds);
  }
  ~Reader() { redisReaderFree(reader); }
};

RedisReplyReader::RedisReplyReader(Bounds bounds)
    : bounds_(bounds), reader_(std::make_unique<Reader>(bounds_)) {}
RedisReplyReader::~RedisReplyReader() = default;

bool RedisReplyReader::feed(std::string_view bytes) {
  waiting_ += bytes.size();
  if (waiting_ > bounds_.bytes || redisReaderFeed(reader_->reader, bytes.data(), bytes.size()) != REDIS_OK)
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
  std::unique_ptr<RedisReply> reply(static_cast<RedisReply*>(got));
  return std::move(*reply);
}

std::string redis_command(std::initializer_list<std::string_view> words) { return command_of(words); }
std::string redis_command(const std::vector<std::string>& words) { return command_of(words); }

}  // namespace sluice::gateway
