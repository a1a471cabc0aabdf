// The errors of the HTTP/2 codec, in one place because their codes are stable names that users see. What
// concerns one request leaves the connection usable.
#pragma once

#include "http/error.h"

namespace sluice::http::h2::errors {

// clang-format off
inline constexpr Error kMalformed{400, "malformed_request", "The request breaks the rules of HTTP/2 messages.", false};
inline constexpr Error kBadScheme{400, "bad_scheme", "The scheme is neither http nor https.", false};
inline constexpr Error kBadHost{400, "bad_host", "The host is not valid.", false};
inline constexpr Error kHostsDiffer{400, "hosts_differ", "The authority and Host differ.", false};
inline constexpr Error kBadTarget{400, "bad_target", "The request target has no form that this method may have.", false};
inline constexpr Error kBadContentLength{400, "bad_content_length", "Content-Length is not one decimal number.", false};
inline constexpr Error kTargetTooLong{414, "target_too_long", "The request target is longer than allowed.", false};
inline constexpr Error kHeadTooLarge{431, "head_too_large", "The head is larger than allowed.", false};
inline constexpr Error kTooManyFields{431, "too_many_fields", "The head has more fields than allowed.", false};
inline constexpr Error kTrailersTooLarge{431, "trailers_too_large", "The trailer section is larger than allowed.", false};
inline constexpr Error kUnknownExpectation{417, "unknown_expectation", "Nothing but 100-continue can be expected.", false};
inline constexpr Error kUnknownProtocol{501, "unknown_protocol", "No protocol but websocket can be asked for.", false};

// Of an upstream's messages.
inline constexpr Error kResponseHeadTooLarge{502, "upstream_protocol", "The response's head is larger than allowed.", true};
inline constexpr Error kBadResponse{502, "upstream_protocol", "The response breaks the rules of HTTP/2 messages.", true};
inline constexpr Error kResponseTrailersTooLarge{502, "upstream_protocol", "The trailer section is larger than allowed.", true};
inline constexpr Error kNotHttp2{502, "upstream_protocol", "The upstream does not speak HTTP/2.", true};
inline constexpr Error kNoExtendedConnect{502, "upstream_no_websocket", "The upstream takes no WebSocket over HTTP/2.", true};
inline constexpr Error kBrokenSession{502, "upstream_protocol", "The upstream broke the rules of HTTP/2.", true};
// clang-format on

}  // namespace sluice::http::h2::errors
