// Errors of input and output as values: small enough to be returned everywhere on the hot path.
#pragma once

#include <cstdint>
#include <expected>
#include <string_view>

namespace sluice::io {

enum class ErrorCode : uint8_t {
  kClosed,         // the stream was ended or shut down before
  kReset,          // the peer or the network broke the connection
  kRefused,        // nobody listens there
  kUnreachable,    // no route, or the address is not ours to use
  kTimedOut,       // the operation's own deadline
  kCancelled,      // its CancelToken was cancelled; the token knows why
  kNoDescriptors,  // EMFILE, ENFILE: out of file descriptors
  kAddressInUse,   // a listener's address
  kUnresolved,     // a name without addresses
  kFull,           // a bounded queue of ours
  kUnsecured,      // TLS could not be set up over the connection
  kProtocol,       // the peer does not agree to the protocol that is required
  kOther,          // `system` says what
};

struct Error {
  ErrorCode code = ErrorCode::kOther;
  int system = 0;  // errno, or 0
};

template <class T = void>
using Result = std::expected<T, Error>;

/// A stable word for logs: "reset", "refused".
std::string_view error_text(ErrorCode code);
/// The error that an errno of a socket call stands for.
Error error_from_errno(int system);

inline std::unexpected<Error> fail(ErrorCode code, int system = 0) {
  return std::unexpected(Error{code, system});
}

}  // namespace sluice::io
