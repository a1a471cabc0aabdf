#include "http/h2/request_head.h"

#include "http/h1/connection_fields.h"
#include "http/h2/errors.h"
#include "http/h2/limits.h"
#include "http/path.h"
#include "http/uri.h"

namespace sluice::http::h2 {

namespace {

/// What a field counts beside its texts (RFC 9113, section 6.5.2).
constexpr uint64_t kFieldOverhead = 32;
/// Longer methods and schemes than any that exist; they are copied.
constexpr size_t kLongestWord = 64;

}  // namespace

bool RequestHead::add(std::string_view name, std::string_view value, const Limits& limits) {
  bytes_ += name.size() + value.size() + kFieldOverhead;
  if (bytes_ > limits.request_head) {
    refuse(errors::kHeadTooLarge);
    return bytes_ <= uint64_t{limits.request_head} * kHopelessHeads;
  }
  if (name.starts_with(':')) {
    add_pseudo(name, value, limits);
  } else if (++count_ > limits.request_fields) {
    refuse(errors::kTooManyFields);
  } else {
    add_field(name, value);
  }
  return true;
}

void RequestHead::add_pseudo(std::string_view name, std::string_view value, const Limits& limits) {
  if (name == ":path") {
    if (value.size() > limits.request_target) return refuse(errors::kTargetTooLong);
    request_.target = copy(value);
  } else if (name == ":authority") {
    has_authority_ = true;
    authority_ = copy(value);
  } else if (name == ":method") {
    if (value.size() > kLongestWord) return refuse(errors::kMalformed);
    request_.method = parse_method(value);
    std::string_view known = method_text(request_.method);
    request_.method_text = known.empty() ? copy(value) : known;
  } else if (name == ":scheme") {
    if (!ascii::equal_ignoring_case(value, "http") && !ascii::equal_ignoring_case(value, "https"))
      refuse(errors::kBadScheme);
  } else if (name == ":protocol") {
    if (ascii::equal_ignoring_case(value, "websocket"))
      upgrade_ = "websocket";
    else
      refuse(errors::kUnknownProtocol);
  }
}

void RequestHead::add_field(std::string_view name, std::string_view value) {
  FieldName id = intern_field_name(name);
  switch (id) {
    case FieldName::kHost:
      has_host_ = true;
      host_ = copy(value);
      return;
    case FieldName::kContentLength:
      has_length_ = true;
      length_ = copy(value);
      return;
    case FieldName::kTe:  // nothing but "trailers" gets here (RFC 9113, section 8.2.2)
      te_trailers_ = true;
      return;
    case FieldName::kHttp2Settings:  // of HTTP/1.1's way to HTTP/2
    case FieldName::kProxyAuthenticate:
    case FieldName::kProxyAuthorization:
      return;
    case FieldName::kExpect:
      if (!ascii::equal_ignoring_case(value, "100-continue")) refuse(errors::kUnknownExpectation);
      expects_continue_ = true;
      return;
    case FieldName::kCookie:
      ++cookies_;
      break;
    default:
      break;
  }
  std::string_view known = field_name_text(id);
  request_.fields.add(Field{known.empty() ? copy(name) : known, copy(value), id});
}

void RequestHead::finish(bool ended) {
  finish_method();
  finish_authority();
  finish_target();
  finish_body(ended);
  if (cookies_ > 1) join_cookies();
}

void RequestHead::finish_method() {
  request_.version = Version::kHttp2;
  if (upgrade_.empty()) return;
  request_.method = Method::kGet;
  request_.method_text = method_text(Method::kGet);
}

/// `Host` says the same as the authority or nothing; what a name of an authority may be is narrower than what
/// HTTP/2 allows, and knows no user information.
void RequestHead::finish_authority() {
  std::string_view text = has_authority_ ? authority_ : host_;
  if (!parse_authority(text)) return refuse(errors::kBadHost);
  Arena& arena = request_.fields.arena();
  request_.authority = normalise_authority(text, arena);
  if (!has_authority_ || !has_host_) return;
  if (!parse_authority(host_)) return refuse(errors::kBadHost);
  if (normalise_authority(host_, arena) != request_.authority) refuse(errors::kHostsDiffer);
}

void RequestHead::finish_target() {
  if (request_.method == Method::kConnect) {
    request_.target = request_.authority;
    return;
  }
  std::string_view target = request_.target;
  if (target == "*") {
    if (request_.method != Method::kOptions) return refuse(errors::kBadTarget);
    request_.path = request_.path_unmerged = target;
    return;
  }
  if (!target.starts_with('/')) return refuse(errors::kBadTarget);
  SplitTarget split = split_target(target);
  request_.query = split.query;
  request_.has_query = split.has_query;
  if (const Error* error = check_query(split.query)) return refuse(*error);
  auto path = normalise_path(split.path, request_.fields.arena());
  if (!path) return refuse(*path.error());
  request_.path = path->path;
  request_.path_unmerged = path->unmerged;
  request_.had_repeated_slash = path->had_repeated_slash;
  request_.had_encoded_slash = path->had_encoded_slash;
}

void RequestHead::finish_body(bool ended) {
  request_.body = ended ? BodyLength::none() : BodyLength::unknown();
  if (has_length_ && upgrade_.empty()) {
    std::optional<uint64_t> length = h1::parse_content_length(length_);
    if (!length) return refuse(errors::kBadContentLength);
    request_.body = BodyLength::known(*length);
  }
  // An expectation without content is ignored (RFC 9110, section 10.1.1).
  if (request_.body.empty()) expects_continue_ = false;
  if (expects_continue_ && !refused_) request_.fields.add(FieldName::kExpect, "100-continue");
}

/// RFC 9113, section 8.2.3: before they pass into anything that is not HTTP/2.
void RequestHead::join_cookies() {
  size_t size = 0;
  for (const Field& field : request_.fields)
    if (field.id == FieldName::kCookie) size += field.value.size() + 2;
  char* text = request_.fields.arena().allocate_chars(size);
  char* at = text;
  for (const Field& field : request_.fields) {
    if (field.id != FieldName::kCookie) continue;
    if (at != text) {
      std::memcpy(at, "; ", 2);
      at += 2;
    }
    at = std::copy(field.value.begin(), field.value.end(), at);
  }
  request_.fields.set(FieldName::kCookie, {text, static_cast<size_t>(at - text)});
}

}  // namespace sluice::http::h2
