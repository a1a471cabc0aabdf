#include "gateway/ocsp_fetcher.h"

#include <algorithm>

#include "http/h1/client_exchange.h"
#include "http/uri.h"
#include "io/sleep.h"
#include "telemetry/process_log.h"

namespace sluice::gateway {

namespace {

namespace log = telemetry::log;

/// One of several addresses that do not answer must not take all the time.
constexpr size_t kMostAddresses = 4;

/// Of a connection that carries one exchange: nothing comes after it.
class OneExchange final : public http::h1::ClientExchange::Lender {
 public:
  void on_exchange_end(bool) override {}
  http::ClientTunnel& on_upgrade() override { std::abort(); }  // nobody has asked for one
};

using Fetched = std::expected<std::string, std::string>;

io::Task<Fetched> read_body(http::BodyReader& body) {
  std::string bytes;
  for (;;) {
    auto chunk = co_await body.read();
    if (!chunk) co_return std::unexpected(std::string(chunk.error().detail));
    bytes += chunk->bytes;
    if (bytes.size() > OcspFetcher::kMostBytes) co_return std::unexpected("its answer is too long");
    if (chunk->end) co_return bytes;
  }
}

}  // namespace

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
    auto response = co_await fetch(*question, followed.token);
    if (followed.token.cancelled()) break;
    Duration wait = take(followed, std::move(response));
    auto slept = co_await io::sleep_for(loop_, wait, followed.token);
    if (!slept) break;
  }
  std::erase_if(followed_, [&](const auto& each) { return each.get() == &followed; });
}

Duration OcspFetcher::take(Followed& followed, Fetched response) {
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

io::Task<OcspFetcher::Fetched> OcspFetcher::fetch(const tls::OcspQuestion& question, io::CancelToken& all) {
  io::LinkedToken token(all);
  io::Deadline deadline(loop_, loop_.now() + kTimeout, token);
  auto url = http::parse_target_url(question.url);
  if (!url) co_return std::unexpected(std::string(url.error()));
  std::vector<io::Address> addresses;
  if (auto literal = io::Address::parse_ip(url->host, url->port)) {
    addresses.push_back(*literal);
  } else {
    auto resolved = co_await resolver_.resolve(std::string(url->host), token);
    if (!resolved) co_return std::unexpected("its responder's name cannot be resolved");
    addresses = std::move(resolved->addresses);
  }
  if (addresses.size() > kMostAddresses) addresses.resize(kMostAddresses);
  Fetched response = std::unexpected("its responder has no address");
  for (io::Address address : addresses) {
    address.port = url->port;
    response = co_await ask(address, question, token);
    if (response || token.cancelled()) break;
  }
  if (!response && token.reason() == io::CancelReason::kDeadline)
    co_return std::unexpected("its responder has not answered in time");
  co_return response;
}

/// RFC 6960, appendix A.
io::Task<OcspFetcher::Fetched> OcspFetcher::ask(io::Address responder, const tls::OcspQuestion& question,
                                                io::CancelToken& token) {
  auto stream = co_await loop_.connect(responder, token);
  if (!stream) co_return std::unexpected("its responder cannot be reached");
  auto url = http::parse_target_url(question.url);
  Arena arena;
  http::Request request(arena);
  request.method = http::Method::kPost;
  request.method_text = "POST";
  request.path = url->base_path.empty() ? "/" : url->base_path;
  request.body = http::BodyLength::known(question.body.size());
  request.fields.add(http::FieldName::kContentType, "application/ocsp-request");
  request.fields.add(http::FieldName::kAccept, "application/ocsp-response");
  OneExchange lender;
  auto& exchange =
      http::h1::ClientExchange::start({loop_, **stream, lender, false}, {token, arena, http::Limits{}});
  exchange.begin(request, {.host = url->authority});
  auto watch = exchange.watch({});
  auto sent = co_await exchange.send_body(http::Body::of(question.body), watch);
  Fetched response = std::unexpected("its responder broke off");
  if (sent.outcome == http::WriteResult::Outcome::kComplete) {
    http::Response head(arena);
    auto read = co_await exchange.read_head(head);
    if (!read) {
      response = std::unexpected("its responder says no HTTP");
    } else if (head.status != 200) {
      response = std::unexpected("its responder answers with status " + std::to_string(head.status));
    } else if (http::BodyReader* body = exchange.body()) {
      response = co_await read_body(*body);
    }
  }
  exchange.end(false);
  co_return response;
}

}  // namespace sluice::gateway
