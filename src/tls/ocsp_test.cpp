#include "tls/ocsp.h"

#include "tls/tls_fixture.h"

namespace sluice::tls {
namespace {

using fixture::Issuer;
using std::chrono::hours;

constexpr WallTime kNow = WallTime(hours(24 * 365 * 50));

class OcspTest : public ::testing::Test {
 protected:
  std::string verdict(const std::string& response) {
    auto found = verify_ocsp(*certificate_, response, kNow);
    if (!found) return found.error();
    return found->revoked ? "revoked" : "good";
  }
  std::string said(int verdict, WallTime from = kNow - hours(1), WallTime until = kNow + hours(1)) {
    return issuer_.ocsp(text_.chain, issuer_, verdict, from, until);
  }

  Issuer issuer_;
  CertificateText text_ = issuer_.issue({.responder = "http://ocsp.test/a"});
  std::shared_ptr<const Certificate> certificate_ =
      fixture::load({.chain = text_.chain + issuer_.pem(), .key = text_.key});
};

TEST_F(OcspTest, QuestionGoesToTheResponderThatTheCertificateNames) {
  auto question = ocsp_question(*certificate_);
  ASSERT_TRUE(question);
  EXPECT_EQ(question->url, "http://ocsp.test/a");
  const auto* bytes = reinterpret_cast<const unsigned char*>(question->body.data());
  Owned<OCSP_REQUEST, OCSP_REQUEST_free> request(
      d2i_OCSP_REQUEST(nullptr, &bytes, static_cast<long>(question->body.size())));
  ASSERT_TRUE(request);
  EXPECT_EQ(OCSP_request_onereq_count(request.get()), 1);
}

TEST_F(OcspTest, WithoutAResponderOrAnIssuerNobodyCanBeAsked) {
  auto lonely = fixture::load(text_);
  EXPECT_EQ(ocsp_question(*lonely).error(), "its issuer's certificate is not in the chain");
  CertificateText silent = issuer_.issue({});
  auto nameless = fixture::load({.chain = silent.chain + issuer_.pem(), .key = silent.key});
  EXPECT_EQ(ocsp_question(*nameless).error(), "it names no responder with http://");
}

// RFC 6960, section 3.2.
TEST_F(OcspTest, ResponsesAreTakenWhenTheyAreSignedAboutUsAndInTime) {
  EXPECT_EQ(verdict(said(V_OCSP_CERTSTATUS_GOOD)), "good");
  EXPECT_EQ(verdict(said(V_OCSP_CERTSTATUS_REVOKED)), "revoked");
  EXPECT_EQ(verdict(said(V_OCSP_CERTSTATUS_UNKNOWN)), "the responder does not know the certificate");
  EXPECT_EQ(verdict(said(V_OCSP_CERTSTATUS_GOOD, kNow - hours(2), kNow)), "it is out of date");
  EXPECT_EQ(verdict(said(V_OCSP_CERTSTATUS_GOOD, kNow + hours(1), kNow + hours(2))), "it is not valid yet");
  EXPECT_EQ(verdict("junk"), "it is no OCSP response");
  EXPECT_EQ(verdict(said(V_OCSP_CERTSTATUS_GOOD) + "x"), "it is no OCSP response");

  CertificateText other = issuer_.issue({});
  EXPECT_EQ(
      verdict(issuer_.ocsp(other.chain, issuer_, V_OCSP_CERTSTATUS_GOOD, kNow - hours(1), kNow + hours(1))),
      "it is about another certificate");
  Issuer stranger("Stranger");
  EXPECT_EQ(
      verdict(stranger.ocsp(text_.chain, issuer_, V_OCSP_CERTSTATUS_GOOD, kNow - hours(1), kNow + hours(1))),
      "its signature is not the issuer's");
}

}  // namespace
}  // namespace sluice::tls
