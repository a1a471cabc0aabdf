// RoutePlan: everything that a request needs once its route is known, compiled, immutable, shared.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/time.h"
#include "gateway/handler.h"
#include "gateway/policy.h"
#include "telemetry/families.h"

namespace sluice::gateway {

/// A flat, precompiled policy chain; routes with the same policies share one.
struct Chain {
  struct Link {
    std::shared_ptr<const Policy> policy;
    Policy::Hooks hooks;
    bool dry_run = false;  // what it decides is counted, never enforced
    telemetry::Counter dry_run_refusals;
    std::string id;
  };
  std::vector<Link> links;
};

/// Small numbers for what is alive, used again once it is gone: they index the workers' tables.
class SlotAllocator {
 public:
  uint32_t take();
  void give_back(uint32_t slot);

 private:
  std::mutex mutex_;
  std::vector<uint32_t> free_;
  uint32_t next_ = 0;
};

struct RoutePlan {
  explicit RoutePlan(std::shared_ptr<SlotAllocator> allocator)
      : slot(allocator->take()), slots_(std::move(allocator)) {}
  RoutePlan(const RoutePlan&) = delete;
  RoutePlan& operator=(const RoutePlan&) = delete;
  ~RoutePlan() { slots_->give_back(slot); }

  const uint32_t slot;  // in PlanPins
  std::string api;      // empty: the gateway's own answers
  std::string route;    // empty: the API's, for what matched none
  std::shared_ptr<const Chain> chain;
  std::unique_ptr<const Handler> handler;
  telemetry::RouteMetrics metrics;
  /// Of gRPC calls (telemetry::Families::grpc): resolved by the first one. 0: none yet.
  mutable std::atomic<uint32_t> grpc_metrics{0};
  Duration total{};           // zero: none
  uint64_t request_body = 0;  // bytes; 413 beyond
  uint64_t grpc_message = 0;  // bytes of a message of a gRPC call; 0: `request_body` is all that bounds it
  bool log = true;
  bool strip_path = false;              // the API's prefix is taken off the path
  std::vector<std::string> parameters;  // names, in the order of Match::parameter
  /// The policy that brought this way into the API, and what it calls it; null: the document did.
  struct Brought {
    const Policy* by = nullptr;
    uint32_t number = 0;
    std::string way;  // for people: "GET /v1/books/{1}"
  } brought;

 private:
  std::shared_ptr<SlotAllocator> slots_;
};

}  // namespace sluice::gateway
