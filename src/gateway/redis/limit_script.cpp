#include "gateway/redis/limit_script.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <array>

namespace sluice::gateway {

namespace {

/// Instants are microseconds since 2023-11-14T22:13:20Z: Lua's numbers, doubles, then have a fraction to
/// spare.
constexpr int64_t kEpoch = 1'700'000'000;

constexpr std::string_view kScript = R"lua(
local time = redis.call('TIME')
local now = (tonumber(time[1]) - 1700000000) * 1000000 + tonumber(time[2])
local cost, partial = tonumber(ARGV[1]), ARGV[2] == '1'
local limits, ok = {}, true
for i, key in ipairs(KEYS) do
  local kind = ARGV[i * 4 - 1]
  local limit, period, more = tonumber(ARGV[i * 4]), tonumber(ARGV[i * 4 + 1]), tonumber(ARGV[i * 4 + 2])
  local l = { never = cost > limit }
  if kind == 'g' then
    local interval, tolerance = period, more
    local tat = math.max(tonumber(redis.call('GET', key) or now), now)
    l.never = cost * interval > tolerance * (1 + 1e-9)
    l.fit = math.floor((tolerance - (tat - now)) / interval + 1e-6)
    l.reset, l.retry = tat - now, tat - now + cost * interval - tolerance
    l.write = function(n)
      local ahead = tat - now + n * interval
      redis.call('SET', key, string.format('%.3f', now + ahead), 'PX', math.ceil(ahead / 1000) + 1)
      l.reset = ahead
    end
  elseif kind == 's' then
    local number, sum, counts, old = math.floor(now / period), 0, {}, {}
    local all = redis.call('HGETALL', key)
    for j = 1, #all, 2 do
      local at = tonumber(all[j])
      if at > number - 10 then
        counts[at] = tonumber(all[j + 1])
        sum = sum + counts[at]
      else
        old[#old + 1] = all[j]
      end
    end
    l.fit = limit - sum
    local freed = l.fit
    l.reset, l.retry = 0, period
    for at = number - 9, number do
      if counts[at] then
        local gone = (at + 10) * period - now
        freed, l.reset = freed + counts[at], gone
        if freed >= cost then l.retry = gone break end
      end
    end
    l.write = function(n)
      if #old > 0 then redis.call('HDEL', key, unpack(old)) end
      redis.call('HINCRBY', key, string.format('%.0f', number), n)
      redis.call('PEXPIRE', key, math.ceil(period * 10 / 1000) + 1)
      l.reset = (number + 10) * period - now
    end
  else
    local stop, spent = more, 0
    if kind == 'f' then stop = (math.floor(now / period) + 1) * period end
    local known_stop, known = string.match(redis.call('GET', key) or '', '^(%-?%d+):(%d+)$')
    if known_stop and tonumber(known_stop) >= stop then stop, spent = tonumber(known_stop), tonumber(known) end
    l.fit = limit - spent
    l.reset, l.retry = math.max(stop - now, 0), math.max(stop - now, 0)
    l.write = function(n)
      local value = string.format('%.0f:%.0f', stop, spent + n)
      redis.call('SET', key, value, 'PX', math.ceil(math.max(stop - now, 0) / 1000) + 60000)
    end
  end
  l.fit = math.max(l.fit, 0)
  l.take = partial and math.min(cost, l.fit) or cost
  if l.take == 0 or l.take > l.fit then ok = false end
  limits[i] = l
end
local out = {}
for _, l in ipairs(limits) do
  local taken = 0
  if ok then
    l.write(l.take)
    taken = l.take
  end
  local retry = 0
  if l.take == 0 or l.take > l.fit then retry = l.never and -1 or math.max(math.ceil(l.retry), 1) end
  out[#out + 1] = taken
  out[#out + 1] = l.fit - taken
  out[#out + 1] = math.ceil(l.reset)
  out[#out + 1] = retry
end
return out
)lua";

/// As EVALSHA names it.
const std::string& script_digest() {
  static const std::string digest = [] {
    std::array<unsigned char, EVP_MAX_MD_SIZE> bytes;
    unsigned int size = 0;
    EVP_Digest(kScript.data(), kScript.size(), bytes.data(), &size, EVP_sha1(), nullptr);
    std::string text;
    for (unsigned int i = 0; i < size; ++i) text += fmt::format("{:02x}", bytes[i]);
    return text;
  }();
  return digest;
}

double microseconds(Duration duration) { return static_cast<double>(duration.count()) / 1e3; }

void add_rule(std::vector<std::string>& words, const SharedRule& rule, const SharedKey& key) {
  words.emplace_back(1, static_cast<char>(rule.kind));
  words.push_back(std::to_string(rule.count));
  double interval = microseconds(rule.period) / static_cast<double>(rule.count);
  switch (rule.kind) {
    case SharedRule::Kind::kGcra:
      words.push_back(fmt::format("{:.6f}", interval));
      words.push_back(fmt::format("{:.6f}", interval * static_cast<double>(rule.burst)));
      return;
    case SharedRule::Kind::kSlidingWindow:
      words.push_back(fmt::format("{:.0f}", std::ceil(microseconds(rule.period) / 9)));
      words.push_back("0");
      return;
    case SharedRule::Kind::kFixedWindow:
      words.push_back(fmt::format("{:.0f}", microseconds(rule.period)));
      words.push_back("0");
      return;
    case SharedRule::Kind::kQuota:
      words.push_back("0");
      words.push_back(std::to_string((key.period_end - kEpoch) * 1'000'000));
      return;
  }
}

}  // namespace

std::string limit_command(std::span<const SharedRule> rules, std::span<const SharedKey> keys, uint64_t cost,
                          bool as_much_as_there_is, bool whole) {
  std::vector<std::string> words;
  words.emplace_back(whole ? "EVAL" : "EVALSHA");
  words.emplace_back(whole ? kScript : std::string_view(script_digest()));
  words.push_back(std::to_string(keys.size()));
  for (const SharedKey& key : keys) words.push_back(key.name);
  words.push_back(std::to_string(cost));
  words.emplace_back(as_much_as_there_is ? "1" : "0");
  for (size_t i = 0; i < rules.size(); ++i) add_rule(words, rules[i], keys[i]);
  return redis_command(words);
}

std::optional<std::vector<SharedDecision>> read_decisions(const RedisReply& reply, size_t count) {
  constexpr size_t kNumbers = 4;
  if (reply.kind != RedisReply::Kind::kArray || reply.items.size() != count * kNumbers) return std::nullopt;
  std::vector<SharedDecision> decisions;
  for (size_t i = 0; i < count; ++i) {
    int64_t numbers[kNumbers];
    for (size_t j = 0; j < kNumbers; ++j) {
      const RedisReply& item = reply.items[i * kNumbers + j];
      if (item.kind != RedisReply::Kind::kInteger) return std::nullopt;
      numbers[j] = item.integer;
    }
    if (numbers[0] < 0 || numbers[1] < 0 || numbers[2] < 0) return std::nullopt;
    auto time = [](int64_t value) {
      constexpr int64_t kMost = Duration::max().count() / 1000;
      return Duration(std::min(value, kMost) * 1000);
    };
    decisions.push_back({.taken = static_cast<uint64_t>(numbers[0]),
                         .remaining = static_cast<uint64_t>(numbers[1]),
                         .reset_after = time(numbers[2]),
                         .retry_after = numbers[3] < 0 ? Duration::max() : time(numbers[3])});
  }
  return decisions;
}

bool is_unknown_script(const RedisReply& reply) {
  return reply.kind == RedisReply::Kind::kError && reply.text.starts_with("NOSCRIPT");
}

}  // namespace sluice::gateway
