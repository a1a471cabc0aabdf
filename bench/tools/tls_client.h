// The client's side of TLS for the tools that measure it: a context for all connections, and a channel that
// is a socket with or without TLS on it. Certificates are not verified: the peer is the server under test.
#pragma once

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>

#include <cerrno>
#include <string_view>
#include <utility>

#include "net.h"

namespace bench {

/// TLS 1.3 only, X25519 only, so that all servers do the same key exchange.
class TlsClient {
 public:
  TlsClient() : context_(SSL_CTX_new(TLS_client_method())) {
    if (context_ == nullptr) die("no TLS context");
    SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION);
    SSL_CTX_set1_groups_list(context_, "X25519");
    SSL_CTX_set_ciphersuites(context_, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_mode(context_, SSL_MODE_RELEASE_BUFFERS);
    // A server that ends without close_notify is told by the answer that is missing.
    SSL_CTX_set_options(context_, SSL_OP_IGNORE_UNEXPECTED_EOF);
  }
  ~TlsClient() { SSL_CTX_free(context_); }
  TlsClient(const TlsClient&) = delete;
  TlsClient& operator=(const TlsClient&) = delete;

  /// Sessions that servers give are handed to `take`, which owns them if it returns 1.
  void on_session(int (*take)(SSL*, SSL_SESSION*)) {
    SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context_, take);
  }

  SSL* new_connection(int fd) {
    SSL* ssl = SSL_new(context_);
    if (ssl == nullptr || SSL_set_fd(ssl, fd) != 1) die("no TLS connection");
    SSL_set_tlsext_host_name(ssl, "bench.test");
    SSL_set_connect_state(ssl);
    return ssl;
  }

 private:
  SSL_CTX* context_;
};

/// What a non-blocking call on a socket would have said: -1 with EAGAIN, 0 at the end, -1 with EPROTO.
inline ssize_t tls_result(SSL* ssl, int result) {
  if (result > 0) return result;
  const int error = SSL_get_error(ssl, result);
  ERR_clear_error();
  if (error == SSL_ERROR_ZERO_RETURN) return 0;
  errno = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? EAGAIN : EPROTO;
  return -1;
}

struct Channel {
  int fd = -1;
  SSL* ssl = nullptr;

  ssize_t receive(char* to, size_t size) {
    if (ssl == nullptr) return ::recv(fd, to, size, 0);
    return tls_result(ssl, SSL_read(ssl, to, static_cast<int>(size)));
  }
  ssize_t transmit(std::string_view bytes) {
    if (ssl == nullptr) return ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    return tls_result(ssl, SSL_write(ssl, bytes.data(), static_cast<int>(bytes.size())));
  }
  /// Waits for the handshake's end; for connections made outside of what is measured.
  bool handshake(TlsClient& client) {
    ssl = client.new_connection(fd);
    for (;;) {
      if (tls_result(ssl, SSL_do_handshake(ssl)) > 0) return true;
      if (errno != EAGAIN) return false;
      pollfd wait{
          .fd = fd, .events = static_cast<short>(SSL_want_write(ssl) ? POLLOUT : POLLIN), .revents = 0};
      if (poll(&wait, 1, 10'000) <= 0) return false;
    }
  }
  void shut() {
    SSL_free(std::exchange(ssl, nullptr));
    ::close(std::exchange(fd, -1));
  }
};

}  // namespace bench
