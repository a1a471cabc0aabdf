// Reads who is at the other end out of a verified certificate.
#pragma once

#include <memory>

#include "tls/connection_security.h"

struct ssl_st;

namespace sluice::tls {

/// Null when the peer of a connection has shown no certificate.
std::unique_ptr<const PeerIdentity> verified_peer(const ssl_st* ssl);

}  // namespace sluice::tls
