#include "http/h1/response_parser.h"

#include "http/h1/connection_fields.h"

namespace sluice::http::h1 {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr size_t kShortestStatusLine = 12;  // "HTTP/1.1 200"

/// HTTP-version SP 3DIGIT [SP [reason-phrase]] CRLF (RFC 9112, section 4). The space before an empty reason
/// is left out by many servers and changes nothing.
const Error* parse_status_line(const char*& at, const char* end, Response& out) {
  if (static_cast<size_t>(end - at) < kShortestStatusLine + kHeadEnd.size()) return &errors::kBadStartLine;
  std::string_view version(at, 8);
  if (version == "HTTP/1.1") {
    out.version = Version::kHttp11;
  } else if (version == "HTTP/1.0") {
    out.version = Version::kHttp10;
  } else {
    return &errors::kBadStartLine;
  }
  if (at[8] != ' ') return &errors::kBadStartLine;
  at += 9;
  if (at[0] < '1' || at[0] > '5' || !ascii::is_digit(at[1]) || !ascii::is_digit(at[2]))
    return &errors::kBadStartLine;
  out.status = static_cast<uint16_t>((at[0] - '0') * 100 + (at[1] - '0') * 10 + (at[2] - '0'));
  at += 3;
  const char* reason = *at == ' ' ? at + 1 : at;
  const char* last = find_control<0x20>(reason, end);
  while (*last == '\t') last = find_control<0x20>(last + 1, end);
  if (*last != '\r' || last[1] != '\n' || (reason == at && last != at)) return &errors::kBadStartLine;
  out.reason = {reason, static_cast<size_t>(last - reason)};
  at = last + 2;
  return nullptr;
}

const Error* parse_fields(const char* at, const char* end, const Limits& limits, ConnectionFields& connection,
                          Response& out) {
  Field field;
  for (uint32_t count = 0; *at != '\r'; ++count) {
    if (count == limits.response_fields) return &errors::kTooManyFields;
    if (const Error* error = read_field_line(at, end, field)) return error;
    if (!(ConnectionFields::kNames >> static_cast<int>(field.id) & 1)) {
      out.fields.add(field);
    } else if (const Error* error = connection.take(field, out.fields.arena())) {
      return error;
    }
  }
  return end - at == 2 && at[1] == '\n' ? nullptr : &errors::kBadHeadEnd;
}

/// One number, or a list or repetition of the same one (RFC 9112, section 6.3, item 5).
std::optional<uint64_t> parse_lengths(const ConnectionFields& connection) {
  if (connection.lengths_differ) return std::nullopt;
  if (connection.length.find(',') == std::string_view::npos) return parse_content_length(connection.length);
  std::optional<uint64_t> length;
  bool sound = true;
  for_each_element(connection.length, [&](std::string_view element) {
    std::optional<uint64_t> value = parse_content_length(element);
    sound &= value.has_value() && (!length || *length == *value);
    length = value;
  });
  return sound ? length : std::nullopt;
}

/// RFC 9112, section 6.3. What a message that cannot have a body says about one is not believed, and its
/// connection is not used again: whoever writes such a head may also write such a body.
const Error* parse_framing(const ConnectionFields& connection, Method method, ResponseHead& head,
                           Response& out) {
  bool never_content = out.status < 200 || out.status == 204;
  if (connection.codings != 0) {
    if (connection.lengths != 0) return &errors::kLengthAndCoding;
    if (out.version == Version::kHttp10) return &errors::kCodingInHttp10;
    if (const Error* error = connection.check_coding()) return error;
    head.framing = Framing::kChunked;
    out.body = BodyLength::unknown();
    if (never_content) head.keep_alive = false;
  } else if (connection.lengths != 0) {
    std::optional<uint64_t> length = parse_lengths(connection);
    if (!length) return &errors::kBadContentLength;
    head.framing = *length ? Framing::kLength : Framing::kNone;
    out.body = BodyLength::known(*length);
    if (never_content && *length) head.keep_alive = false;
  } else {
    head.framing = Framing::kUntilClose;
    out.body = BodyLength::unknown();
  }
  if (never_content) {
    out.body = BodyLength::none();
    head.framing = Framing::kNone;
  } else if (method == Method::kHead || out.status == 304) {
    if (head.framing == Framing::kUntilClose) out.body = BodyLength::none();
    head.framing = Framing::kNone;
  }
  return nullptr;
}

}  // namespace

std::expected<ResponseHead, Error> parse_response(std::string_view head, Method method, const Limits& limits,
                                                  Response& out) {
  auto fail = [](const Error& error) { return std::unexpected(errors::of_upstream(error)); };
  if (!head.ends_with(kHeadEnd)) return fail(errors::kBadHeadEnd);
  const char* at = head.data();
  const char* end = at + head.size();
  ConnectionFields connection;
  ResponseHead result;
  if (const Error* error = parse_status_line(at, end, out)) return fail(*error);
  if (const Error* error = parse_fields(at, end, limits, connection, out)) return fail(*error);
  if (const Error* error = parse_framing(connection, method, result, out)) return fail(*error);
  if (connection.close || result.framing == Framing::kUntilClose ||
      (out.version == Version::kHttp10 && !connection.keep_alive))
    result.keep_alive = false;
  if (connection.upgrade && out.status == 101) out.upgrade = connection.upgrade_to;
  connection.remove_named(out.fields);
  return result;
}

}  // namespace sluice::http::h1
