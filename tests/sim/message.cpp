#include "message.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/ascii.h"

namespace sluice::sim {

namespace {

constexpr size_t kLongestLine = 64 * 1024;

std::optional<uint64_t> number(std::string_view text, int base) {
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// A field line without its end; false when it is none.
bool read_field(std::string_view line, Fields& fields) {
  size_t colon = line.find(':');
  if (colon == 0 || colon == std::string_view::npos) return false;
  std::string_view name = line.substr(0, colon);
  for (char c : name)
    if (c <= ' ' || c == 0x7f) return false;
  for (char c : line)
    if (c == '\r' || c == '\n' || c == '\0') return false;
  fields.all.push_back({lower(name), std::string(ascii::trim(line.substr(colon + 1)))});
  return true;
}

}  // namespace

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return result;
}

std::string_view Fields::value(std::string_view name) const {
  for (const Field& field : all)
    if (field.name == name) return field.value;
  return {};
}

size_t Fields::count(std::string_view name) const {
  return static_cast<size_t>(
      std::ranges::count_if(all, [&](const Field& field) { return field.name == name; }));
}

void Fields::remove(std::string_view name) {
  std::erase_if(all, [&](const Field& field) { return field.name == name; });
}

void Fields::set(std::string_view name, std::string_view value) {
  remove(name);
  add(name, value);
}

std::string Fields::text() const {
  std::vector<Field> sorted = all;
  std::ranges::sort(sorted);
  std::string result;
  for (const Field& field : sorted) result.append(field.name).append(": ").append(field.value).append("\n");
  return result;
}

int Head::status() const {
  if (!start.starts_with("HTTP/1.1 ") || start.size() < 13 || start[12] != ' ') return 0;
  auto status = number(std::string_view(start).substr(9, 3), 10);
  return status ? static_cast<int>(*status) : 0;
}

std::optional<Head> read_head(std::string_view text, bool& broken) {
  size_t end = text.find("\r\n\r\n");
  if (end == std::string_view::npos) {
    broken |= text.size() > kLongestLine;
    return std::nullopt;
  }
  Head head;
  head.bytes = end + 4;
  std::string_view rest = text.substr(0, end + 2);
  bool first = true;
  while (!rest.empty()) {
    std::string_view line = rest.substr(0, rest.find("\r\n"));
    rest.remove_prefix(line.size() + 2);
    if (first)
      head.start = line;
    else
      broken |= !read_field(line, head.fields);
    first = false;
  }
  return head;
}

namespace {

/// What both kinds of message share; nothing when the fields contradict themselves.
std::optional<BodyRule> rule_by_fields(const Head& head, Framing otherwise) {
  size_t lengths = head.fields.count("content-length");
  size_t codings = head.fields.count("transfer-encoding");
  if (lengths > 1 || codings > 1 || (lengths && codings)) return std::nullopt;
  if (codings) {
    if (head.fields.value("transfer-encoding") != "chunked") return std::nullopt;
    return BodyRule{Framing::kChunked, 0};
  }
  if (!lengths) return BodyRule{otherwise, 0};
  auto length = number(head.fields.value("content-length"), 10);
  if (!length) return std::nullopt;
  return BodyRule{Framing::kLength, *length};
}

}  // namespace

std::optional<BodyRule> request_body_rule(const Head& head) { return rule_by_fields(head, Framing::kNone); }

std::optional<BodyRule> answer_body_rule(const Head& head, std::string_view method) {
  int status = head.status();
  bool bodyless = method == "HEAD" || status < 200 || status == 204 || status == 304;
  auto rule = rule_by_fields(head, Framing::kUntilClose);
  if (rule && bodyless) return BodyRule{};
  return rule;
}

BodyDecoder::BodyDecoder(const BodyRule& rule) : rule_(rule), left_(rule.length) {
  bool none = rule.framing == Framing::kNone || (rule.framing == Framing::kLength && rule.length == 0);
  state_ = none ? State::kDone : State::kMore;
}

BodyDecoder::State BodyDecoder::take(std::string_view& input, std::string& body) {
  if (state_ != State::kMore || input.empty()) return state_;
  switch (rule_.framing) {
    case Framing::kNone:
      break;
    case Framing::kUntilClose:
      body.append(input);
      input = {};
      break;
    case Framing::kLength: {
      size_t count = static_cast<size_t>(std::min<uint64_t>(left_, input.size()));
      body.append(input.substr(0, count));
      input.remove_prefix(count);
      left_ -= count;
      if (left_ == 0) state_ = State::kDone;
      break;
    }
    case Framing::kChunked:
      state_ = take_chunked(input, body);
      break;
  }
  return state_;
}

BodyDecoder::State BodyDecoder::take_chunked(std::string_view& input, std::string& body) {
  while (!input.empty()) {
    if (part_ == Part::kData) {
      size_t count = static_cast<size_t>(std::min<uint64_t>(left_, input.size()));
      body.append(input.substr(0, count));
      input.remove_prefix(count);
      left_ -= count;
      if (left_ == 0) part_ = Part::kDataEnd;
      continue;
    }
    char c = input.front();
    input.remove_prefix(1);
    line_ += c;
    if (line_.size() > kLongestLine) return State::kBroken;
    if (!line_.ends_with("\r\n")) continue;
    std::string line = line_.substr(0, line_.size() - 2);
    line_.clear();
    switch (part_) {
      case Part::kSize: {
        auto size = number(std::string_view(line).substr(0, line.find(';')), 16);
        if (!size) return State::kBroken;
        left_ = *size;
        part_ = left_ ? Part::kData : Part::kTrailers;
        break;
      }
      case Part::kDataEnd:
        if (!line.empty()) return State::kBroken;
        part_ = Part::kSize;
        break;
      case Part::kTrailers:
        if (line.empty()) return State::kDone;
        if (!read_field(line, trailers_)) return State::kBroken;
        break;
      case Part::kData:
        break;
    }
  }
  return State::kMore;
}

std::string chunked(std::string_view body, size_t chunk, const Fields& trailers, std::string_view extension) {
  std::string wire;
  wire.reserve(body.size() + 64 + body.size() / chunk * 16);
  for (size_t at = 0; at < body.size(); at += chunk) {
    std::string_view piece = body.substr(at, chunk);
    fmt::format_to(std::back_inserter(wire), "{:x}{}\r\n{}\r\n", piece.size(), extension, piece);
  }
  wire += "0\r\n";
  for (const Field& field : trailers.all) wire += field.name + ": " + field.value + "\r\n";
  return wire += "\r\n";
}

}  // namespace sluice::sim
