// For tests of policies: a gateway with the table of all of them and a handler that answers with what it was
// asked.
#pragma once

#include "gateway/gateway_fixture.h"
#include "policies/registry.h"

namespace sluice::policies::testing {

using namespace std::chrono_literals;
using gateway::testing::Answer;
using gateway::testing::Client;

class PolicyTest : public gateway::testing::GatewayTest {
 protected:
  PolicyTest() : GatewayTest(kPolicies, kHandlers) {}

  /// One API with this list of policies, and two consumers.
  static std::string chain(std::string_view policies) {
    return "apis: { a: { upstream: any, policies: [" + std::string(policies) + "] } }\n" +
           std::string(kConsumers);
  }
  static constexpr std::string_view kConsumers =
      "consumers:\n"
      "  anna: { groups: [g], credentials: [ { api_key: anna-key-0123456789 }, { api_key: anna-other-key } ] "
      "}\n"
      "  ben: { credentials: [ { api_key: ben-key } ] }\n";

 private:
  static inline const Registry kPolicies;
  static inline const gateway::testing::EchoHandlers kHandlers;
};

}  // namespace sluice::policies::testing
