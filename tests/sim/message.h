// HTTP/1.1 as the simulated clients and upstreams read it: a reader of its own, written from RFC 9112 and not
// from the gateway's, so that one mistake is not made on both sides. It takes only what the gateway may send.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::sim {

struct Field {
  std::string name;  // lower case once it was read
  std::string value;
  auto operator<=>(const Field&) const = default;
};

struct Fields {
  std::vector<Field> all;

  void add(std::string_view name, std::string_view value) {
    all.push_back({std::string(name), std::string(value)});
  }
  /// The first value; empty when there is none.
  std::string_view value(std::string_view lower_name) const;
  size_t count(std::string_view lower_name) const;
  void remove(std::string_view lower_name);
  /// Replaces every field of that name.
  void set(std::string_view lower_name, std::string_view value);
  /// Sorted, one a line: two lists are equal when their texts are.
  std::string text() const;
};

std::string lower(std::string_view text);

struct Head {
  std::string start;  // the request line or status line
  Fields fields;
  size_t bytes = 0;  // with its empty line

  /// Of a status line; 0 when it is none.
  int status() const;
};

/// The head at the start of `text`: nothing when it is not whole; `broken` when it is no head.
std::optional<Head> read_head(std::string_view text, bool& broken);

enum class Framing : uint8_t { kNone, kLength, kChunked, kUntilClose };

/// How the body after `head` ends (RFC 9112, section 6.3); nothing when the head contradicts itself.
struct BodyRule {
  Framing framing = Framing::kNone;
  uint64_t length = 0;
};
std::optional<BodyRule> request_body_rule(const Head& head);
std::optional<BodyRule> answer_body_rule(const Head& head, std::string_view method);

/// Takes a body apart as it comes.
class BodyDecoder {
 public:
  enum class State : uint8_t { kMore, kDone, kBroken };

  BodyDecoder() = default;
  explicit BodyDecoder(const BodyRule& rule);

  /// Removes what belongs to the body from the front of `input` and appends the body's bytes to `body`.
  State take(std::string_view& input, std::string& body);
  /// No more is coming: whether that was the body's end.
  bool ended_by_close() const { return rule_.framing == Framing::kUntilClose; }
  State state() const { return state_; }
  const Fields& trailers() const { return trailers_; }

 private:
  State take_chunked(std::string_view& input, std::string& body);

  BodyRule rule_;
  State state_ = State::kDone;
  uint64_t left_ = 0;
  enum class Part : uint8_t { kSize, kData, kDataEnd, kTrailers } part_ = Part::kSize;
  std::string line_;
  Fields trailers_;
};

/// `body` in chunks of `chunk` bytes, with the last chunk and `trailers`; `extension` goes behind each size.
std::string chunked(std::string_view body, size_t chunk, const Fields& trailers, std::string_view extension);

}  // namespace sluice::sim
