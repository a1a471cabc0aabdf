// OCSP responses as the main loop fetches them, in a simulated world with a responder.
#include "gateway/ocsp_fetcher.h"

#include <fmt/format.h>

#include "io/sim/sim_resolver.h"
#include "io/sim/sim_world.h"
#include "tls/tls_fixture.h"

namespace sluice::gateway {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class OcspFetcherTest : public ::testing::Test {
 protected:
  OcspFetcherTest() {
    auto listener = loop_.listen(kResponder, {});
    listener_ = std::move(*listener);
    listener_->bind(token_);
    scope_.spawn(respond());
    world_.set_name("ocsp.test", {kResponder}, minutes(1));
  }
  ~OcspFetcherTest() override {
    fetcher_.stop();
    token_.cancel(io::CancelReason::kDrain);
    io::TaskScope ending;
    ending.spawn(end());
    world_.run_until([&] { return ending.active() == 0 && scope_.active() == 0; });
    listener_.reset();
  }

  io::Task<> end() { co_await fetcher_.join(); }
  void follow() { fetcher_.follow({{certificate_, true}}); }
  std::string said(Duration for_how_long, int verdict = V_OCSP_CERTSTATUS_GOOD) {
    return issuer_.ocsp(text_.chain, issuer_, verdict, world_.wall_now() - minutes(1),
                        world_.wall_now() + for_how_long);
  }
  static std::string http(const std::string& body) {
    return fmt::format("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
  }
  std::string stapled() const {
    auto response = certificate_->stapled();
    return response ? *response : "";
  }

  io::SimWorld world_;
  io::SimLoop& loop_ = world_.add_loop();
  io::SimResolver resolver_{loop_};
  OcspFetcher fetcher_{loop_, resolver_};
  tls::fixture::Issuer issuer_;
  tls::CertificateText text_ = issuer_.issue({.responder = "http://ocsp.test:8088/a"});
  std::shared_ptr<const tls::Certificate> certificate_ =
      tls::fixture::load({.chain = text_.chain + issuer_.pem(), .key = text_.key});
  std::string answer_;  // of the responder; empty: it is silent
  std::vector<std::string> asked_;

 private:
  io::Task<> respond() {
    while (!token_.cancelled()) {
      auto stream = co_await listener_->accept();
      if (stream) scope_.spawn(serve(std::move(*stream)));
    }
  }
  io::Task<> serve(std::unique_ptr<io::Stream> stream) {
    stream->bind(token_);
    std::string request;
    bool answered = false;
    for (;;) {
      auto lease = co_await stream->read();
      if (!lease || lease->empty()) co_return;
      request += lease->bytes();
      lease->release();
      if (answered || !request.contains("\r\n\r\n0")) continue;  // DER begins with '0', a sequence
      answered = true;
      asked_.push_back(request);
      if (answer_.empty()) continue;
      iovec piece{answer_.data(), answer_.size()};
      auto written = co_await stream->write({&piece, 1});
      std::ignore = written;
    }
  }

  const io::Address kResponder = *io::Address::parse_ip("127.0.0.1", 8088);
  io::CancelToken token_;
  std::unique_ptr<io::Listener> listener_;
  io::TaskScope scope_;
};

TEST_F(OcspFetcherTest, ResponseIsStapledAndAskedForAgainInHalfOfItsTime) {
  std::string first = said(hours(10));
  answer_ = http(first);
  follow();
  world_.run_for(seconds(1));
  ASSERT_EQ(asked_.size(), 1u);
  EXPECT_TRUE(asked_[0].starts_with("POST /a HTTP/1.1\r\n")) << asked_[0];
  EXPECT_TRUE(asked_[0].contains("Host: ocsp.test:8088\r\n")) << asked_[0];
  EXPECT_TRUE(asked_[0].contains("Content-Type: application/ocsp-request\r\n")) << asked_[0];
  EXPECT_EQ(stapled(), first);

  std::string second = said(hours(20));
  answer_ = http(second);
  follow();  // as every second
  world_.run_for(hours(5) - seconds(10));
  EXPECT_EQ(asked_.size(), 1u);
  world_.run_for(seconds(20));
  EXPECT_EQ(asked_.size(), 2u);
  EXPECT_EQ(stapled(), second);
}

TEST_F(OcspFetcherTest, OldResponseStaysWhileItIsGoodAndThenNothingIsStapled) {
  std::string first = said(hours(10));
  answer_ = http(first);
  follow();
  world_.run_for(seconds(1));
  answer_ = "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n";
  world_.run_for(hours(9));
  EXPECT_EQ(stapled(), first);
  // At 5 h, then 1, 2, 4, ... minutes later, an hour at most.
  EXPECT_EQ(asked_.size(), 1u + 1 + 6 + 2);
  world_.run_for(hours(1) + minutes(1));
  EXPECT_EQ(stapled(), "");
}

TEST_F(OcspFetcherTest, NothingIsStapledThatIsNotVerifiedAndGood) {
  const std::string answers[] = {
      http("junk"),
      http(said(hours(1), V_OCSP_CERTSTATUS_REVOKED)),
      http(tls::fixture::Issuer("Stranger")
               .ocsp(text_.chain, issuer_, V_OCSP_CERTSTATUS_GOOD, world_.wall_now(),
                     world_.wall_now() + hours(1))),
      http(std::string(OcspFetcher::kMostBytes + 1, '0')),
      "SSH-2.0-x\r\n\r\n",
      "HTTP/1.1 204 No Content\r\n\r\n",
      "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n",
      "",  // until the time is over
  };
  for (const std::string& answer : answers) {
    size_t before = asked_.size();
    answer_ = answer;
    follow();
    world_.run_for(seconds(30));
    EXPECT_EQ(asked_.size(), before + 1);
    EXPECT_EQ(stapled(), "") << answer.substr(0, 40);
    fetcher_.follow({});
    world_.run_for(seconds(1));
  }
}

TEST_F(OcspFetcherTest, RevocationEndsAnOlderResponse) {
  answer_ = http(said(hours(10)));
  follow();
  world_.run_for(seconds(1));
  EXPECT_NE(stapled(), "");
  answer_ = http(said(hours(10), V_OCSP_CERTSTATUS_REVOKED));
  world_.run_for(hours(5) + seconds(10));
  EXPECT_EQ(stapled(), "");
}

TEST_F(OcspFetcherTest, CertificateThatIsGoneIsLetGo) {
  answer_ = http(said(hours(10)));
  follow();
  world_.run_for(seconds(1));
  fetcher_.follow({{certificate_, false}});
  EXPECT_EQ(stapled(), "");
  world_.run_for(hours(20));
  EXPECT_EQ(asked_.size(), 1u);
}

}  // namespace
}  // namespace sluice::gateway
