// From what DNS says of a service (SRV records, RFC 2782) to targets of the upstream that names it.
#pragma once

#include <span>
#include <vector>

#include "gateway/upstream.h"
#include "io/dns.h"

namespace sluice::gateway {

/// How many targets a service has at most; the ones of the lowest priorities.
inline constexpr size_t kMostServiceTargets = 256;

/// In an order that is the same whatever the one they came in, each server once, with its best priority.
std::vector<io::ServiceRecord> in_order(std::vector<io::ServiceRecord> records);

/// The targets of `upstream` once the service with this number has these records (`in_order`): those that
/// were there keep their identity and their number.
TargetList with_records(const Upstream& upstream, size_t service, std::span<const io::ServiceRecord> records,
                        TargetRegistry& registry);

}  // namespace sluice::gateway
