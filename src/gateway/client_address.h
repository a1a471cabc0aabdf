// Who the client is, and what it may say about itself (contract, section 3 "Forwarding").
#pragma once

#include "gateway/exchange.h"
#include "gateway/snapshot.h"

namespace sluice::gateway {

/// Finds the client's address, and removes from the request what only a trusted proxy, or only the gateway,
/// may say: forwarding fields of an untrusted peer, identity fields of anybody, and names that become one of
/// ours where `_` is read as `-`.
void identify_client(Exchange& exchange, const Snapshot& snapshot);

}  // namespace sluice::gateway
