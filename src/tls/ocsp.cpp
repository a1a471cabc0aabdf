#include "tls/ocsp.h"

#include "base/ascii.h"
#include "tls/openssl.h"

namespace sluice::tls {

namespace {

using OwnedResponse = Owned<OCSP_RESPONSE, OCSP_RESPONSE_free>;
using OwnedBasic = Owned<OCSP_BASICRESP, OCSP_BASICRESP_free>;
using OwnedId = Owned<OCSP_CERTID, OCSP_CERTID_free>;

/// The responder's clock may be ahead of ours.
constexpr Duration kSkew = std::chrono::minutes(5);
/// Without `nextUpdate` there may be something newer at any time.
constexpr Duration kWithoutNextUpdate = std::chrono::hours(1);

std::unexpected<std::string> fault(std::string text) {
  ERR_clear_error();
  return std::unexpected(std::move(text));
}

/// Whether the response's signature leads to who issued the certificate.
bool well_signed(const Certificate& certificate, OCSP_BASICRESP* basic, WallTime now) {
  OwnedStore store(X509_STORE_new());
  Owned<STACK_OF(X509), [](STACK_OF(X509) * stack) { sk_X509_free(stack); }> issuers(sk_X509_new_null());
  for (size_t i = 1; i < certificate.chain().size(); ++i) {
    X509_STORE_add_cert(store.get(), certificate.chain()[i]);
    sk_X509_push(issuers.get(), certificate.chain()[i]);
  }
  // The chain in the file need not go up to a root.
  X509_STORE_set_flags(store.get(), X509_V_FLAG_PARTIAL_CHAIN);
  X509_VERIFY_PARAM_set_time(
      X509_STORE_get0_param(store.get()),
      std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count());
  return OCSP_basic_verify(basic, issuers.get(), store.get(), 0) == 1;
}

}  // namespace

std::expected<OcspQuestion, std::string> ocsp_question(const Certificate& certificate) {
  if (certificate.chain().size() < 2) return fault("its issuer's certificate is not in the chain");
  OcspQuestion question;
  Owned<STACK_OF(OPENSSL_STRING), X509_email_free> urls(X509_get1_ocsp(certificate.leaf()));
  for (int i = 0; urls && i < sk_OPENSSL_STRING_num(urls.get()); ++i) {
    std::string_view url = sk_OPENSSL_STRING_value(urls.get(), i);
    if (!ascii::to_lower(url).starts_with("http://")) continue;
    question.url = url;
    break;
  }
  if (question.url.empty()) return fault("it names no responder with http://");
  Owned<OCSP_REQUEST, OCSP_REQUEST_free> request(OCSP_REQUEST_new());
  OCSP_request_add0_id(request.get(),
                       OCSP_cert_to_id(EVP_sha1(), certificate.leaf(), certificate.chain()[1]));
  unsigned char* bytes = nullptr;
  int size = i2d_OCSP_REQUEST(request.get(), &bytes);
  if (size <= 0) return fault("no question can be made of it");
  question.body.assign(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  return question;
}

std::expected<OcspVerdict, std::string> verify_ocsp(const Certificate& certificate, std::string_view response,
                                                    WallTime now) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(response.data());
  const unsigned char* end = bytes + response.size();
  OwnedResponse whole(d2i_OCSP_RESPONSE(nullptr, &bytes, static_cast<long>(response.size())));
  if (!whole || bytes != end) return fault("it is no OCSP response");
  int status = OCSP_response_status(whole.get());
  if (status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
    return fault(std::string("the responder says: ") + OCSP_response_status_str(status));
  OwnedBasic basic(OCSP_response_get1_basic(whole.get()));
  if (!basic) return fault("it is of a kind that nobody knows");
  if (certificate.chain().size() < 2) return fault("its issuer's certificate is not in the chain");
  if (!well_signed(certificate, basic.get(), now)) return fault("its signature is not the issuer's");

  OwnedId id(OCSP_cert_to_id(EVP_sha1(), certificate.leaf(), certificate.chain()[1]));
  int verdict = 0;
  int reason = 0;
  ASN1_GENERALIZEDTIME* revoked_at = nullptr;
  ASN1_GENERALIZEDTIME* this_update = nullptr;
  ASN1_GENERALIZEDTIME* next_update = nullptr;
  if (OCSP_resp_find_status(basic.get(), id.get(), &verdict, &reason, &revoked_at, &this_update,
                            &next_update) != 1)
    return fault("it is about another certificate");
  if (verdict == V_OCSP_CERTSTATUS_UNKNOWN) return fault("the responder does not know the certificate");
  if (wall_time_of(this_update) > now + kSkew) return fault("it is not valid yet");
  OcspVerdict found{.revoked = verdict == V_OCSP_CERTSTATUS_REVOKED,
                    .next_update = next_update ? wall_time_of(next_update) : now + kWithoutNextUpdate};
  if (found.next_update <= now) return fault("it is out of date");
  return found;
}

}  // namespace sluice::tls
