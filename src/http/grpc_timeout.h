// `grpc-timeout`: how much time a gRPC call has left (gRPC over HTTP/2, "Timeout").
#pragma once

#include <optional>
#include <string_view>

#include "base/arena.h"
#include "base/time.h"

namespace sluice::http {

inline constexpr std::string_view kGrpcTimeoutField = "grpc-timeout";

/// One to eight digits and a unit: H, M, S, m, u or n. What goes beyond a Duration is the longest one.
std::optional<Duration> parse_grpc_timeout(std::string_view value);
/// Rounded down to what eight digits can say; at least a microsecond.
std::string_view write_grpc_timeout(Duration left, Arena& arena);

}  // namespace sluice::http
