#include "tls/ticket_crypto.h"

#include <openssl/core_names.h>
#include <openssl/params.h>
#include <openssl/rand.h>

#include <cstring>

namespace sluice::tls {

namespace {

constexpr int kFailed = -1;

/// Fetched once: a fetch takes locks and searches lists.
const EVP_CIPHER* ticket_cipher() {
  static EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-CBC", nullptr);
  return cipher;
}

bool set_mac_key(EVP_MAC_CTX* mac, const TicketKey& key) {
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, const_cast<unsigned char*>(key.hmac.data()),
                                        key.hmac.size()),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0), OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

}  // namespace

int seal_ticket(const TicketKeyList& keys, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                EVP_MAC_CTX* mac) {
  const TicketKey& key = keys.front();
  if (RAND_bytes(iv, EVP_CIPHER_get_iv_length(ticket_cipher())) != 1) return kFailed;
  std::memcpy(name, key.name.data(), key.name.size());
  if (EVP_EncryptInit_ex(cipher, ticket_cipher(), nullptr, key.aes.data(), iv) != 1) return kFailed;
  return set_mac_key(mac, key) ? 1 : kFailed;
}

int open_ticket(const TicketKeyList& keys, const unsigned char* name, const unsigned char* iv,
                EVP_CIPHER_CTX* cipher, EVP_MAC_CTX* mac) {
  for (const TicketKey& key : keys) {
    if (std::memcmp(name, key.name.data(), key.name.size()) != 0) continue;
    if (EVP_DecryptInit_ex(cipher, ticket_cipher(), nullptr, key.aes.data(), iv) != 1) return kFailed;
    if (!set_mac_key(mac, key)) return kFailed;
    return &key == &keys.front() ? 1 : 2;
  }
  return 0;
}

}  // namespace sluice::tls
