// OcspFetcher: keeps what is stapled to certificates fresh, on the main loop. Asks the responder that each
// one names, and staples what it answers once that is verified.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "gateway/snapshot.h"
#include "io/dns.h"
#include "io/linked_token.h"
#include "io/loop.h"
#include "io/scope.h"
#include "tls/certificate.h"
#include "tls/ocsp.h"

namespace sluice::gateway {

/// A response is asked for again when half of its time is over. While that fails the old one stays until it
/// is out of date; then nothing is stapled.
class OcspFetcher {
 public:
  static constexpr Duration kShortestWait = std::chrono::minutes(1);
  static constexpr Duration kLongestWait = std::chrono::hours(24);
  static constexpr Duration kFirstRetry = std::chrono::minutes(1);  // doubles each time, up to kLastRetry
  static constexpr Duration kLastRetry = std::chrono::hours(1);
  static constexpr Duration kTimeout = std::chrono::seconds(10);  // of one question
  static constexpr size_t kMostBytes = 64 * 1024;                 // of a response

  OcspFetcher(io::Loop& loop, io::Resolver& resolver) : loop_(loop), resolver_(resolver) {}

  /// Begins with those that are new; those that are not there any more are let go.
  void follow(const std::vector<KnownCertificate>& certificates);
  /// Visits the name of each and how long its response is good; zero: there is none.
  template <class Visit>
  void for_each(Visit visit) const {
    for (const auto& each : followed_)
      visit(each->certificate->name(), std::max(Duration::zero(), each->good_until - loop_.wall_now()));
  }

  void stop() { token_.cancel(io::CancelReason::kDrain); }
  /// After `stop`.
  auto join() { return scope_.join(); }

 private:
  struct Followed {
    Followed(std::shared_ptr<const tls::Certificate> of, io::CancelToken& all)
        : certificate(std::move(of)), token(all) {}
    std::shared_ptr<const tls::Certificate> certificate;
    io::LinkedToken token;
    WallTime good_until{};
    Duration retry = kFirstRetry;
  };
  using Response = std::expected<std::string, std::string>;

  io::Task<> keep_fresh(Followed& followed);
  /// Takes an answer; how long to wait for the next question.
  Duration take(Followed& followed, Response response);
  io::Task<Response> ask(const tls::OcspQuestion& question, io::CancelToken& token);

  io::Loop& loop_;
  io::Resolver& resolver_;
  std::list<std::unique_ptr<Followed>> followed_;
  io::CancelToken token_;
  io::TaskScope scope_;
};

}  // namespace sluice::gateway
