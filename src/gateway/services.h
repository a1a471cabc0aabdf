// What the whole process shares and policies or handlers may need, handed to them when they are built.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "gateway/acme/challenges.h"
#include "gateway/connection_limits.h"
#include "gateway/handover/inherited_sockets.h"
#include "gateway/health/health_reports.h"
#include "gateway/plan.h"
#include "store/credentials.h"
#include "store/epoch.h"
#include "store/gate.h"
#include "store/lease_table.h"
#include "store/quotas.h"
#include "store/rate_table.h"
#include "store/window_table.h"
#include "telemetry/families.h"
#include "telemetry/registry.h"

namespace sluice::gateway {

/// Built by whoever starts the gateway; outlives every worker and every snapshot.
struct Services {
  /// `secret` keys the credentials' digests, `seed` the hash tables: both random for each process (in the
  /// simulator from its seed).
  Services(std::span<const std::byte, 32> secret, uint64_t seed)
      : rates(seed),
        windows(mix64(seed + 1)),
        connections(mix64(seed)),
        hasher(secret),
        credentials(epochs) {}

  telemetry::Registry registry;
  telemetry::Families metrics{registry};
  store::EpochDomain epochs;
  store::RateTable rates;
  store::WindowTable windows;
  store::Quotas quotas;
  store::LeaseTable leases;
  store::Gates gates;
  ConnectionLimits connections;
  store::KeyedHasher hasher;
  store::CredentialTable credentials;
  acme::Challenges challenges;
  HealthReports health;
  handover::InheritedSockets inherited;
  std::atomic<size_t> workers{0};  // made so far
  std::string node;                // the host's name; set before the first configuration
  std::shared_ptr<SlotAllocator> plan_slots = std::make_shared<SlotAllocator>();
};

}  // namespace sluice::gateway
