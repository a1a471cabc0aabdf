// What becomes of gRPC calls on their way through (gRPC over HTTP/2; the rules are the same on HTTP/1.1,
// which is what the scripted upstreams speak).
#include <fmt/format.h>

#include "handlers/handler_test_fixture.h"
#include "http/grpc_frame.h"

namespace sluice::handlers::testing {
namespace {

std::string framed(std::string_view message) {
  auto prefix = http::grpc_prefix(static_cast<uint32_t>(message.size()));
  return std::string(prefix.data(), prefix.size()).append(message);
}

std::string chunk(std::string_view bytes) { return fmt::format("{:x}\r\n{}\r\n", bytes.size(), bytes); }

constexpr std::string_view kHead =
    "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n";
constexpr std::string_view kOk = "0\r\ngrpc-status: 0\r\n\r\n";

/// An answer that is a status alone.
std::string status_alone(std::string_view status, std::string_view more = {}) {
  return fmt::format(
      "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\ngrpc-status: {}\r\n{}Content-Length: 0\r\n\r\n",
      status, more);
}

class GrpcCallTest : public HandlerTest {
 protected:
  static std::string call(std::string_view body, std::string_view fields = {},
                          std::string_view path = "/shop.Books/Get") {
    return request("POST", path,
                   fmt::format("Content-Type: application/grpc\r\n{}Content-Length: {}\r\n", fields,
                               body.size())) +
           std::string(body);
  }
  /// A call whose request does not end.
  static std::string open_call(std::string_view fields = {}) {
    return request("POST", "/shop.Books/Watch",
                   fmt::format("Content-Type: application/grpc\r\n{}Transfer-Encoding: chunked\r\n", fields));
  }
  std::string calls(std::string_view status, std::string_view api = "a", std::string_view route = "*") {
    return metric(fmt::format("sluice_grpc_requests_total{{api=\"{}\",route=\"{}\",grpc_status=\"{}\"}}", api,
                              route, status));
  }
  static bool whole(const UpstreamPeer& peer, std::string_view end) { return peer.received.ends_with(end); }
};

void expect_status(const Answer& answer, std::string_view status, std::string_view message) {
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("content-type"), "application/grpc");
  EXPECT_EQ(answer.field("grpc-status"), status);
  EXPECT_EQ(answer.field("grpc-message"), message);
  EXPECT_EQ(answer.body, "");
}

// Contract, section 3 "Errors".
TEST_F(GrpcCallTest, RefusalsOfOursAreStatusesOfTheCall) {
  start(proxying({9000}, "retry: { attempts: 1 }",
                 "path: /shop.Books, limits: { request_body: 10B }, policies: [ { api_key: {} } ]") +
        "consumers: { anna: { credentials: [ { api_key: k } ] } }\n");
  expect_status(ask(call(framed(""), {}, "/other/M")), "12", "No route matches this request.");
  EXPECT_EQ(ask(call(framed(""))).field("grpc-status"), "16");
  EXPECT_EQ(ask(call(framed("123456"), "X-API-Key: k\r\n")).field("grpc-status"), "8");
  expect_status(ask(call(framed(""), "X-API-Key: k\r\n")), "14", "The upstream refused the connection.");
  EXPECT_EQ(calls("unimplemented", "", ""), "1");
  EXPECT_EQ(calls("unauthenticated"), "1");
  EXPECT_EQ(calls("resource_exhausted"), "1");
  EXPECT_EQ(calls("unavailable"), "1");
  EXPECT_NE(access_log().find("\"status\":200,\"grpc_status\":14,\"error_by\":\"upstream\",\"error_code\":"
                              "\"upstream_refused\""),
            std::string::npos)
      << access_log();
}

TEST_F(GrpcCallTest, OtherRequestsGetProblems) {
  start(proxying({9000}, "retry: { attempts: 1 }"));
  for (std::string_view type : {"application/json", "application/grpc-web", "application/grpcx"}) {
    Answer answer = ask(request("POST", "/", fmt::format("Content-Type: {}\r\n", type)));
    EXPECT_EQ(answer.status, 502) << type;
    EXPECT_EQ(answer.code(), "upstream_refused");
  }
  EXPECT_EQ(get("/", "Content-Type: application/grpc\r\n").status, 502) << "calls are POST";
  // Where framing is in doubt the connection ends with a plain 400.
  Answer answer = ask(request("POST", "/", "Content-Type: application/grpc\r\nContent-Length: 1, 2\r\n"));
  EXPECT_EQ(answer.status, 400);
}

TEST_F(GrpcCallTest, TheStatusOfTheServiceIsCountedAndLogged) {
  start(proxying({9000}));
  std::string raw = std::string(kHead) + chunk(framed("x")) + std::string(kOk);
  ScriptedUpstream upstream(world, upstream_loop, target(9000), [&](UpstreamPeer& peer) {
    if (whole(peer, framed("q"))) peer.send(raw);
  });
  EXPECT_EQ(ask(call(framed("q"))).body, framed("x"));
  EXPECT_NE(upstream.peer(0).received.find("\r\nTE: trailers\r\n"), std::string::npos);
  raw = std::string(kHead) + chunk(framed("x")) + "0\r\ngrpc-status: 5\r\n\r\n";
  ask(call(framed("q")));
  raw = status_alone("7");
  EXPECT_EQ(ask(call(framed("q"))).field("grpc-status"), "7");
  raw = std::string(kHead) + chunk(framed("x")) + "0\r\n\r\n";
  ask(call(framed("q")));
  EXPECT_EQ(calls("ok"), "1");
  EXPECT_EQ(calls("not_found"), "1");
  EXPECT_EQ(calls("permission_denied"), "1");
  EXPECT_EQ(calls("unknown"), "1") << "no status at all";
  EXPECT_NE(access_log().find("\"grpc_status\":5,"), std::string::npos);
}

// grpc/doc/http-grpc-status-mapping.md
TEST_F(GrpcCallTest, AnAnswerThatIsNoGrpcIsAStatusToo) {
  start(proxying({9000}));
  std::string raw;
  ScriptedUpstream upstream(world, upstream_loop, target(9000), [&](UpstreamPeer& peer) {
    if (whole(peer, framed("q"))) peer.send(raw);
  });
  for (auto [http, grpc] : {std::pair{"404 Not Found", "12"},
                            {"503 Service Unavailable", "14"},
                            {"400 Bad Request", "13"},
                            {"200 OK", "2"}}) {
    raw = fmt::format("HTTP/1.1 {}\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>", http);
    Answer answer = ask(call(framed("q")));
    expect_status(answer, grpc,
                  fmt::format("The upstream answered with the HTTP status {:.3}, and not gRPC.",
                              std::string_view(http)));
  }
  EXPECT_EQ(calls("unimplemented"), "1");
  raw = "HTTP/1.1 404 Not Found\r\nContent-Length: 1\r\n\r\nx";
  Answer plain = ask(request("POST", "/", "Content-Length: 6\r\n") + framed("q"));
  EXPECT_EQ(plain.status, 404) << "who speaks HTTP gets it as it is";
  EXPECT_EQ(plain.body, "x");
}

TEST_F(GrpcCallTest, TheCallersTimeoutIsTheDeadlineAndTheUpstreamHearsWhatIsLeft) {
  start(proxying({9000}, {}, "timeouts: { total: 5s }"));
  ScriptedUpstream silent(world, upstream_loop, target(9000));
  struct Case {
    std::string_view field;
    Duration ends;
    std::string_view forwarded;
  };
  for (const Case& each : {Case{"grpc-timeout: 2S\r\n", 2s, "2000000u"},
                           Case{"grpc-timeout: 1H\r\n", 5s, "5000000u"}, Case{"", 5s, "5000000u"}}) {
    Instant began = world.now();
    Answer answer = ask(call(framed("q"), each.field));
    EXPECT_EQ(world.now() - began, each.ends) << each.field;
    expect_status(answer, "4", "The exchange took longer than allowed.");
    const std::string& seen = silent.peer(silent.connections() - 1).received;
    EXPECT_NE(seen.find(fmt::format("\r\ngrpc-timeout: {}\r\n", each.forwarded)), std::string::npos) << seen;
    world.run_for(1ms);
    EXPECT_NE(silent.peer(silent.connections() - 1).state, UpstreamPeer::State::kOpen) << "it is cancelled";
  }
  EXPECT_EQ(calls("deadline_exceeded"), "3");
  expect_status(ask(call("", "grpc-timeout: soon\r\n")), "3", "`grpc-timeout` is not a number with a unit.");
}

TEST_F(GrpcCallTest, ADeadlineThatPassesInAStreamEndsItWithTrailers) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000), [](UpstreamPeer& peer) {
    if (peer.received.ends_with("\r\n\r\n")) peer.send(std::string(kHead) + chunk(framed("x")));
  });
  Client client(world, client_loop, address);
  Instant began = world.now();
  client.send(open_call("grpc-timeout: 3S\r\n"));
  Answer answer = client.await_answer();
  EXPECT_EQ(world.now() - began, 3s);
  EXPECT_EQ(answer.body, framed("x"));
  EXPECT_TRUE(client.raw().received.ends_with(
      "0\r\ngrpc-status: 4\r\ngrpc-message: The exchange took longer than allowed.\r\n\r\n"))
      << client.raw().received;
  world.run_for(1ms);
  EXPECT_EQ(calls("deadline_exceeded"), "1");
  EXPECT_NE(upstream.peer(0).state, UpstreamPeer::State::kOpen);
}

// A request that is a stream may pause, other than an upload.
TEST_F(GrpcCallTest, AStreamIsIdleWhenNeitherSideSpeaks) {
  start(
      "version: 1\ngateway: { listen: [ { name: plain, address: 127.0.0.1:80 } ], timeouts: { stream_idle: "
      "30s } }\n"
      "upstreams: { u: { targets: [ \"http://127.0.0.1:9000\" ] } }\napis: { a: { upstream: u } }\n");
  ScriptedUpstream upstream(world, upstream_loop, target(9000), [](UpstreamPeer& peer) {
    if (peer.received.ends_with("\r\n\r\n")) peer.send(std::string(kHead));
  });
  Client client(world, client_loop, address);
  client.send(open_call());
  ASSERT_TRUE(upstream.await_heads(0, 1));
  for (int i = 0; i < 5; ++i) {
    world.run_for(20s);
    upstream.peer(0).send(chunk(framed("x")));
  }
  world.run_for(20s);
  EXPECT_FALSE(client.ended());
  world.run_for(60s);
  EXPECT_TRUE(client.ended());
}

TEST_F(GrpcCallTest, AStreamThatBreaksOffEndsWithTrailers) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000), [](UpstreamPeer& peer) {
    if (!whole(peer, framed("q"))) return;
    peer.send(std::string(kHead) + chunk(framed("x")));
    peer.end();
  });
  Client client(world, client_loop, address);
  EXPECT_EQ(client.ask(call(framed("q"))).body, framed("x"));
  EXPECT_NE(client.raw().received.find("\r\ngrpc-status: 14\r\n"), std::string::npos);
  EXPECT_EQ(calls("unavailable"), "1");
  EXPECT_NE(access_log().find("\"error_by\":\"upstream\",\"error_code\":\"upstream_truncated\""),
            std::string::npos)
      << access_log();
}

TEST_F(GrpcCallTest, MessagesAreBoundedAndStreamsOfThemAreNot) {
  start(proxying({9000}, {}, "limits: { request_body: 20B, grpc_message: 10B }"));
  std::string answer_body = chunk(framed("ok"));
  ScriptedUpstream upstream(world, upstream_loop, target(9000), [&](UpstreamPeer& peer) {
    if (whole(peer, framed("last")) || whole(peer, "0\r\n\r\n"))
      peer.send(std::string(kHead) + answer_body + std::string(kOk));
  });
  std::string many;
  for (int i = 0; i < 10; ++i) many += framed("0123456789");
  EXPECT_EQ(ask(call(many + framed("last"))).body, framed("ok"));
  Answer refused = ask(call(framed("0123456789a")));
  expect_status(refused, "8", "A gRPC message is larger than allowed.");

  Client client(world, client_loop, address);
  answer_body = chunk(framed("ok")) + chunk(framed("0123456789a"));
  EXPECT_EQ(client.ask(call(framed("last"))).body, framed("ok"));
  EXPECT_NE(client.raw().received.find("\r\ngrpc-status: 8\r\n"), std::string::npos);
  EXPECT_EQ(metric("sluice_limit_hits_total{limit=\"grpc_message\"}"), "2");
  EXPECT_EQ(calls("resource_exhausted"), "2");
  // Other requests keep their bound.
  EXPECT_EQ(ask(request("POST", "/", "Content-Length: 21\r\n")).status, 413);
}

TEST_F(GrpcCallTest, ChosenStatusesAreTriedAgainWithTheSameRequest) {
  start(proxying({9000, 9001}, "retry: { attempts: 2, on: [unavailable] }"));
  std::string first;  // empty: it closes the connection
  ScriptedUpstream bad(world, upstream_loop, target(9000), [&](UpstreamPeer& peer) {
    if (!whole(peer, framed("q"))) return;
    if (first.empty())
      peer.close();
    else
      peer.send(first);
  });
  ScriptedUpstream good(world, upstream_loop, target(9001), [](UpstreamPeer& peer) {
    if (whole(peer, framed("q"))) peer.send(std::string(kHead) + chunk(framed("x")) + std::string(kOk));
  });
  struct Case {
    std::string first;
    std::string_view reason, count;
  };
  for (const Case& each : {Case{status_alone("14"), "status", "1"},
                           Case{"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", "status", "2"},
                           Case{"", "stale_connection", "1"}}) {
    first = each.first;
    EXPECT_EQ(ask(call(framed("q"))).body, framed("x")) << first;
    EXPECT_EQ(retries(each.reason), each.count) << first;
  }
}

TEST_F(GrpcCallTest, AHeadThatTakesTooLongIsTriedAgainWhereThatIsChosen) {
  start(proxying({9000, 9001},
                 "timeouts: { response_head: 3s }, retry: { attempts: 2, on: [deadline_exceeded] }"));
  ScriptedUpstream silent(world, upstream_loop, target(9000));
  ScriptedUpstream good(world, upstream_loop, target(9001), [](UpstreamPeer& peer) {
    if (whole(peer, framed("q"))) peer.send(std::string(kHead) + chunk(framed("x")) + std::string(kOk));
  });
  Instant began = world.now();
  EXPECT_EQ(ask(call(framed("q"), "grpc-timeout: 4S\r\n")).body, framed("x"));
  EXPECT_EQ(world.now() - began, 3s);
  EXPECT_NE(good.peer(0).received.find("\r\ngrpc-timeout: 1000000u\r\n"), std::string::npos)
      << "what is left by then";
  EXPECT_EQ(retries("timeout"), "1");
}

TEST_F(GrpcCallTest, OtherStatusesAndAnswersThatHaveBegunAreNotTriedAgain) {
  start(proxying({9000}, "retry: { attempts: 3, on: [unavailable] }"));
  std::string raw = status_alone("8");
  ScriptedUpstream upstream(world, upstream_loop, target(9000), [&](UpstreamPeer& peer) {
    if (whole(peer, framed("q"))) peer.send(raw);
  });
  EXPECT_EQ(ask(call(framed("q"))).field("grpc-status"), "8");
  raw = std::string(kHead) + chunk(framed("x")) + "0\r\ngrpc-status: 14\r\n\r\n";
  EXPECT_EQ(ask(call(framed("q"))).body, framed("x"));
  EXPECT_EQ(retries("status"), "");
  EXPECT_EQ(tries("2xx"), "2");
}

TEST_F(GrpcCallTest, ARequestThatIsTooLargeToKeepIsNotTriedAgain) {
  start(proxying({9000}, "retry: { attempts: 3, on: [unavailable] }"));
  std::string large = framed(std::string(70'000, 'x'));
  ScriptedUpstream upstream(world, upstream_loop, target(9000), [&](UpstreamPeer& peer) {
    if (whole(peer, large)) peer.send(status_alone("14"));
  });
  EXPECT_EQ(ask(call(large)).field("grpc-status"), "14");
  EXPECT_EQ(tries("2xx"), "1");
  EXPECT_EQ(metric("sluice_limit_hits_total{limit=\"grpc_retry_request\"}"), "1");
}

}  // namespace
}  // namespace sluice::handlers::testing
