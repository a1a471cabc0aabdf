// gRPC's status codes, what they are in HTTP, and how a status message travels in a field
// (gRPC over HTTP/2, "Status", "Status-Message").
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/arena.h"

namespace sluice::http {

enum class GrpcStatus : uint8_t {
  kOk,
  kCancelled,
  kUnknown,
  kInvalidArgument,
  kDeadlineExceeded,
  kNotFound,
  kAlreadyExists,
  kPermissionDenied,
  kResourceExhausted,
  kFailedPrecondition,
  kAborted,
  kOutOfRange,
  kUnimplemented,
  kInternal,
  kUnavailable,
  kDataLoss,
  kUnauthenticated,
};
inline constexpr int kGrpcStatuses = 17;

/// `Content-Type` of a gRPC message: "application/grpc", alone or with "+proto" or parameters behind it.
/// Not gRPC-Web's.
bool is_grpc_content_type(std::string_view value);
/// gRPC-Web's: "application/grpc-web" or "application/grpc-web-text", likewise.
bool is_grpc_web_content_type(std::string_view value);

/// The value of `grpc-status`: decimal, without leading zeros. A number that gRPC has not given a meaning is
/// kUnknown; what is no number is nullopt.
std::optional<GrpcStatus> parse_grpc_status(std::string_view value);
/// Its decimal number.
std::string_view grpc_status_text(GrpcStatus status);
/// "not_found": its name as our problem details' `code`.
std::string_view grpc_status_code(GrpcStatus status);
std::optional<GrpcStatus> parse_grpc_status_code(std::string_view code);

/// What a refusal with an HTTP status is towards a gRPC caller (contract, section 3 "Errors").
GrpcStatus grpc_status_of_http(uint16_t status);
/// What the HTTP status of an answer that is no gRPC is to its caller (grpc/doc/http-grpc-status-mapping.md).
GrpcStatus grpc_status_of_foreign(uint16_t status);
/// The HTTP status that google.rpc.Code gives each code.
uint16_t http_status_of_grpc(GrpcStatus status);

/// A text as the value of `grpc-message`: bytes beyond printable ASCII, and "%", are percent-encoded. A view
/// of `text` when nothing is.
std::string_view encode_grpc_message(std::string_view text, Arena& arena);
/// The reverse; what is no escape stands for itself.
std::string_view decode_grpc_message(std::string_view value, Arena& arena);

}  // namespace sluice::http
