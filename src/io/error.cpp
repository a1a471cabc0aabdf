#include "io/error.h"

#include <cerrno>

namespace sluice::io {

std::string_view error_text(ErrorCode code) {
  switch (code) {
    case ErrorCode::kClosed:
      return "closed";
    case ErrorCode::kReset:
      return "reset";
    case ErrorCode::kRefused:
      return "refused";
    case ErrorCode::kUnreachable:
      return "unreachable";
    case ErrorCode::kTimedOut:
      return "timed_out";
    case ErrorCode::kCancelled:
      return "cancelled";
    case ErrorCode::kNoDescriptors:
      return "no_descriptors";
    case ErrorCode::kAddressInUse:
      return "address_in_use";
    case ErrorCode::kUnresolved:
      return "unresolved";
    case ErrorCode::kFull:
      return "full";
    case ErrorCode::kUnsecured:
      return "unsecured";
    case ErrorCode::kProtocol:
      return "protocol";
    case ErrorCode::kOther:
      return "other";
  }
  return "other";
}

Error error_from_errno(int system) {
  switch (system) {
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
      return {ErrorCode::kReset, system};
    case ECONNREFUSED:
      return {ErrorCode::kRefused, system};
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ENETDOWN:
    case EADDRNOTAVAIL:
    case EACCES:
    case EPERM:
      return {ErrorCode::kUnreachable, system};
    case ETIMEDOUT:
      return {ErrorCode::kTimedOut, system};
    case EMFILE:
    case ENFILE:
      return {ErrorCode::kNoDescriptors, system};
    case EADDRINUSE:
      return {ErrorCode::kAddressInUse, system};
    default:
      return {ErrorCode::kOther, system};
  }
}

}  // namespace sluice::io
