// What the files of this folder need of OpenSSL: owners of its objects, and its queue of errors as values.
// Included by .cpp files only.
#pragma once

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <memory>
#include <string>
#include <string_view>

#include "base/time.h"
#include "tls/handshake_error.h"

namespace sluice::tls {

template <auto kFree>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    kFree(object);
  }
};
template <class T, auto kFree>
using Owned = std::unique_ptr<T, Freed<kFree>>;

using OwnedBio = Owned<BIO, BIO_free_all>;
using OwnedKey = Owned<EVP_PKEY, EVP_PKEY_free>;
using OwnedCertificate = Owned<X509, X509_free>;
using OwnedStore = Owned<X509_STORE, X509_STORE_free>;
using OwnedContext = Owned<SSL_CTX, SSL_CTX_free>;

/// Empties the thread's queue of errors; the last one in OpenSSL's words, or `otherwise`.
std::string take_error_text(std::string_view otherwise);

/// Of a handshake that has just failed with an error of OpenSSL's; empties the queue.
HandshakeError take_handshake_error(SSL* ssl);

/// Zero: it is malformed.
inline WallTime wall_time_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return WallTime(std::chrono::seconds(timegm(&parts)));
}

/// A read-only view as a BIO.
inline OwnedBio bio_of(std::string_view bytes) {
  return OwnedBio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
}

}  // namespace sluice::tls
