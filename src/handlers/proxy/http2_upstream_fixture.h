// For tests of upstreams that speak HTTP/2: a target that sends frames made by hand.
#pragma once

#include "handlers/handler_test_fixture.h"
#include "http/h2/frame_client.h"

namespace sluice::handlers::testing {

namespace h2 = http::h2::testing;

/// A target at port 9000 whose connections say what the test does.
class Http2UpstreamTest : public HandlerTest {
 protected:
  static constexpr uint16_t kConnectProtocol = 8;  // RFC 8441, section 3
  static constexpr uint16_t kMostStreams = 3;      // RFC 9113, section 6.5.2
  static constexpr uint16_t kInitialWindow = 4;

  static std::string settings(std::initializer_list<std::pair<uint16_t, uint32_t>> values = {}) {
    std::string payload;
    for (auto [name, value] : values) payload += h2::number(name, 2) + h2::number(value, 4);
    return h2::frame(h2::kSettings, 0, 0, payload);
  }
  static std::string head(int32_t stream, std::string status, bool end = false, h2::FieldList fields = {}) {
    fields.insert(fields.begin(), {":status", std::move(status)});
    return h2::headers(stream, fields, end);
  }
  static std::string answer(int32_t stream, std::string_view body) {
    return head(stream, "200") + h2::data(stream, body, true);
  }
  static std::string goaway(int32_t last, uint32_t code = 0) {
    return h2::frame(h2::kGoaway, 0, 0, h2::number(static_cast<uint64_t>(last), 4) + h2::number(code, 4));
  }

  /// `config` of the upstream, behind `protocol: h2c`.
  void start_h2c(std::string_view config = {}, std::initializer_list<int> ports = {9000}) {
    std::string all = "protocol: h2c";
    if (!config.empty()) all.append(", ").append(config);
    start(proxying(ports, all));
  }
  /// A client whose request has been sent and has reached the target's connection `number`.
  gateway::testing::Client& request_on(size_t number, std::string text) {
    gateway::testing::Client& client = clients_.emplace_back(world, client_loop, address);
    client.send(std::move(text));
    EXPECT_TRUE(upstream.await_connections(number + 1));
    world.run_for(10ms);
    return client;
  }
  /// What came on the target's connection `number`.
  h2::FrameReader& frames(size_t number = 0) {
    while (readers_.size() <= number)
      readers_.emplace_back(upstream.peer(readers_.size()).received, h2::kMagic.size());
    return readers_[number];
  }
  void say(std::string bytes, size_t number = 0) {
    upstream.peer(number).send(std::move(bytes));
    world.run_for(10ms);
  }

  ScriptedUpstream upstream{world, upstream_loop, target(9000)};
  std::deque<gateway::testing::Client> clients_;
  std::deque<h2::FrameReader> readers_;
};

}  // namespace sluice::handlers::testing
