// Seals and opens session tickets for OpenSSL's callback (SSL_CTX_set_tlsext_ticket_key_evp_cb(3)).
#pragma once

#include "tls/ticket_keys.h"

struct evp_cipher_ctx_st;
struct evp_mac_ctx_st;

namespace sluice::tls {

/// 1, or -1 when it failed.
int seal_ticket(const TicketKeyList& keys, unsigned char* name, unsigned char* iv, evp_cipher_ctx_st* cipher,
                evp_mac_ctx_st* mac);
/// 1; 2 when the client is to get a new ticket; 0 when the key is not known: a full handshake.
int open_ticket(const TicketKeyList& keys, const unsigned char* name, const unsigned char* iv,
                evp_cipher_ctx_st* cipher, evp_mac_ctx_st* mac);

}  // namespace sluice::tls
