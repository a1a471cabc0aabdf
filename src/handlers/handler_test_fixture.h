// For tests of handlers: a gateway with all policies and handlers, whose upstreams are scripted.
#pragma once

#include "gateway/gateway_fixture.h"
#include "gateway/upstream_fixture.h"
#include "handlers/registry.h"
#include "policies/registry.h"

namespace sluice::handlers::testing {

using namespace std::chrono_literals;
using gateway::testing::Answer;
using gateway::testing::Client;
using gateway::testing::ScriptedUpstream;
using gateway::testing::UpstreamPeer;

class HandlerTest : public gateway::testing::GatewayTest {
 protected:
  HandlerTest() : GatewayTest(kPolicies, kHandlers) {}

  /// A document whose only API is proxied to an upstream `u` with targets at these ports and this
  /// configuration.
  static std::string proxying(std::initializer_list<int> ports, std::string_view config = {},
                              std::string_view api = {}) {
    std::string text =
        "version: 1\n"
        "gateway: { listen: [ { name: plain, address: 127.0.0.1:80 } ], trusted_proxies: [10.0.0.0/8] }\n"
        "upstreams: { u: { targets: [";
    std::string separator;
    for (int port : ports)
      text += std::exchange(separator, ", ") + "http://127.0.0.1:" + std::to_string(port);
    text += "]";
    if (!config.empty()) text.append(", ").append(config);
    text += " } }\napis: { a: { upstream: u";
    if (!api.empty()) text.append(", ").append(api);
    return text + " } }\n";
  }
  /// Where the target at `port` listens.
  static io::Address target(uint16_t port) { return io::Address::loopback(port); }

  std::string tries(std::string_view result) {
    return metric("sluice_upstream_requests_total{upstream=\"u\",result=\"" + std::string(result) + "\"}");
  }
  std::string retries(std::string_view reason) {
    return metric("sluice_retries_total{upstream=\"u\",reason=\"" + std::string(reason) + "\"}");
  }

 private:
  static inline const policies::Registry kPolicies;
  static inline const Registry kHandlers;
};

}  // namespace sluice::handlers::testing
