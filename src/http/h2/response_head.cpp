#include "http/h2/response_head.h"

#include "http/h1/connection_fields.h"
#include "http/h2/errors.h"
#include "http/h2/limits.h"

namespace sluice::http::h2 {

namespace {

/// What a field counts beside its texts (RFC 9113, section 6.5.2).
constexpr uint64_t kFieldOverhead = 32;

}  // namespace

bool ResponseHead::add(std::string_view name, std::string_view value, const Limits& limits) {
  bytes_ += name.size() + value.size() + kFieldOverhead;
  if (bytes_ > limits.response_head) {
    too_large_ = true;
    return bytes_ <= uint64_t{limits.response_head} * kHopelessHeads;
  }
  Arena& arena = response_.fields.arena();
  if (name.starts_with(':')) {
    if (name == ":status") response_.status = static_cast<uint16_t>(ascii::parse_decimal(value).value_or(0));
    return true;
  }
  if (++count_ > limits.response_fields) {
    too_large_ = true;
    return true;
  }
  FieldName id = intern_field_name(name);
  switch (id) {
    case FieldName::kContentLength:
      has_length_ = true;
      length_ = arena.copy(value);
      return true;
    case FieldName::kTe:
    case FieldName::kHttp2Settings:
    case FieldName::kProxyAuthenticate:
    case FieldName::kProxyAuthorization:
      return true;
    default:
      break;
  }
  std::string_view known = field_name_text(id);
  response_.fields.add(Field{known.empty() ? arena.copy(name) : known, arena.copy(value), id});
  return true;
}

const Error* ResponseHead::finish(bool ended, std::string_view upgrade) {
  response_.version = Version::kHttp2;
  if (too_large_) return &errors::kResponseHeadTooLarge;
  // 101 is of HTTP/1.1 alone (RFC 9113, section 8.6), and only a final response ends the message.
  if (response_.status < 100 || response_.status > 599 || response_.status == 101 || (interim() && ended))
    return &errors::kBadResponse;
  if (!upgrade.empty() && response_.status / 100 == 2) {
    response_.status = 101;
    response_.upgrade = upgrade;
    return nullptr;
  }
  if (interim() || response_.status == 204) return nullptr;
  if (has_length_) {
    std::optional<uint64_t> length = h1::parse_content_length(length_);
    if (!length) return &errors::kBadResponse;
    response_.body = BodyLength::known(*length);
  } else if (!ended) {
    response_.body = BodyLength::unknown();
  }
  return nullptr;
}

}  // namespace sluice::http::h2
