// The errors of the HTTP/1 codec, in one place because their codes are stable names that users see.
#pragma once

#include "http/error.h"

namespace sluice::http::h1::errors {

// clang-format off
// What closes the connection: where the message ends, or how it would be read by others, is in doubt.
inline constexpr Error kBareCr{400, "bare_cr", "A line has a carriage return without a line feed."};
inline constexpr Error kBareLf{400, "bare_lf", "A line ends with a line feed alone."};
inline constexpr Error kBadStartLine{400, "bad_start_line", "The first line is not a valid start line."};
inline constexpr Error kBadHeadEnd{400, "bad_head", "The head is not ended by exactly one empty line."};
inline constexpr Error kTargetTooLong{414, "target_too_long", "The request target is longer than allowed."};
inline constexpr Error kHeadTooLarge{431, "head_too_large", "The head is larger than allowed."};
inline constexpr Error kTooManyFields{431, "too_many_fields", "The head has more fields than allowed."};
inline constexpr Error kBadVersion{505, "version_not_supported", "The major version of HTTP is not 1."};
inline constexpr Error kObsFold{400, "obs_fold", "A field value goes on in a second line."};
inline constexpr Error kSpaceBeforeColon{400, "space_before_colon", "White space stands before a field's colon."};
inline constexpr Error kBadFieldName{400, "bad_field_name", "A field name is empty or has an invalid character."};
inline constexpr Error kBadFieldValue{400, "bad_field_value", "A field value has an invalid character."};
inline constexpr Error kNoHost{400, "no_host", "The request has no Host."};
inline constexpr Error kRepeatedHost{400, "repeated_host", "The request has more than one Host."};
inline constexpr Error kBadHost{400, "bad_host", "The host is not valid."};
inline constexpr Error kBadTarget{400, "bad_target", "The request target has no form that this method may have."};
inline constexpr Error kBadContentLength{400, "bad_content_length", "Content-Length is not one decimal number."};
inline constexpr Error kRepeatedContentLength{400, "repeated_content_length", "Content-Length is given more than once."};
inline constexpr Error kLengthAndCoding{400, "length_and_coding", "Content-Length and Transfer-Encoding are both given."};
inline constexpr Error kBadTransferEncoding{400, "bad_transfer_encoding", "Transfer-Encoding is not exactly chunked."};
inline constexpr Error kUnknownCoding{501, "unknown_transfer_coding", "No transfer coding but chunked is implemented."};
inline constexpr Error kCodingInHttp10{400, "transfer_encoding_in_http10", "HTTP/1.0 has no Transfer-Encoding."};
inline constexpr Error kTooManyOptions{400, "too_many_connection_options", "Connection names too many fields."};
inline constexpr Error kBadChunkSize{400, "bad_chunk_size", "A chunk size is not a hexadecimal number."};
inline constexpr Error kBadChunkExtension{400, "bad_chunk_extension", "A chunk extension is not valid."};
inline constexpr Error kBadChunkEnd{400, "bad_chunk_end", "A chunk is not followed by a line end."};
inline constexpr Error kChunkLineTooLong{400, "chunk_line_too_long", "A chunk-size line is longer than allowed."};
inline constexpr Error kChunkOverhead{400, "chunk_overhead", "The chunks have far more extensions than data."};
inline constexpr Error kTrailersTooLarge{431, "trailers_too_large", "The trailer section is larger than allowed."};

// What leaves the connection usable: the head is understood and refused.
inline constexpr Error kUnknownExpectation{417, "unknown_expectation", "Nothing but 100-continue can be expected.", false};
// clang-format on

/// The same fault in an upstream's message.
constexpr Error of_upstream(const Error& error) { return {502, "upstream_protocol", error.detail, true}; }

}  // namespace sluice::http::h1::errors
