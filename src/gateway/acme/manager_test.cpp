// How a CA is spoken to when it does not do as it should: a scripted one in a simulated world. That the right
// things are said to a real one is tested with Pebble (tests/e2e/test_acme.py).
#include "gateway/acme/manager.h"

#include <fmt/format.h>
#include <unistd.h>

#include <deque>
#include <filesystem>

#include "io/sim/sim_resolver.h"
#include "io/sim/sim_world.h"
#include "tls/tls_fixture.h"

namespace sluice::gateway::acme {
namespace {

using namespace std::chrono_literals;

struct Said {
  int status = 200;
  std::string body = {};
  std::string fields = {};  // whole lines
};

/// A CA that answers each path with what the test has put there, over TLS.
class ScriptedCa {
 public:
  ScriptedCa(io::SimWorld& world, io::SimLoop& loop, const tls::fixture::Issuer&,
             const tls::CertificateText& text)
      : world_(world), loop_(loop) {
    context_ = tls::fixture::server_context({.certificates = {tls::fixture::load(text)}});
    listen();
  }
  ~ScriptedCa() {
    token_.cancel(io::CancelReason::kDrain);
    world_.run_until([this] { return scope_.active() == 0; });
  }
  void listen() {
    listener_ = std::move(*loop_.listen(kAddress, {}));
    listener_->bind(token_);
    scope_.spawn(accept());
  }

  static constexpr uint16_t kPort = 14000;
  static inline const io::Address kAddress = io::Address::loopback(kPort);
  std::map<std::string, std::deque<Said>> answers;  // by path; the last one stays
  std::vector<std::string> asked;                   // paths

  size_t times(std::string_view path) const { return static_cast<size_t>(std::ranges::count(asked, path)); }

 private:
  io::Task<> accept() {
    while (!token_.cancelled()) {
      auto stream = co_await listener_->accept();
      if (stream) scope_.spawn(serve(std::move(*stream)));
    }
    listener_.reset();
  }
  io::Task<> serve(std::unique_ptr<io::Stream> below) {
    auto stream = context_->accept(loop_, std::move(below));
    stream->bind(token_);
    auto shaken = co_await stream->handshake();
    std::string text;
    size_t body = std::string::npos;
    while (shaken && !whole(text, body)) {
      auto lease = co_await stream->read();
      if (!lease || lease->empty()) co_return;
      text += lease->bytes();
      lease->consume(lease->size());
    }
    if (!shaken) co_return;
    std::string path = text.substr(text.find(' ') + 1);
    path = path.substr(0, path.find(' '));
    asked.push_back(path);
    auto& queue = answers[path];
    Said said = queue.empty() ? Said{404} : queue.front();
    if (queue.size() > 1) queue.pop_front();
    bool head = text.starts_with("HEAD ");
    // Section 6.5: with every answer to a POST, and where one is asked for.
    std::string nonce = path == "/dir" ? "" : fmt::format("Replay-Nonce: n{}\r\n", ++nonces_);
    std::string answer = fmt::format("HTTP/1.1 {} S\r\n{}{}Content-Length: {}\r\n\r\n{}", said.status, nonce,
                                     said.fields, said.body.size(), head ? "" : said.body);
    iovec piece{answer.data(), answer.size()};
    auto written = co_await stream->write({&piece, 1});
    std::ignore = written;
    stream->shutdown_write();
    auto rest = co_await stream->read();
    std::ignore = rest;
  }
  static bool whole(const std::string& text, size_t& body) {
    size_t end = text.find("\r\n\r\n");
    if (end == std::string::npos) return false;
    body = end + 4;
    size_t length = text.find("Content-Length: ");
    size_t bytes = length < end ? std::stoul(text.substr(length + 16)) : 0;
    return text.size() >= body + bytes;
  }

  io::SimWorld& world_;
  io::SimLoop& loop_;
  std::shared_ptr<const tls::ServerContext> context_;
  std::unique_ptr<io::Listener> listener_;
  io::CancelToken token_;
  io::TaskScope scope_;
  int nonces_ = 0;
};

class AcmeManagerTest : public ::testing::Test {
 protected:
  AcmeManagerTest() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sluice-acme-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    trust_ = *tls::TrustStore::make(issuer_.pem(), "");
    ca_.answers["/dir"] = {
        {.body = R"({"newNonce":"@/nonce","newAccount":"@/account","newOrder":"@/order"})"}};
    ca_.answers["/nonce"] = {{}};
    ca_.answers["/account"] = {{.status = 201, .body = "{}", .fields = "Location: @/account/1\r\n"}};
    ca_.answers["/order"] = {{.status = 201, .body = order("pending"), .fields = "Location: @/order/1\r\n"}};
    ca_.answers["/authz/1"] = {{.body = authorization("pending")}, {.body = authorization("valid")}};
    ca_.answers["/challenge/1"] = {{.body = "{}"}};
    ca_.answers["/order/1"] = {{.body = order("ready")}};
    ca_.answers["/finalize/1"] = {{.body = order("processing")}};
    for (auto& [path, queue] : ca_.answers)
      for (Said& said : queue) {
        fill_in(said.body);
        fill_in(said.fields);
      }
    world_.set_name("ca.test", {ScriptedCa::kAddress}, 1h);
  }
  ~AcmeManagerTest() override {
    manager_.stop();
    ends_.spawn(join());
    world_.run_until([this] { return ends_.active() == 0; });
    std::filesystem::remove_all(folder_);
  }

  static void fill_in(std::string& text) {
    const std::string base = "https://ca.test:14000";
    for (size_t at = 0; (at = text.find('@', at)) != std::string::npos; at += base.size())
      text.replace(at, 1, base);
  }
  static std::string order(std::string_view status) {
    return fmt::format(R"({{"status":"{}","authorizations":["@/authz/1"],"finalize":"@/finalize/1"}})",
                       status);
  }
  static std::string authorization(std::string_view status) {
    return fmt::format(R"({{"status":"{}","identifier":{{"type":"dns","value":"shop.test"}},)"
                       R"("challenges":[{{"type":"http-01","url":"@/challenge/1","token":"tok"}}]}})",
                       status);
  }
  static Said problem(int status, std::string_view type, std::string_view fields = {}) {
    return {status, fmt::format(R"({{"type":"urn:ietf:params:acme:error:{}","detail":"no"}})", type),
            std::string(fields)};
  }
  void put(const std::string& path, std::deque<Said> answers) {
    for (Said& said : answers) {
      fill_in(said.body);
      fill_in(said.fields);
    }
    ca_.answers[path] = std::move(answers);
  }

  AcmeCertificate wanted() {
    config::Acme settings;
    settings.directory = "https://ca.test:14000/dir";
    settings.domains = {"shop.test"};
    return {"shop", settings, folder_ + "/acme", folder_ + "/acme/shop.pem", nullptr, trust_};
  }
  void follow() { manager_.follow({wanted()}); }
  std::string failures() { return counted("failure"); }
  std::string counted(std::string_view result) {
    std::string text = registry_.scrape();
    std::string line = fmt::format("sluice_acme_orders_total{{name=\"shop\",result=\"{}\"}} ", result);
    size_t at = text.find(line);
    if (at == std::string::npos) return "0";
    at += line.size();
    return text.substr(at, text.find('\n', at) - at);
  }

  io::SimWorld world_;
  io::SimLoop& loop_ = world_.add_loop();
  io::SimLoop& ca_loop_ = world_.add_loop();
  io::SimResolver resolver_{loop_};
  telemetry::Registry registry_;
  telemetry::Families families_{registry_};
  tls::fixture::Issuer issuer_;
  ScriptedCa ca_{world_, ca_loop_, issuer_, issuer_.issue({.names = {"DNS:ca.test"}})};
  std::shared_ptr<const tls::TrustStore> trust_;
  std::string folder_;
  Challenges challenges_;
  Manager manager_{loop_, resolver_, challenges_, families_, registry_.attach()};

 private:
  io::Task<> join() { co_await manager_.join(); }
  io::TaskScope ends_;
};

// RFC 8555, section 7.1, the table of the walk; the token is answered while the CA looks, and not after.
TEST_F(AcmeManagerTest, WalksFromTheDirectoryToTheOrder) {
  put("/finalize/1", {problem(403, "unauthorized")});
  follow();
  bool shown = world_.run_until([&] { return challenges_.http.find("tok").has_value(); });
  EXPECT_TRUE(shown);
  EXPECT_TRUE(challenges_.http.find("tok")->starts_with("tok."));
  world_.run_for(20s);
  EXPECT_FALSE(challenges_.http.pending());
  EXPECT_EQ(ca_.asked, (std::vector<std::string>{"/dir", "/nonce", "/account", "/order", "/authz/1",
                                                 "/challenge/1", "/authz/1", "/order/1", "/finalize/1"}));
  EXPECT_EQ(failures(), "1");
}

TEST_F(AcmeManagerTest, ACaThatIsNotThereIsAskedSoonAndThenLessOften) {
  AcmeCertificate certificate = wanted();
  certificate.settings.directory = "https://ca.test:14001/dir";
  world_.set_name("ca.test", {io::Address::loopback(1)}, 1h);
  manager_.follow({certificate});
  world_.run_for(1s);
  EXPECT_EQ(failures(), "1");
  world_.run_for(2s);
  EXPECT_EQ(failures(), "2") << "after two seconds, and an eighth";
  world_.run_for(5s);
  EXPECT_EQ(failures(), "3");
  world_.run_for(24h);
  EXPECT_LT(std::stoi(failures()), 25);
}

TEST_F(AcmeManagerTest, ARefusalIsRespectedForAsLongAsTheCaSays) {
  put("/order", {problem(429, "rateLimited", "Retry-After: 7200\r\n")});
  follow();
  world_.run_for(7100s);
  EXPECT_EQ(ca_.times("/order"), 1u);
  world_.run_for(1000s);
  EXPECT_EQ(ca_.times("/order"), 2u);
}

// Section 6.5: with the nonce of the refusal, and not for ever.
TEST_F(AcmeManagerTest, ABadNonceIsTriedAgainWithAnotherOne) {
  put("/account",
      {problem(400, "badNonce"), {.status = 201, .body = "{}", .fields = "Location: @/account/1\r\n"}});
  follow();
  world_.run_for(1s);
  EXPECT_EQ(ca_.times("/account"), 2u);
  EXPECT_EQ(ca_.times("/nonce"), 1u);
  EXPECT_GE(ca_.times("/order"), 1u);
  put("/order", {problem(400, "badNonce")});
  size_t before = ca_.times("/order");
  world_.run_for(3min);
  EXPECT_LE(ca_.times("/order") - before, size_t{Client::kMostNonces} * 3);
}

TEST_F(AcmeManagerTest, WhatIsNotAsTheRfcHasItIsRefused) {
  struct Case {
    std::string path;
    Said said;
  };
  const std::string long_token(5000, 'a');
  for (
      const Case& each : std::vector<Case>{
          {"/dir", {.body = "[]"}},
          {"/dir", {.body = std::string(100'000, '[')}},
          {"/dir",
           {.body = R"({"newNonce":"http://ca.test/n","newAccount":"@/account","newOrder":"@/order"})"}},
          {"/account", {.status = 201, .body = "{}"}},
          {"/order", {.status = 201, .body = R"({"status":"pending"})", .fields = "Location: @/order/1\r\n"}},
          {"/order",
           {.status = 201,
            .body = R"({"finalize":"@/f","authorizations":[1]})",
            .fields = "Location: @/o\r\n"}},
          {"/authz/1",
           {.body =
                R"({"identifier":{"value":"shop.test"},"challenges":[{"type":"http-01","url":"@/c","token":"../x"}]})"}},
          {"/authz/1",
           {.body =
                R"({"identifier":{"value":"other.test"},"challenges":[{"type":"http-01","url":"@/c","token":"x"}]})"}},
          {"/authz/1",
           {.body =
                R"({"identifier":{"value":"shop.test"},"challenges":[{"type":"http-01","url":"@/c","token":")" +
                long_token + "\"}]}"}},
          {"/order/1", {.body = order("invalid")}},
      }) {
    auto before = ca_.answers;
    put(each.path, {each.said});
    std::string failed = failures();
    manager_.follow({});
    world_.run_for(1ms);
    follow();
    world_.run_for(20s);
    EXPECT_GT(std::stoi(failures()), std::stoi(failed)) << each.path << " " << each.said.body.substr(0, 80);
    EXPECT_FALSE(challenges_.http.pending());
    ca_.answers = before;
  }
}

TEST_F(AcmeManagerTest, WhatTheConfigurationNamesNoMoreIsLetGo) {
  put("/authz/1", {{.body = authorization("pending")}});
  follow();
  world_.run_for(5s);
  EXPECT_TRUE(challenges_.http.pending());
  manager_.follow({});
  world_.run_for(1s);
  EXPECT_FALSE(challenges_.http.pending());
  EXPECT_EQ(failures(), "0");
}

// A third of the time of a short-lived certificate, thirty days of others.
TEST_F(AcmeManagerTest, ACertificateIsRenewedBeforeItsEnd) {
  struct Case {
    Duration left;
    bool asks;
  };
  for (const Case& each : {Case{std::chrono::days(31), false}, Case{std::chrono::days(29), true}}) {
    tls::fixture::Issuer issuer;
    auto text = issuer.issue({.names = {"DNS:shop.test"}, .until = loop_.wall_now() + each.left});
    AcmeCertificate certificate = wanted();
    certificate.loaded = tls::fixture::load(text);
    ca_.asked.clear();
    manager_.follow({});
    world_.run_for(1ms);
    manager_.follow({certificate});
    world_.run_for(1s);
    EXPECT_EQ(!ca_.asked.empty(), each.asks);
  }
}

}  // namespace
}  // namespace sluice::gateway::acme
