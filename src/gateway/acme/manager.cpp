#include "gateway/acme/manager.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "gateway/acme/storage.h"
#include "io/sleep.h"
#include "telemetry/process_log.h"
#include "tls/certificate_request.h"

namespace sluice::gateway::acme {

namespace {

namespace log = telemetry::log;
using telemetry::AcmeResult;

/// It may change from one look to the next without anybody saying so.
constexpr Duration kLongestSleep = std::chrono::hours(1);
/// Until a file that was written is looked for.
constexpr Duration kLoadTime = std::chrono::seconds(1);

std::string_view challenge_type(config::AcmeChallenge challenge) {
  return challenge == config::AcmeChallenge::kHttp01 ? "http-01" : "tls-alpn-01";
}

bool covers(const tls::Certificate& certificate, const std::vector<std::string>& domains) {
  std::set<std::string> names(certificate.dns_names().begin(), certificate.dns_names().end());
  return std::ranges::all_of(domains, [&](const std::string& domain) { return names.contains(domain); });
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (char c : bytes) out += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return out;
}

/// What the CA is to see, for as long as it lives.
class Answer {
 public:
  Answer(Challenges& challenges, const std::string& domain, const Challenge& challenge,
         config::AcmeChallenge type, const std::string& authorization, WallTime now)
      : challenges_(challenges), domain_(domain), token_(challenge.token), type_(type) {
    if (type_ == config::AcmeChallenge::kHttp01) {
      challenges_.http.set(token_, authorization);
      return;
    }
    std::array<unsigned char, 32> digest{};
    std::ranges::copy(sha256(authorization), digest.begin());
    auto certificate =
        tls::Certificate::load("challenge", tls::make_challenge_certificate(domain, digest, now));
    if (certificate) challenges_.certificates->set(domain, *certificate);
  }
  Answer(const Answer&) = delete;
  Answer& operator=(const Answer&) = delete;
  ~Answer() {
    if (type_ == config::AcmeChallenge::kHttp01)
      challenges_.http.remove(token_);
    else
      challenges_.certificates->remove(domain_);
  }

 private:
  Challenges& challenges_;
  const std::string domain_;
  const std::string token_;
  const config::AcmeChallenge type_;
};

}  // namespace

void Manager::follow(const std::vector<AcmeCertificate>& certificates) {
  if (token_.cancelled()) return;
  for (const auto& each : followed_) {
    auto wanted = std::ranges::find(certificates, each->certificate.name, &AcmeCertificate::name);
    bool same = wanted != certificates.end() && wanted->settings == each->certificate.settings &&
                wanted->path == each->certificate.path;
    if (!same) {
      each->token.cancel(io::CancelReason::kRevoked);
    } else {
      each->certificate.loaded = wanted->loaded;
      each->certificate.trust = wanted->trust;
    }
  }
  for (const AcmeCertificate& certificate : certificates) {
    bool followed = std::ranges::any_of(followed_, [&](const auto& each) {
      return each->certificate.name == certificate.name && !each->token.cancelled();
    });
    if (followed) continue;
    followed_.push_back(std::make_unique<Followed>(certificate, token_));
    scope_.spawn(look_after(*followed_.back()));
  }
}

Duration Manager::until_renewal(const AcmeCertificate& certificate) const {
  if (!certificate.loaded || !covers(*certificate.loaded, certificate.settings.domains))
    return Duration::zero();
  const tls::Certificate& loaded = *certificate.loaded;
  Duration lifetime = loaded.not_after() - loaded.not_before();
  Duration before = std::min<Duration>(certificate.settings.renew_before, lifetime / 3);
  return std::max<Duration>(loaded.not_after() - before - loop_.wall_now(), Duration::zero());
}

io::Task<> Manager::look_after(Followed& followed) {
  const std::string name = followed.certificate.name;
  auto counters = families_.acme_orders(name);
  WallTime issued{};  // of what we have written and what may not be loaded yet
  Instant next_try{};
  while (!followed.token.cancelled()) {
    const auto& loaded = followed.certificate.loaded;
    Duration wait = until_renewal(followed.certificate);
    bool awaits_load = issued != WallTime{} && (!loaded || loaded->not_after() < issued);
    if (wait == Duration::zero() && awaits_load) wait = kLoadTime;
    if (wait == Duration::zero() && next_try > loop_.now()) wait = next_try - loop_.now();
    if (wait == Duration::zero()) {
      log::info("certificate {}: asking {} for it", name, followed.certificate.settings.directory);
      auto outcome = co_await obtain(followed);
      if (followed.token.cancelled()) break;
      if (outcome) keep(followed, outcome, issued);
      metrics_.add(counters[outcome ? AcmeResult::kSuccess : AcmeResult::kFailure]);
      next_try = loop_.now() + (outcome ? Duration::zero() : after_failure(followed, outcome.error()));
      wait = kLoadTime;
    }
    auto slept = co_await io::sleep_for(loop_, std::min<Duration>(wait, kLongestSleep), followed.token);
    if (!slept) break;
  }
  std::erase_if(followed_, [&](const auto& each) { return each.get() == &followed; });
}

/// Turns the outcome into a failure when the certificate cannot be kept.
void Manager::keep(Followed& followed, Outcome<Issued>& outcome, WallTime& issued) {
  const std::string& path = followed.certificate.path;
  auto written = write_secret(path, outcome->text);
  if (!written) {
    outcome =
        std::unexpected(Refusal{fmt::format("{} cannot be written: {}", path, written.error()), true, {}});
    return;
  }
  log::info("certificate {}: issued, in {}", followed.certificate.name, path);
  issued = outcome->not_after;
  followed.failures = 0;
}

Duration Manager::after_failure(Followed& followed, const Refusal& refusal) {
  Duration wait = refusal.by_ca ? kFirstRefusedRetry : kFirstRetry;
  for (uint32_t i = 0; i < followed.failures && wait < kLastRetry; ++i) wait *= 2;
  wait = std::min<Duration>(std::max<Duration>(wait, refusal.retry_after), std::chrono::hours(24));
  ++followed.failures;
  // Several gateways that fail at once do not come again at once.
  wait += Duration(static_cast<int64_t>(loop_.random().below(static_cast<uint64_t>(wait.count() / 8) + 1)));
  log::warning("certificate {}: {} does not give it: {}; asking again in {} s", followed.certificate.name,
               followed.certificate.settings.directory, refusal.why,
               std::chrono::duration_cast<std::chrono::seconds>(wait).count());
  return wait;
}

std::expected<AccountKey, std::string> Manager::account_key(const AcmeCertificate& certificate) {
  std::string path = fmt::format("{}/account-{}.pem", certificate.folder,
                                 hex(sha256(certificate.settings.directory)).substr(0, 16));
  if (auto known = AccountKey::from_pem(read_secret(path))) return std::move(*known);
  AccountKey made = AccountKey::generate();
  auto written = write_secret(path, made.pem());
  if (!written) return std::unexpected(fmt::format("{} cannot be written: {}", path, written.error()));
  return made;
}

io::Task<Outcome<Manager::Issued>> Manager::obtain(Followed& followed) {
  const AcmeCertificate certificate = followed.certificate;  // a reload may change it meanwhile
  auto key = account_key(certificate);
  if (!key) co_return std::unexpected(Refusal{key.error(), true, {}});
  auto context = tls::ClientContext::make(
      {.verify = true, .trust = certificate.trust, .certificate = nullptr, .protocols = {"http/1.1"}});
  if (!context) co_return std::unexpected(Refusal{context.error(), true, {}});
  Client client(loop_, resolver_, *context, *key, followed.token);
  auto begun = co_await client.begin(certificate.settings.directory, certificate.settings.email);
  if (!begun) co_return std::unexpected(begun.error());
  auto order = co_await client.new_order(certificate.settings.domains);
  if (!order) co_return std::unexpected(order.error());
  for (const std::string& url : order->authorizations) {
    auto proved = co_await prove(client, *key, certificate.settings, url);
    if (!proved) co_return std::unexpected(proved.error());
  }
  tls::CertificateRequest request = tls::make_certificate_request(certificate.settings.domains);
  auto chain = co_await client.finish(std::move(*order), request.der);
  if (!chain) co_return std::unexpected(chain.error());
  auto loaded = tls::Certificate::load(certificate.name, {.chain = *chain, .key = request.key, .ocsp = {}});
  if (!loaded)
    co_return std::unexpected(Refusal{"it has given what is no good: " + loaded.error().text, true, {}});
  if (!covers(**loaded, certificate.settings.domains))
    co_return std::unexpected(Refusal{"it has given a certificate for other names", true, {}});
  co_return Issued{request.key + *chain, (*loaded)->not_after()};
}

/// Shows the CA what it wants to see, until it has looked (RFC 8555, section 7.5).
io::Task<Outcome<void>> Manager::prove(Client& client, const AccountKey& key, const config::Acme& settings,
                                       std::string url) {
  auto authorization = co_await client.authorization(url);
  if (!authorization) co_return std::unexpected(authorization.error());
  if (authorization->valid) co_return Outcome<void>();
  auto challenge = authorization->challenges.find(std::string(challenge_type(settings.challenge)));
  bool ours = std::ranges::find(settings.domains, authorization->domain) != settings.domains.end();
  if (!ours || challenge == authorization->challenges.end())
    co_return std::unexpected(Refusal{
        fmt::format("it offers no {} for `{}`", challenge_type(settings.challenge), authorization->domain),
        true,
        {}});
  Answer answer(challenges_, authorization->domain, challenge->second, settings.challenge,
                key.authorize(challenge->second.token), loop_.wall_now());
  auto told = co_await client.respond(challenge->second.url);
  if (!told) co_return told;
  auto looked = co_await client.await_authorization(authorization->url);
  co_return looked;
}

}  // namespace sluice::gateway::acme
