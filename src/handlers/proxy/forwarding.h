// What a proxied request and response say about the way they took (contract, section 3 "Forwarding").
#pragma once

#include "gateway/exchange.h"
#include "gateway/upstream.h"

namespace sluice::handlers {

/// Forwarding fields, identity and `Via` of a request; once an exchange, whatever number of tries follows.
void prepare_request(gateway::Exchange& exchange);
/// `Via` of a response that an upstream made.
void prepare_response(gateway::Exchange& exchange, http::Version upstream_version);
/// The `Host` that a target gets.
std::string_view host_for(const gateway::Exchange& exchange, const gateway::Upstream& upstream,
                          const gateway::Target& target);

}  // namespace sluice::handlers
