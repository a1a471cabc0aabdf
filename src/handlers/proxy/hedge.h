// Hedging: a try that takes long gets another one beside it, and whose answer comes first is taken.
#pragma once

#include <optional>

#include "gateway/balance/upstream_load.h"
#include "handlers/proxy/attempt.h"
#include "io/scope.h"
#include "io/signal.h"

namespace sluice::handlers {

/// For a request that may be sent twice and has no body. Lives as long as the first attempt.
class Hedge {
 public:
  Hedge(gateway::Exchange& exchange, const gateway::Upstream& upstream, Attempt& first);
  Hedge(const Hedge&) = delete;
  Hedge& operator=(const Hedge&) = delete;
  /// Whether a request may be hedged.
  static bool is_for(const gateway::Exchange& exchange, const gateway::Upstream& upstream);

  /// As `Attempt::run`; afterwards the one that has lost is given back, and the exchange's response is the
  /// winner's. `choice`: how the other target is chosen. The second try is one of the `place`'s retries.
  io::Task<std::optional<Failure>> run(bool fresh, gateway::BalanceRequest choice,
                                       gateway::UpstreamPlace& place);
  /// Whose answer or failure it is.
  Attempt& winner() { return winner_ == &second_ ? *second_attempt_ : first_attempt_; }
  /// The target of the try that has not won; null: there was but one try.
  const gateway::Target* also_tried() const;
  Instant winner_began() const { return winner_->began; }

 private:
  struct Try {
    Instant began{};
    bool running = false;
    std::optional<Failure> failure = std::nullopt;
    uint16_t status = 0;  // of its answer
    /// An answer that is worth more than waiting for the other one.
    bool good() const { return !running && !failure && status > 0 && status < 500; }
  };

  io::Task<> run_try(Attempt& attempt, Try& state, bool fresh);
  io::Task<> wait_for_first();
  bool begin_second(gateway::BalanceRequest choice, gateway::UpstreamPlace& place);
  void choose_winner();
  void account_loser(Attempt& attempt, const Try& state);

  gateway::Exchange& exchange_;
  const gateway::Upstream& upstream_;
  Attempt& first_attempt_;
  std::optional<Attempt> second_attempt_;
  Try first_;
  Try second_;
  const Try* winner_ = &first_;
  io::Signal ended_;  // one of them has
  io::TaskScope scope_;
};

}  // namespace sluice::handlers
