#include "tls/client_context.h"

#include "io/address.h"
#include "tls/openssl.h"

namespace sluice::tls {

namespace {

/// Where a connection keeps its SessionSlot.
int slot_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

}  // namespace

SessionSlot::~SessionSlot() { SSL_SESSION_free(session_); }

ClientContext::~ClientContext() { SSL_CTX_free(context_); }

std::expected<std::shared_ptr<const ClientContext>, std::string> ClientContext::make(
    const ClientSettings& settings) {
  ERR_clear_error();
  std::shared_ptr<ClientContext> made(new ClientContext);
  made->verify_ = settings.verify;
  made->trust_ = settings.trust ? settings.trust : TrustStore::system();
  made->certificate_ = settings.certificate;
  SSL_CTX* context = made->context_ = SSL_CTX_new(TLS_client_method());
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set1_cert_store(context, made->trust_->store());
  SSL_CTX_set_verify(context, settings.verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, nullptr);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context, on_session);
  std::string protocols;
  for (const std::string& protocol : settings.protocols)
    protocols += static_cast<char>(protocol.size()) + protocol;
  if (!protocols.empty())
    SSL_CTX_set_alpn_protos(context, reinterpret_cast<const unsigned char*>(protocols.data()),
                            static_cast<unsigned>(protocols.size()));
  if (const Certificate* certificate = settings.certificate.get()) {
    STACK_OF(X509)* chain = sk_X509_new_null();
    for (size_t i = 1; i < certificate->chain().size(); ++i) sk_X509_push(chain, certificate->chain()[i]);
    int used = SSL_CTX_use_cert_and_key(context, certificate->leaf(), certificate->key(), chain, 1);
    sk_X509_free(chain);
    if (used != 1) return std::unexpected(take_error_text("the certificate cannot be used"));
  }
  return made;
}

/// A ticket has come; the newest one is kept.
int ClientContext::on_session(SSL* ssl, SSL_SESSION* session) {
  auto* slot = static_cast<SessionSlot*>(SSL_get_ex_data(ssl, slot_index()));
  if (!slot || SSL_SESSION_is_resumable(session) != 1) return 0;
  SSL_SESSION_free(slot->session_);
  slot->session_ = session;
  return 1;  // ours now
}

std::unique_ptr<TlsStream> ClientContext::connect(io::Loop& loop, std::unique_ptr<io::Stream> below,
                                                  const std::string& server, SessionSlot& sessions) const {
  SSL* ssl = SSL_new(context_);
  SSL_set_connect_state(ssl);
  SSL_set_ex_data(ssl, slot_index(), &sessions);
  bool address = io::Address::parse_ip(server, 0).has_value();
  if (!address) SSL_set_tlsext_host_name(ssl, server.c_str());
  if (verify_) {
    X509_VERIFY_PARAM* rules = SSL_get0_param(ssl);
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (address)
      X509_VERIFY_PARAM_set1_ip_asc(rules, server.c_str());
    else
      X509_VERIFY_PARAM_set1_host(rules, server.c_str(), server.size());
  }
  if (sessions.session_) SSL_set_session(ssl, sessions.session_);
  auto stream = std::make_unique<TlsStream>(loop, std::move(below), ssl);
  stream->mutable_security().server_name = server;
  return stream;
}

}  // namespace sluice::tls
