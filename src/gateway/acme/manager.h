// Manager: sees to it, on the main loop, that every certificate with `acme` is there and renewed in time.
// What it gets it writes to a file of the gateway's state, which is watched and read like any other
// certificate's.
#pragma once

#include <list>
#include <memory>
#include <string>
#include <vector>

#include "gateway/acme/challenges.h"
#include "gateway/acme/client.h"
#include "gateway/snapshot.h"
#include "io/linked_token.h"
#include "io/scope.h"
#include "telemetry/families.h"

namespace sluice::gateway::acme {

class Manager {
 public:
  /// After a failure, growing: where the CA was not reached, and where it has refused.
  static constexpr Duration kFirstRetry = std::chrono::seconds(2);
  static constexpr Duration kFirstRefusedRetry = std::chrono::minutes(1);
  static constexpr Duration kLastRetry = std::chrono::hours(6);

  Manager(io::Loop& loop, io::Resolver& resolver, Challenges& challenges, telemetry::Families& families,
          telemetry::WorkerMetrics& metrics)
      : loop_(loop), resolver_(resolver), challenges_(challenges), families_(families), metrics_(metrics) {}

  /// Looks after these from now on.
  void follow(const std::vector<AcmeCertificate>& certificates);

  void stop() { token_.cancel(io::CancelReason::kDrain); }
  /// After `stop`.
  auto join() { return scope_.join(); }

 private:
  struct Followed {
    Followed(AcmeCertificate of, io::CancelToken& all) : certificate(std::move(of)), token(all) {}
    AcmeCertificate certificate;
    io::LinkedToken token;
    uint32_t failures = 0;  // in a row
  };
  struct Issued {
    std::string text;  // PEM: its key and the chain
    WallTime not_after{};
  };

  io::Task<> look_after(Followed& followed);
  void keep(Followed& followed, Outcome<Issued>& outcome, WallTime& issued);
  io::Task<Outcome<Issued>> obtain(Followed& followed);
  io::Task<Outcome<void>> prove(Client& client, const AccountKey& key, const config::Acme& settings,
                                std::string url);
  std::expected<AccountKey, std::string> account_key(const AcmeCertificate& certificate);
  Duration until_renewal(const AcmeCertificate& certificate) const;
  Duration after_failure(Followed& followed, const Refusal& refusal);

  io::Loop& loop_;
  io::Resolver& resolver_;
  Challenges& challenges_;
  telemetry::Families& families_;
  telemetry::WorkerMetrics& metrics_;
  std::list<std::unique_ptr<Followed>> followed_;
  io::CancelToken token_;
  io::TaskScope scope_;
};

}  // namespace sluice::gateway::acme
