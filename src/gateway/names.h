// Names: keeps the addresses of targets that are given by name up to date, on the main loop. Workers only
// read what is published in TargetIdentity.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "gateway/dns_answers.h"
#include "gateway/upstream.h"
#include "io/dns.h"
#include "io/loop.h"
#include "io/scope.h"
#include "store/epoch.h"

namespace sluice::gateway {

/// Each name is resolved once, however many targets have it, and again when its TTL has run out. While that
/// fails the old addresses stay.
class Names {
 public:
  Names(io::Loop& loop, io::Resolver& resolver, TargetRegistry& registry, store::EpochDomain& epochs)
      : loop_(loop), resolver_(resolver), registry_(registry), retired_(epochs) {}

  /// Begins with names that are new in the registry; a name that nobody uses any more ends by itself.
  void refresh();
  /// Until every name has its first answer, good or bad, or `limit` has passed.
  io::Task<> first_answers(Duration limit);
  /// Frees lists of addresses that no worker can see any more.
  void collect() { retired_.collect(); }

  void stop() { token_.cancel(io::CancelReason::kDrain); }
  /// After `stop`.
  auto join() { return scope_.join(); }

  size_t size() const { return names_.size(); }

 private:
  struct Name {
    std::string host;
    std::vector<std::weak_ptr<TargetIdentity>> targets;
    std::vector<io::Address> addresses;  // sorted, port 0
    bool answered = false;               // once at least, good or bad
    AskAgain again;
  };

  io::Task<> follow(Name& name);
  /// Takes an answer; how long to wait for the next question.
  Duration take(Name& name, io::Result<io::Resolution> resolved);
  void publish(TargetIdentity& target, const std::vector<io::Address>& addresses);
  static bool in_use(Name& name);

  io::Loop& loop_;
  io::Resolver& resolver_;
  TargetRegistry& registry_;
  store::RetireList retired_;
  std::map<std::string, Name> names_;  // by host; one task each
  FirstAnswers first_answers_;
  io::CancelToken token_;
  io::TaskScope scope_;
};

}  // namespace sluice::gateway
