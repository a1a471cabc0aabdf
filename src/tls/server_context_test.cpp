// Which certificate, protocol and client rule a handshake gets.
#include "tls/server_context.h"

#include "tls/tls_fixture.h"

namespace sluice::tls {
namespace {

using namespace std::chrono_literals;
using fixture::Issuer;
using fixture::load;
using fixture::Shaken;

class ServerContextTest : public ::testing::Test {
 protected:
  struct Client {
    std::string name = "a.example";
    ClientSettings settings{.verify = false};
    std::string ciphers = {};  // of TLS 1.2, which is then the highest version
  };

  io::Task<Shaken> run(std::shared_ptr<const ServerContext> server, Client client) {
    auto pair = co_await io::fixture::connect_pair(loop_);
    auto context = fixture::client_context(client.settings);
    auto from = context->connect(loop_, std::move(pair.client), client.name, *sessions_);
    if (!client.ciphers.empty()) {
      SSL_set_cipher_list(from->ssl(), client.ciphers.c_str());
      SSL_set_max_proto_version(from->ssl(), TLS1_2_VERSION);
    }
    auto to = server->accept(loop_, std::move(pair.server));
    auto shaken = co_await fixture::shake_hands(std::move(from), std::move(to));
    // Tickets come with the first bytes; a client that is refused in TLS 1.3 hears of it as it reads.
    if (shaken.server_outcome) {
      co_await io::fixture::write_text(*shaken.server, "x");
      co_await io::fixture::read_some(*shaken.client, 1);
    }
    co_return shaken;
  }
  /// A client that may resume what the one before it left.
  Shaken shake(const std::shared_ptr<const ServerContext>& server, const Client& client) {
    return backend_.await(run(server, client));
  }
  Shaken shake_anew(const std::shared_ptr<const ServerContext>& server, const Client& client) {
    sessions_ = std::make_unique<SessionSlot>();
    return shake(server, client);
  }
  /// The common name that the client saw, or why the handshake failed.
  static std::string shown(const Shaken& shaken) {
    if (!shaken.server_outcome)
      return std::string(handshake_failure_text(shaken.server_outcome.error().failure));
    char name[64] = {};
    const X509* certificate = SSL_get0_peer_certificate(shaken.client->ssl());
    X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
    return name;
  }

  io::fixture::SimBackend backend_;
  io::Loop& loop_ = backend_.loop;
  std::unique_ptr<SessionSlot> sessions_ = std::make_unique<SessionSlot>();
  Issuer issuer_;
};

TEST_F(ServerContextTest, NameChoosesTheCertificateExactBeforeWildcardBeforeTheFirst) {
  auto server = fixture::server_context(
      {.certificates = {load(issuer_.issue({.common_name = "first", .names = {"DNS:first.example"}})),
                        load(issuer_.issue({.common_name = "wild", .names = {"DNS:*.example"}})),
                        load(issuer_.issue({.common_name = "exact", .names = {"DNS:a.example"}}))}});
  EXPECT_EQ(shown(shake(server, {.name = "a.example"})), "exact");
  EXPECT_EQ(shown(shake(server, {.name = "A.EXAMPLE"})), "exact");
  EXPECT_EQ(shown(shake(server, {.name = "b.example"})), "wild");
  EXPECT_EQ(shown(shake(server, {.name = "c.b.example"})), "first") << "a wildcard is one label";
  EXPECT_EQ(shown(shake(server, {.name = "example"})), "first");
  EXPECT_EQ(shown(shake(server, {.name = "127.0.0.1"})), "first") << "no SNI";
}

// Contract, section 3: `strict_sni: true`: an alert.
TEST_F(ServerContextTest, StrictRefusesUnknownNames) {
  auto server = fixture::server_context(
      {.certificates = {load(issuer_.issue({.common_name = "one", .names = {"DNS:a.example"}}))},
       .strict_sni = true});
  EXPECT_EQ(shown(shake(server, {.name = "a.example"})), "one");
  EXPECT_EQ(shown(shake(server, {.name = "b.example"})), "server_name");
  auto refused = shake(server, {.name = "127.0.0.1"});
  EXPECT_EQ(shown(refused), "server_name");
  EXPECT_EQ(refused.client_outcome.error().detail, "tlsv1 unrecognized name");
}

TEST_F(ServerContextTest, EcdsaStandsBesideRsaForOneName) {
  auto server = fixture::server_context(
      {.certificates = {load(issuer_.issue({.common_name = "rsa", .names = {"DNS:a.example"}, .rsa = true})),
                        load(issuer_.issue({.common_name = "ec", .names = {"DNS:a.example"}}))}});
  EXPECT_EQ(shown(shake(server, {.ciphers = "ECDHE-RSA-AES128-GCM-SHA256"})), "rsa");
  EXPECT_EQ(shown(shake(server, {.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256"})), "ec");
}

TEST_F(ServerContextTest, ProfilesAndVersionsBoundWhatIsSpoken) {
  auto certificate = load(issuer_.issue({.names = {"DNS:a.example"}}));
  constexpr std::string_view kOld = "ECDHE-ECDSA-AES128-GCM-SHA256";
  auto version = [&](ServerSettings settings, std::string_view ciphers) {
    settings.certificates = {certificate};
    auto shaken = shake(fixture::server_context(settings), {.ciphers = std::string(ciphers)});
    if (!shaken.server_outcome)
      return std::string(handshake_failure_text(shaken.server_outcome.error().failure));
    return std::string(shaken.server->security()->version);
  };
  EXPECT_EQ(version({}, ""), "TLSv1.3");
  EXPECT_EQ(version({}, kOld), "TLSv1.2");
  EXPECT_EQ(version({}, "ECDHE-ECDSA-AES128-SHA"), "cipher") << "no CBC in the intermediate profile";
  EXPECT_EQ(version({.profile = Profile::kModern}, kOld), "version");
  EXPECT_EQ(version({.versions = {Version::kTls12}}, ""), "TLSv1.2");
  EXPECT_EQ(version({.ciphers = {"ECDHE-ECDSA-CHACHA20-POLY1305"}}, kOld), "cipher");
}

TEST_F(ServerContextTest, UnknownCiphersAndGroupsAreNamed) {
  auto certificate = load(issuer_.issue({}));
  auto bad_cipher = ServerContext::make(
      {.certificates = {certificate}, .ciphers = {"ECDHE-ECDSA-AES128-GCM-SHA256", "NO-SUCH"}});
  ASSERT_FALSE(bad_cipher);
  EXPECT_EQ(bad_cipher.error().text, "there is no cipher `NO-SUCH`");
  auto bad_group = ServerContext::make({.certificates = {certificate}, .groups = {"X25519", "NO-SUCH"}});
  ASSERT_FALSE(bad_group);
  EXPECT_EQ(bad_group.error().part, SettingsError::Part::kGroups);
}

TEST_F(ServerContextTest, ProtocolIsOursInOurOrderOrNone) {
  auto certificate = load(issuer_.issue({}));
  auto server = fixture::server_context({.certificates = {certificate}, .protocols = {"h2", "http/1.1"}});
  auto with = [&](std::vector<std::string> offered) {
    return shake(server, {.settings = {.verify = false, .protocols = std::move(offered)}});
  };
  EXPECT_EQ(with({"http/1.1", "h2"}).server->security()->protocol, "h2");
  EXPECT_EQ(with({"http/1.1"}).server->security()->protocol, "http/1.1");
  EXPECT_EQ(with({}).server->security()->protocol, "");
  // RFC 7301, section 3.2: no_application_protocol.
  auto refused = with({"spdy/3"});
  EXPECT_EQ(shown(refused), "protocol");
  EXPECT_EQ(refused.client_outcome.error().detail, "tlsv1 alert no application protocol");
}

class ClientCertificates : public ServerContextTest {
 protected:
  std::shared_ptr<const ServerContext> serve(std::vector<ClientRule> rules) {
    return fixture::server_context({.certificates = {server_certificate_},
                                    .client_rules = std::move(rules),
                                    .ticket_keys = ticket_keys_});
  }
  Client with(std::shared_ptr<const Certificate> certificate, std::string name = "a.example") {
    return {.name = std::move(name), .settings = {.verify = false, .certificate = std::move(certificate)}};
  }
  static std::string outcome(const Shaken& shaken) {
    if (!shaken.server_outcome)
      return std::string(handshake_failure_text(shaken.server_outcome.error().failure));
    const auto& peer = shaken.server->security()->peer;
    return peer ? peer->subject : "nobody";
  }

  std::shared_ptr<const Certificate> server_certificate_ = load(issuer_.issue({.names = {"DNS:*.example"}}));
  std::shared_ptr<const TicketKeys> ticket_keys_ = std::make_shared<const TicketKeys>();
  Issuer partners_{"Partners"};
  std::shared_ptr<const TrustStore> trust_ = TrustStore::make(partners_.pem(), "").value();
  CertificateText good_text_ =
      partners_.issue({.common_name = "shop", .names = {"URI:spiffe://shop", "DNS:shop"}});
  std::shared_ptr<const Certificate> good_ = load(good_text_);
  std::shared_ptr<const Certificate> expired_ =
      load(partners_.issue({.common_name = "old", .until = fixture::kThen + 24h}));
  std::shared_ptr<const Certificate> foreign_ = load(Issuer("Partners").issue({.common_name = "thief"}));
};

TEST_F(ClientCertificates, RequiredMeansAGoodOne) {
  auto server = serve({{.mode = ClientMode::kRequired, .trust = trust_}});
  EXPECT_EQ(outcome(shake_anew(server, with(good_))), "CN=shop");
  EXPECT_EQ(outcome(shake_anew(server, with(nullptr))), "no_certificate");
  EXPECT_EQ(outcome(shake_anew(server, with(expired_))), "expired_certificate");
  EXPECT_EQ(outcome(shake_anew(server, with(foreign_))), "invalid_certificate")
      << "the CA's name, another's key";
}

TEST_F(ClientCertificates, OptionalMeansAGoodOneOrNone) {
  auto server = serve({{.mode = ClientMode::kOptional, .trust = trust_}});
  EXPECT_EQ(outcome(shake_anew(server, with(good_))), "CN=shop");
  EXPECT_EQ(outcome(shake_anew(server, with(nullptr))), "nobody");
  EXPECT_EQ(outcome(shake_anew(server, with(expired_))), "expired_certificate");
}

TEST_F(ClientCertificates, VerifiedIdentityIsThereAlsoOnAResumedConnection) {
  auto server = serve({{.mode = ClientMode::kRequired, .trust = trust_}});
  for (bool resumed : {false, true}) {
    auto shaken = shake(server, with(good_));
    ASSERT_TRUE(shaken.server_outcome);
    EXPECT_EQ(shaken.server->security()->resumed, resumed);
    const auto& peer = shaken.server->security()->peer;
    ASSERT_TRUE(peer);
    EXPECT_EQ(peer->issuer, "CN=Partners");
    EXPECT_EQ(peer->uris, std::vector<std::string>{"spiffe://shop"});
    EXPECT_EQ(peer->dns_names, std::vector<std::string>{"shop"});
    EXPECT_EQ(peer->fingerprint.size(), 64u);
  }
}

// RFC 8446, C.4: a client uses a ticket only once, so each connection must bring a new one.
TEST_F(ClientCertificates, ResumedConnectionGetsATicketForTheNext) {
  auto server = serve({});
  auto client = with(nullptr);
  for (int connection = 0; connection < 4; ++connection) {
    auto shaken = shake(server, client);
    ASSERT_TRUE(shaken.server_outcome);
    EXPECT_EQ(shaken.server->security()->resumed, connection > 0) << connection;
  }
}

TEST_F(ClientCertificates, RulesGoByHost) {
  auto server = serve({{.hosts = {"b2b.example"}, .mode = ClientMode::kRequired, .trust = trust_},
                       {.hosts = {"*.maybe.example"}, .mode = ClientMode::kOptional, .trust = trust_}});
  EXPECT_EQ(outcome(shake(server, with(nullptr, "b2b.example"))), "no_certificate");
  EXPECT_EQ(outcome(shake(server, with(nullptr, "shop.example"))), "nobody");
  EXPECT_EQ(outcome(shake(server, with(good_, "shop.example"))), "nobody") << "it was not asked for one";
  EXPECT_EQ(outcome(shake(server, with(good_, "x.y.maybe.example"))), "CN=shop");
  EXPECT_EQ(server->client_rule_of("b2b.example"), 1);
  EXPECT_EQ(server->client_rule_of("shop.example"), 0);
}

// A ticket of a host that asks for no certificate must not open one that does (nginx: CVE-2025-23419).
TEST_F(ClientCertificates, TicketIsGoodUnderItsOwnRuleOnly) {
  auto server = serve({{.hosts = {"b2b.example"}, .mode = ClientMode::kRequired, .trust = trust_}});
  EXPECT_EQ(outcome(shake(server, with(nullptr, "shop.example"))), "nobody");
  EXPECT_EQ(outcome(shake(server, with(nullptr, "b2b.example"))), "no_certificate");
  auto again = shake(server, with(nullptr, "shop.example"));
  EXPECT_TRUE(again.server->security()->resumed) << "the ticket was in use";
}

TEST_F(ClientCertificates, RevokedOneIsRefusedAlsoWithATicketOfBefore) {
  auto before = serve({{.mode = ClientMode::kRequired, .trust = trust_}});
  EXPECT_EQ(outcome(shake(before, with(good_))), "CN=shop");
  auto trust = TrustStore::make(partners_.pem(), partners_.revoke({good_text_.chain})).value();
  auto after = serve({{.mode = ClientMode::kRequired, .trust = trust}});
  EXPECT_EQ(outcome(shake(after, with(good_))), "revoked_certificate");
  auto other = load(partners_.issue({.common_name = "other"}));
  EXPECT_EQ(outcome(shake(after, with(other))), "CN=other");
}

class ClientContextTest : public ServerContextTest {
 protected:
  std::string outcome(const ClientSettings& settings, const CertificateText& shown, const std::string& name) {
    auto server = fixture::server_context({.certificates = {load(shown)}});
    auto shaken = shake(server, {.name = name, .settings = settings});
    if (shaken.client_outcome) return "good";
    return std::string(handshake_failure_text(shaken.client_outcome.error().failure));
  }
};

TEST_F(ClientContextTest, ServerIsVerifiedByChainNameAndTime) {
  auto trust = TrustStore::make(issuer_.pem(), "").value();
  auto good = issuer_.issue({.names = {"DNS:a.example", "IP:127.0.0.1"}});
  EXPECT_EQ(outcome({.trust = trust}, good, "a.example"), "good");
  EXPECT_EQ(outcome({.trust = trust}, good, "127.0.0.1"), "good");
  EXPECT_EQ(outcome({.trust = trust}, good, "b.example"), "wrong_host");
  EXPECT_EQ(outcome({.trust = trust}, good, "127.0.0.2"), "wrong_host");
  auto expired = issuer_.issue({.names = {"DNS:a.example"}, .until = fixture::kThen + 24h});
  EXPECT_EQ(outcome({.trust = trust}, expired, "a.example"), "expired_certificate");
  EXPECT_EQ(outcome({}, good, "a.example"), "untrusted_certificate") << "not one of the system's";
  EXPECT_EQ(outcome({.verify = false}, good, "b.example"), "good");
}

TEST(TicketKeysTest, RotationKeepsTheKeysBefore) {
  TicketKeys keys;
  auto first = keys.keys()->front();
  keys.rotate();
  EXPECT_EQ(keys.keys()->size(), 2u);
  EXPECT_EQ(keys.keys()->at(1).name, first.name);
  for (int i = 0; i < 5; ++i) keys.rotate();
  EXPECT_EQ(keys.keys()->size(), TicketKeys::kKept + 1);
}

TEST(CertificateTest, WhatDoesNotFitTogetherIsRefusedWithTheReason) {
  Issuer issuer;
  auto one = issuer.issue({.common_name = "one"});
  auto two = issuer.issue({.common_name = "two"});
  auto refusal = [](const CertificateText& text) {
    auto loaded = Certificate::load("test", text);
    return loaded ? std::string("none") : loaded.error().text;
  };
  EXPECT_EQ(refusal(one), "none");
  EXPECT_EQ(refusal({.chain = one.chain + issuer.pem(), .key = one.key}), "none");
  EXPECT_EQ(refusal({.chain = one.chain, .key = two.key}), "the key is not that of the certificate");
  EXPECT_EQ(refusal({.chain = "junk", .key = one.key}), "no certificate in PEM form is in it");
  EXPECT_EQ(refusal({.chain = one.chain, .key = "junk"}), "no private key in PEM form is in it");
  EXPECT_EQ(
      refusal({.chain = one.chain + two.chain, .key = one.key}),
      "certificate 2 has not issued certificate 1: the order is the server's own, its issuer, and so on");
  EXPECT_EQ(refusal({.chain = one.chain, .key = one.key, .ocsp = "junk"}),
            "no OCSP response in DER form is in it");
}

TEST(CertificateTest, SelfSignedOneHasItsNamesAndTimes) {
  auto made = load(make_self_signed({"localhost", "x.example"}, fixture::kThen, 24h));
  EXPECT_EQ(made->dns_names(), (std::vector<std::string>{"localhost", "x.example"}));
  EXPECT_EQ(made->not_before(), fixture::kThen);
  EXPECT_EQ(made->not_after(), fixture::kThen + 24h);
  EXPECT_EQ(made->key_type(), "EC");
}

}  // namespace
}  // namespace sluice::tls
