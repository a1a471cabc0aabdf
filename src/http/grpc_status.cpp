#include "http/grpc_status.h"

#include "base/ascii.h"

namespace sluice::http {

namespace {

struct Known {
  std::string_view number;
  std::string_view code;
  uint16_t http;
};

/// google/rpc/code.proto: "HTTP Mapping".
constexpr Known kKnown[kGrpcStatuses] = {
    {"0", "ok", 200},
    {"1", "cancelled", 499},
    {"2", "unknown", 500},
    {"3", "invalid_argument", 400},
    {"4", "deadline_exceeded", 504},
    {"5", "not_found", 404},
    {"6", "already_exists", 409},
    {"7", "permission_denied", 403},
    {"8", "resource_exhausted", 429},
    {"9", "failed_precondition", 400},
    {"10", "aborted", 409},
    {"11", "out_of_range", 400},
    {"12", "unimplemented", 501},
    {"13", "internal", 500},
    {"14", "unavailable", 503},
    {"15", "data_loss", 500},
    {"16", "unauthenticated", 401},
};

const Known& known(GrpcStatus status) { return kKnown[static_cast<size_t>(status)]; }

/// Whether a `Content-Type` is `type`, with or without a format or parameters.
bool has_type(std::string_view value, std::string_view type) {
  if (!ascii::equal_ignoring_case(value.substr(0, type.size()), type)) return false;
  value.remove_prefix(type.size());
  return value.empty() || value.front() == '+' || value.front() == ';' || value.front() == ' ';
}

bool is_plain(char c) { return c >= 0x20 && c <= 0x7e && c != '%'; }

}  // namespace

bool is_grpc_content_type(std::string_view value) { return has_type(value, "application/grpc"); }

bool is_grpc_web_content_type(std::string_view value) {
  return has_type(value, "application/grpc-web") || has_type(value, "application/grpc-web-text");
}

std::optional<GrpcStatus> parse_grpc_status(std::string_view value) {
  auto number = ascii::parse_decimal(value);
  if (!number) return std::nullopt;
  return *number < kGrpcStatuses ? static_cast<GrpcStatus>(*number) : GrpcStatus::kUnknown;
}

std::string_view grpc_status_text(GrpcStatus status) { return known(status).number; }
std::string_view grpc_status_code(GrpcStatus status) { return known(status).code; }
std::optional<GrpcStatus> parse_grpc_status_code(std::string_view code) {
  for (int i = 0; i < kGrpcStatuses; ++i)
    if (kKnown[i].code == code) return static_cast<GrpcStatus>(i);
  return std::nullopt;
}
uint16_t http_status_of_grpc(GrpcStatus status) { return known(status).http; }

GrpcStatus grpc_status_of_http(uint16_t status) {
  switch (status) {
    case 401:
      return GrpcStatus::kUnauthenticated;
    case 403:
      return GrpcStatus::kPermissionDenied;
    case 404:
    case 405:
    case 501:
      return GrpcStatus::kUnimplemented;
    case 408:
    case 504:
      return GrpcStatus::kDeadlineExceeded;
    case 413:
    case 429:
    case 431:
      return GrpcStatus::kResourceExhausted;
    case 499:
      return GrpcStatus::kCancelled;
    case 500:
      return GrpcStatus::kInternal;
    case 502:
    case 503:
      return GrpcStatus::kUnavailable;
    default:
      break;
  }
  // Other refusals of a request say that something was wrong with it.
  return status >= 400 && status < 500 ? GrpcStatus::kInvalidArgument : GrpcStatus::kUnknown;
}

GrpcStatus grpc_status_of_foreign(uint16_t status) {
  switch (status) {
    case 400:
      return GrpcStatus::kInternal;
    case 401:
      return GrpcStatus::kUnauthenticated;
    case 403:
      return GrpcStatus::kPermissionDenied;
    case 404:
      return GrpcStatus::kUnimplemented;
    case 429:
    case 502:
    case 503:
    case 504:
      return GrpcStatus::kUnavailable;
    default:
      return GrpcStatus::kUnknown;
  }
}

std::string_view encode_grpc_message(std::string_view text, Arena& arena) {
  size_t escaped = 0;
  for (char c : text) escaped += is_plain(c) ? 0 : 1;
  if (escaped == 0) return text;
  constexpr char kDigits[] = "0123456789ABCDEF";
  char* out = arena.allocate_chars(text.size() + 2 * escaped);
  char* at = out;
  for (char c : text) {
    if (is_plain(c)) {
      *at++ = c;
      continue;
    }
    auto byte = static_cast<unsigned char>(c);
    *at++ = '%';
    *at++ = kDigits[byte >> 4];
    *at++ = kDigits[byte & 15];
  }
  return {out, static_cast<size_t>(at - out)};
}

std::string_view decode_grpc_message(std::string_view value, Arena& arena) {
  if (value.find('%') == std::string_view::npos) return value;
  char* out = arena.allocate_chars(value.size());
  char* at = out;
  for (size_t i = 0; i < value.size(); ++i) {
    bool escape = value[i] == '%' && i + 2 < value.size() && ascii::hex_value(value[i + 1]) >= 0 &&
                  ascii::hex_value(value[i + 2]) >= 0;
    if (escape) {
      *at++ = static_cast<char>(ascii::hex_value(value[i + 1]) * 16 + ascii::hex_value(value[i + 2]));
      i += 2;
    } else {
      *at++ = value[i];
    }
  }
  return {out, static_cast<size_t>(at - out)};
}

}  // namespace sluice::http
