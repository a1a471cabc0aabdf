// For tests of limits in a store: servers of the test's own that answer commands as it says.
#pragma once

#include "gateway/upstream_fixture.h"
#include "policies/policy_test_fixture.h"

namespace sluice::policies::testing {

using gateway::testing::ScriptedUpstream;
using gateway::testing::UpstreamPeer;

class SharedLimitsTest : public PolicyTest {
 protected:
  /// `store`: what the store `shared` is; `how`: of its limit.
  static std::string document(std::string_view how,
                              std::string_view store = "url: redis://127.0.0.1:6379, timeout: 5ms") {
    return "redis: { shared: { " + std::string(store) + " } }\n" +
           chain("{ rate_limit: { rate: 1000/1s, key: api, store: shared, " + std::string(how) + " } }");
  }
  /// Taken, remaining, microseconds until it is full again, microseconds to wait.
  static std::string decision(int taken, int remaining = 7, int reset = 1'000'000, int retry = 0) {
    return "*4\r\n:" + std::to_string(taken) + "\r\n:" + std::to_string(remaining) +
           "\r\n:" + std::to_string(reset) + "\r\n:" + std::to_string(retry) + "\r\n";
  }
  /// Answers each command with what `answer` says of it.
  ScriptedUpstream::OnInput answering(std::function<std::string(std::string_view)> answer) {
    return [this, answer](UpstreamPeer& peer) {
      std::string all = std::exchange(peer.received, {});
      for (size_t at = 0; at < all.size();) {
        size_t next = std::min(all.find("\r\n*", at), all.size());
        ++commands;
        peer.send(answer(std::string_view(all).substr(at, next - at)));
        at = next + 2;
      }
    };
  }
  io::Address redis_address = io::Address::loopback(6379);
  int commands = 0;
};

}  // namespace sluice::policies::testing
