// The handler that most routes have: sends the request to an upstream and its answer back.
#pragma once

#include <atomic>
#include <vector>

#include "gateway/handler.h"
#include "gateway/handler_types.h"

namespace sluice::handlers {

struct Failure;

class Proxy final : public gateway::Handler {
 public:
  explicit Proxy(const gateway::RouteAction& action);
  io::Task<> handle(gateway::Exchange& exchange) const override;

 private:
  const std::shared_ptr<const gateway::Upstream>& choose() const;
  /// Whether a request goes where traffic moves to.
  bool shifts(gateway::Exchange& exchange) const;
  void record_shifted(gateway::Exchange& exchange, uint16_t status, Instant began) const;

  std::vector<gateway::UpstreamChoice> choices_;
  gateway::ShiftChoice shift_;
  std::vector<gateway::MirrorChoice> mirrors_;
  std::vector<uint16_t> schedule_;  // for a split: one round, smooth; empty: there is but one
  alignas(64) mutable std::atomic<uint64_t> turn_{0};
};

}  // namespace sluice::handlers
