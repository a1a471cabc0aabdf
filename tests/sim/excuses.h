// What excuses the gateway when a call did not get its answer: faults that were drawn for its way.
#pragma once

#include <string_view>

#include "run.h"

namespace sluice::sim {

/// What is seen at one place is seen so much later at another.
inline constexpr Duration kSlack = std::chrono::milliseconds(500);

/// The upstream breaks its answer within the body.
inline bool in_body(UpstreamDeed deed) {
  return deed == UpstreamDeed::kTruncated || deed == UpstreamDeed::kResetInBody ||
         deed == UpstreamDeed::kStallInBody || deed == UpstreamDeed::kBadChunk;
}

/// Why the call may have failed for no fault of the gateway's; empty: it must not.
std::string_view find_excuse(const RunView& run, const Call& call);
/// Whether a connection of its upstream was lost while it may have been sent on it unseen.
bool upstream_lost(const RunView& run, const Call& call);

}  // namespace sluice::sim
