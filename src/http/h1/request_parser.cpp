#include "http/h1/request_parser.h"

#include "http/h1/connection_fields.h"
#include "http/path.h"
#include "http/uri.h"

namespace sluice::http::h1 {
namespace {

constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr size_t kVersionBytes = 8;  // "HTTP/1.1"

/// The state of one call of parse_request.
class Parser {
 public:
  Parser(std::string_view head, const Limits& limits, Request& out)
      : at_(head.data()), end_(head.data() + head.size()), limits_(limits), out_(out) {}

  const Error* parse() {
    if (const Error* error = parse_request_line()) return error;
    if (const Error* error = parse_fields()) return error;
    if (const Error* error = parse_framing()) return error;
    if (const Error* error = parse_target()) return error;
    finish_connection();
    return nullptr;
  }
  RequestHead head_out;

 private:
  const Error* parse_request_line();
  const Error* parse_version(const char* at);
  const Error* parse_fields();
  const Error* parse_framing();
  const Error* parse_target();
  const Error* parse_host();
  const Error* parse_absolute(std::string_view target);
  void parse_path(std::string_view path_and_query);
  void finish_connection();
  void refuse(const Error& error) {
    if (!head_out.refused) head_out.refused = &error;
  }
  Arena& arena() { return out_.fields.arena(); }

  const char* at_;
  const char* end_;
  const Limits& limits_;
  Request& out_;
  ConnectionFields connection_;
  std::string_view host_;
  uint32_t hosts_ = 0;
  bool expects_continue_ = false;
};

/// method SP request-target SP HTTP-version (RFC 9112, section 3), single spaces only.
const Error* Parser::parse_request_line() {
  const char* method = at_;
  while (is_token_char(*at_)) ++at_;
  if (at_ == method || *at_ != ' ') return &errors::kBadStartLine;
  out_.method_text = {method, static_cast<size_t>(at_ - method)};
  out_.method = parse_method(out_.method_text);
  const char* target = ++at_;
  at_ = find_control<0x21>(at_, end_);
  if (at_ == target || *at_ != ' ') return &errors::kBadStartLine;
  out_.target = {target, static_cast<size_t>(at_ - target)};
  ++at_;
  if (static_cast<size_t>(end_ - at_) < kVersionBytes + kHeadEnd.size()) return &errors::kBadStartLine;
  if (const Error* error = parse_version(at_)) return error;
  at_ += kVersionBytes;
  if (at_[0] != '\r' || at_[1] != '\n') return &errors::kBadStartLine;
  at_ += 2;
  if (out_.target.size() > limits_.request_target) return &errors::kTargetTooLong;
  return nullptr;
}

/// A higher minor version is read as the highest one that we know (RFC 9110, section 2.5).
const Error* Parser::parse_version(const char* at) {
  std::string_view text(at, kVersionBytes);
  if (text == "HTTP/1.1") {
    out_.version = Version::kHttp11;
    return nullptr;
  }
  if (!text.starts_with("HTTP/") || !ascii::is_digit(text[5]) || text[6] != '.' || !ascii::is_digit(text[7]))
    return &errors::kBadStartLine;
  if (text[5] != '1') return &errors::kBadVersion;
  out_.version = text[7] == '0' ? Version::kHttp10 : Version::kHttp11;
  return nullptr;
}

const Error* Parser::parse_fields() {
  constexpr uint64_t kSpecial = ConnectionFields::kNames | name_set(FieldName::kHost, FieldName::kExpect);
  Field field;
  for (uint32_t count = 0; *at_ != '\r'; ++count) {
    if (count == limits_.request_fields) return &errors::kTooManyFields;
    if (const Error* error = read_field_line(at_, end_, field)) return error;
    if (!(kSpecial >> static_cast<int>(field.id) & 1)) {
      out_.fields.add(field);
    } else if (field.id == FieldName::kHost) {
      host_ = field.value;
      ++hosts_;
    } else if (field.id == FieldName::kExpect) {
      if (!ascii::equal_ignoring_case(field.value, "100-continue")) refuse(errors::kUnknownExpectation);
      expects_continue_ = true;
    } else if (const Error* error = connection_.take(field, arena())) {
      return error;
    }
  }
  // `head` ends with CRLF CRLF, so that a first empty line elsewhere shows that it is not one head.
  return end_ - at_ == 2 && at_[1] == '\n' ? nullptr : &errors::kBadHeadEnd;
}

/// RFC 9112, section 6.3, without its leniency.
const Error* Parser::parse_framing() {
  if (connection_.codings != 0) {
    if (connection_.lengths != 0) return &errors::kLengthAndCoding;
    if (out_.version == Version::kHttp10) return &errors::kCodingInHttp10;
    if (const Error* error = connection_.check_coding()) return error;
    head_out.framing = Framing::kChunked;
    out_.body = BodyLength::unknown();
  } else if (connection_.lengths != 0) {
    if (connection_.lengths > 1) return &errors::kRepeatedContentLength;
    std::optional<uint64_t> length = parse_content_length(connection_.length);
    if (!length) return &errors::kBadContentLength;
    head_out.framing = *length ? Framing::kLength : Framing::kNone;
    out_.body = BodyLength::known(*length);
  } else {
    head_out.framing = Framing::kNone;
    out_.body = BodyLength::none();
  }
  return nullptr;
}

/// RFC 9112, section 3.2: exactly one Host in HTTP/1.1; HTTP/1.0 may be without.
const Error* Parser::parse_host() {
  if (hosts_ > 1) return &errors::kRepeatedHost;
  if (hosts_ == 0) return out_.version == Version::kHttp10 ? nullptr : &errors::kNoHost;
  if (!parse_authority(host_)) return &errors::kBadHost;
  out_.authority = normalise_authority(host_, arena());
  return nullptr;
}

/// The four forms of a target (RFC 9112, section 3.2).
const Error* Parser::parse_target() {
  if (const Error* error = parse_host()) return error;
  std::string_view target = out_.target;
  if (out_.method == Method::kConnect) {
    std::optional<Authority> authority = parse_authority(target);
    if (!authority || !authority->port) return &errors::kBadTarget;
    out_.authority = normalise_authority(target, arena());
    return nullptr;
  }
  if (target.front() == '/') {
    parse_path(target);
    return nullptr;
  }
  if (target == "*") {
    if (out_.method != Method::kOptions) return &errors::kBadTarget;
    out_.path = out_.path_unmerged = target;
    return nullptr;
  }
  return parse_absolute(target);
}

/// scheme "://" authority [path] ["?" query]; its authority replaces the one of Host (RFC 9112,
/// section 3.2.2).
const Error* Parser::parse_absolute(std::string_view target) {
  size_t colon = target.find(':');
  if (colon == std::string_view::npos || target.substr(colon, 3) != "://") return &errors::kBadTarget;
  std::string_view scheme = target.substr(0, colon);
  if (!ascii::equal_ignoring_case(scheme, "http") && !ascii::equal_ignoring_case(scheme, "https"))
    return &errors::kBadTarget;
  std::string_view rest = target.substr(colon + 3);
  size_t authority_size = std::min(rest.find_first_of("/?#"), rest.size());
  std::string_view authority = rest.substr(0, authority_size);
  if (!parse_authority(authority)) return &errors::kBadHost;
  out_.authority = normalise_authority(authority, arena());
  rest.remove_prefix(authority_size);
  if (rest.empty() && out_.method == Method::kOptions) {
    out_.path = out_.path_unmerged = "*";  // RFC 9112, section 3.2.4
  } else {
    parse_path(rest);
  }
  return nullptr;
}

void Parser::parse_path(std::string_view path_and_query) {
  SplitTarget split = split_target(path_and_query);
  out_.query = split.query;
  out_.has_query = split.has_query;
  if (const Error* error = check_query(split.query)) return refuse(*error);
  std::expected<NormalisedPath, const Error*> path =
      normalise_path(split.path.empty() ? std::string_view("/") : split.path, arena());
  if (!path) return refuse(*path.error());
  out_.path = path->path;
  out_.path_unmerged = path->unmerged;
  out_.had_repeated_slash = path->had_repeated_slash;
  out_.had_encoded_slash = path->had_encoded_slash;
}

void Parser::finish_connection() {
  bool http11 = out_.version == Version::kHttp11;
  head_out.keep_alive = !connection_.close && (http11 || connection_.keep_alive);
  if (out_.method == Method::kConnect) head_out.keep_alive = false;
  head_out.te_trailers = connection_.te_trailers;
  if (http11 && connection_.upgrade) head_out.upgrade = connection_.upgrade_to;
  connection_.remove_named(out_.fields);
  // An expectation in HTTP/1.0 or without content is ignored (RFC 9110, section 10.1.1).
  if (!expects_continue_ || !http11 || out_.body.empty()) return;
  if (head_out.refused) {
    head_out.keep_alive = false;  // the client may leave the body out, so what follows cannot be told
  } else {
    head_out.expect_continue = true;
    out_.fields.add(FieldName::kExpect, "100-continue");
  }
}

}  // namespace

std::expected<RequestHead, Error> parse_request(std::string_view head, const Limits& limits, Request& out) {
  if (!head.ends_with(kHeadEnd)) return std::unexpected(errors::kBadHeadEnd);
  Parser parser(head, limits, out);
  if (const Error* error = parser.parse()) return std::unexpected(*error);
  return parser.head_out;
}

}  // namespace sluice::http::h1
