#include "gateway/ocsp_fetcher.h"

#include <algorithm>

#include "gateway/http_fetch.h"
#include "io/sleep.h"
#include "telemetry/process_log.h"

namespace sluice::gateway {

namespace log = telemetry::log;

void OcspFetcher::follow(const std::vector<KnownCertificate>& certificates) {
  if (token_.cancelled()) return;
  for (const auto& each : followed_) {
    bool wanted = std::ranges::any_of(certificates, [&](const KnownCertificate& known) {
      return known.fetch_ocsp && known.certificate == each->certificate;
    });
    if (wanted || each->token.cancelled()) continue;
    each->certificate->staple(nullptr);
    each->token.cancel(io::CancelReason::kRevoked);
  }
  for (const KnownCertificate& known : certificates) {
    if (!known.fetch_ocsp) continue;
    bool followed = std::ranges::any_of(followed_, [&](const auto& each) {
      return each->certificate == known.certificate && !each->token.cancelled();
    });
    if (followed) continue;
    followed_.push_back(std::make_unique<Followed>(known.certificate, token_));
    scope_.spawn(keep_fresh(*followed_.back()));
  }
}

io::Task<> OcspFetcher::keep_fresh(Followed& followed) {
  auto question = tls::ocsp_question(*followed.certificate);
  while (question && !followed.token.cancelled()) {
    auto response = co_await ask(*question, followed.token);
    if (followed.token.cancelled()) break;
    Duration wait = take(followed, std::move(response));
    auto slept = co_await io::sleep_for(loop_, wait, followed.token);
    if (!slept) break;
  }
  std::erase_if(followed_, [&](const auto& each) { return each.get() == &followed; });
}

Duration OcspFetcher::take(Followed& followed, Response response) {
  const tls::Certificate& certificate = *followed.certificate;
  const WallTime now = loop_.wall_now();
  std::string why;
  if (response) {
    auto verdict = tls::verify_ocsp(certificate, *response, now);
    if (verdict && !verdict->revoked) {
      if (followed.retry != kFirstRetry) log::info("OCSP for `{}` is answered again", certificate.name());
      followed.retry = kFirstRetry;
      followed.good_until = verdict->next_update;
      certificate.staple(std::make_shared<const std::string>(std::move(*response)));
      return std::clamp<Duration>((followed.good_until - now) / 2, kShortestWait, kLongestWait);
    }
    why = verdict ? "the certificate is revoked" : verdict.error();
    // Whoever asks for himself hears it, and nobody is told otherwise by an older response.
    if (verdict) followed.good_until = {};
  } else {
    why = response.error();
  }
  const bool stale = followed.good_until <= now;
  if (stale) certificate.staple(nullptr);
  // Once, not at each attempt.
  if (followed.retry == kFirstRetry)
    log::warning("no OCSP response for `{}`: {}; {}", certificate.name(), why,
                 stale ? "nothing is stapled" : "the old one stays");
  Duration wait = followed.retry;
  followed.retry = std::min(wait * 2, kLastRetry);
  return stale ? wait : std::min<Duration>(wait, followed.good_until - now);
}

/// RFC 6960, appendix A.
io::Task<OcspFetcher::Response> OcspFetcher::ask(const tls::OcspQuestion& question, io::CancelToken& token) {
  FetchRequest request{.method = "POST",
                       .url = question.url,
                       .content_type = "application/ocsp-request",
                       .accept = "application/ocsp-response",
                       .body = question.body,
                       .timeout = kTimeout,
                       .most_bytes = kMostBytes};
  auto answer = co_await http_fetch(loop_, resolver_, std::move(request), token);
  if (!answer) co_return std::unexpected("its responder: " + answer.error());
  if (answer->status != 200)
    co_return std::unexpected("its responder answers with status " + std::to_string(answer->status));
  co_return std::move(answer->body);
}

}  // namespace sluice::gateway
