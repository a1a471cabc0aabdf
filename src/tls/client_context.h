// ClientContext: how an upstream is spoken to over TLS, and the sessions that its connections may resume.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "io/loop.h"
#include "io/stream.h"
#include "tls/certificate.h"
#include "tls/tls_stream.h"
#include "tls/trust_store.h"

struct ssl_session_st;
struct ssl_ctx_st;

namespace sluice::tls {

struct ClientSettings {
  bool verify = true;
  std::shared_ptr<const TrustStore> trust = nullptr;         // null: the system's
  std::shared_ptr<const Certificate> certificate = nullptr;  // what we show; null: none
  std::vector<std::string> protocols = {};  // ALPN, the preferred first; empty: none is offered
};

/// What the next connection to the same server may resume. Belongs to one loop and outlives the connections
/// that were made with it.
class SessionSlot {
 public:
  SessionSlot() = default;
  SessionSlot(const SessionSlot&) = delete;
  SessionSlot& operator=(const SessionSlot&) = delete;
  ~SessionSlot();

 private:
  friend class ClientContext;
  ssl_session_st* session_ = nullptr;
};

/// Immutable and shared by all workers.
class ClientContext {
 public:
  static std::expected<std::shared_ptr<const ClientContext>, std::string> make(
      const ClientSettings& settings);
  ClientContext(const ClientContext&) = delete;
  ClientContext& operator=(const ClientContext&) = delete;
  ~ClientContext();

  /// A connection whose handshake is to be awaited. `server`: a name or an IP address, which the certificate
  /// must be for; a name is sent as SNI too.
  std::unique_ptr<TlsStream> connect(io::Loop& loop, std::unique_ptr<io::Stream> below,
                                     const std::string& server, SessionSlot& sessions) const;

 private:
  ClientContext() = default;
  static int on_session(ssl_st* ssl, ssl_session_st* session);

  ssl_ctx_st* context_ = nullptr;
  bool verify_ = true;
  std::shared_ptr<const TrustStore> trust_;
  std::shared_ptr<const Certificate> certificate_;
};

}  // namespace sluice::tls
