// What a name server answers about a service: the SRV records of a DNS message (RFC 1035, RFC 2782), with
// their TTL, which c-ares 1.18 does not tell.
#pragma once

#include <cstddef>
#include <optional>
#include <span>

#include "io/dns.h"

namespace sluice::io {

/// Of one answer; more are ignored.
inline constexpr size_t kMaxServiceRecords = 1024;

/// `message` may hold anything. Nothing: it is no DNS message that is whole. Records that name no server
/// (`.`, "not available here") or none that could be connected to are left out: there may be none left.
std::optional<ServiceRecords> parse_service_answer(std::span<const unsigned char> message);

}  // namespace sluice::io
