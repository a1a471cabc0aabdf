// What a proxied exchange looks like from both sides when all goes well.
#include "handlers/handler_test_fixture.h"

namespace sluice::handlers::testing {
namespace {

class ProxyTest : public HandlerTest {
 protected:
  /// Asks the only target, which answers with `raw`.
  Answer relayed(std::string raw, std::string_view method = "GET") {
    ScriptedUpstream upstream(world, upstream_loop, target(9000), [&](UpstreamPeer& peer) {
      if (peer.received.ends_with("\r\n\r\n")) peer.send(raw);
    });
    return ask(request(method, "/"));
  }
};

// Contract, section 3 "Forwarding".
TEST_F(ProxyTest, SaysWhichWayTheMessageTook) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000), ScriptedUpstream::answering("hello"));
  Answer answer = get("/p?q=1",
                      "User-Agent: t\r\nX-Forwarded-For: 1.2.3.4\r\nX-Consumer-Id: root\r\nConnection: "
                      "X-Hop\r\nX-Hop: 1\r\n");
  EXPECT_EQ(upstream.peer(0).received,
            "GET /p?q=1 HTTP/1.1\r\nHost: a.test\r\nUser-Agent: t\r\nX-Forwarded-For: 127.0.0.1\r\n"
            "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a.test\r\nVia: 1.1 sluice\r\n\r\n");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, "hello");
  EXPECT_EQ(answer.field("Via"), "1.1 sluice");
  EXPECT_FALSE(answer.field("Date").empty()) << "added when missing";
  EXPECT_EQ(tries("2xx"), "1");
}

TEST_F(ProxyTest, AppendsToWhatATrustedProxySays) {
  start(proxying({9000}));
  client_loop.set_source(*io::Address::parse_ip("10.0.0.1"));
  ScriptedUpstream upstream(world, upstream_loop, target(9000), ScriptedUpstream::answering(""));
  get("/",
      "X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 1.1.1.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: "
      "b.test\r\nVia: 1.0 fred\r\n");
  const std::string& seen = upstream.peer(0).received;
  EXPECT_NE(seen.find("\r\nX-Forwarded-For: 1.1.1.1, 1.1.1.2, 10.0.0.1\r\n"), std::string::npos) << seen;
  EXPECT_NE(seen.find("\r\nX-Forwarded-Proto: https\r\n"), std::string::npos) << seen;
  EXPECT_NE(seen.find("\r\nX-Forwarded-Host: b.test\r\n"), std::string::npos) << seen;
  EXPECT_NE(seen.find("\r\nVia: 1.0 fred, 1.1 sluice\r\n"), std::string::npos) << seen;
}

TEST_F(ProxyTest, NamesTheConsumerAndHidesItsKey) {
  start(proxying({9000}, {}, "policies: [ { api_key: {} } ]") +
        "consumers: { anna: { groups: [g, h], credentials: [ { api_key: k } ] } }\n");
  ScriptedUpstream upstream(world, upstream_loop, target(9000), ScriptedUpstream::answering(""));
  EXPECT_EQ(get("/", "X-API-Key: k\r\nX-Consumer-Groups: root\r\n").status, 200);
  const std::string& seen = upstream.peer(0).received;
  EXPECT_NE(seen.find("\r\nX-Consumer-Id: anna\r\nX-Consumer-Groups: g, h\r\n"), std::string::npos) << seen;
  EXPECT_EQ(seen.find("root"), std::string::npos) << seen;
  EXPECT_EQ(seen.find("X-API-Key"), std::string::npos) << seen;
}

TEST_F(ProxyTest, SendsTheHostThatTheUpstreamWants) {
  struct Case {
    std::string_view host, seen;
  };
  bool started = false;
  for (const Case& each :
       {Case{"received", "a.test"}, Case{"target", "127.0.0.1:9000"}, Case{"own.test", "own.test"}}) {
    std::string document = proxying({9000}, "host: " + std::string(each.host));
    if (std::exchange(started, true))
      reload(document);
    else
      start(document);
    ScriptedUpstream upstream(world, upstream_loop, target(9000), ScriptedUpstream::answering(""));
    get("/");
    EXPECT_NE(upstream.peer(0).received.find("\r\nHost: " + std::string(each.seen) + "\r\n"),
              std::string::npos)
        << each.host;
  }
}

// RFC 9112, section 3.2: HTTP/1.1 has a Host, also when the client's HTTP/1.0 had none.
TEST_F(ProxyTest, MakesAHostForHttp10) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000), ScriptedUpstream::answering("x"));
  Answer answer = ask("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(answer.body, "x");
  EXPECT_TRUE(upstream.peer(0).received.starts_with("GET / HTTP/1.1\r\nHost: 127.0.0.1:9000\r\n"));
  EXPECT_NE(upstream.peer(0).received.find("\r\nVia: 1.0 sluice\r\n"), std::string::npos);
}

TEST_F(ProxyTest, PutsTheBasePathBefore) {
  start(
      "version: 1\ngateway: { listen: [ { name: plain, address: 127.0.0.1:80 } ] }\n"
      "upstreams: { u: { targets: [ \"http://127.0.0.1:9000/base/\" ] } }\napis: { a: { path: /api, "
      "strip_path: true, upstream: u } }\n");
  ScriptedUpstream upstream(world, upstream_loop, target(9000), ScriptedUpstream::answering(""));
  get("/api/x?q");
  EXPECT_TRUE(upstream.peer(0).received.starts_with("GET /base/x?q HTTP/1.1\r\n"))
      << upstream.peer(0).received;
}

TEST_F(ProxyTest, UsesAConnectionAgain) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000), ScriptedUpstream::answering("x"));
  for (int i = 0; i < 3; ++i) EXPECT_EQ(get("/").body, "x");
  EXPECT_EQ(upstream.connections(), 1u);
  EXPECT_EQ(upstream.requests(), 3u);
  EXPECT_EQ(metric("sluice_upstream_connections{upstream=\"u\",state=\"idle\"}"), "1");
}

TEST_F(ProxyTest, DoesNotUseAgainWhatTheTargetWantsToEnd) {
  start(proxying({9000}));
  for (std::string_view raw : {
           "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
           "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
           "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\n\r\n",
       }) {
    ScriptedUpstream upstream(world, upstream_loop, target(9000), [&](UpstreamPeer& peer) {
      if (peer.received.ends_with("\r\n\r\n")) peer.send(std::string(raw));
    });
    for (int i = 0; i < 2; ++i) EXPECT_EQ(get("/").body, "x") << raw;
    EXPECT_EQ(upstream.connections(), 2u) << raw;
  }
}

TEST_F(ProxyTest, RelaysBodiesHoweverTheyAreFramed) {
  start(proxying({9000}));
  EXPECT_EQ(relayed("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc").field("Content-Length"), "3");
  Answer chunked =
      relayed("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x=y\r\nbc\r\n0\r\n\r\n");
  EXPECT_EQ(chunked.body, "abc");
  EXPECT_EQ(chunked.field("Transfer-Encoding"), "chunked");
  EXPECT_EQ(relayed("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").body, "");
}

// RFC 9110, sections 9.3.2, 15.3.5 and 15.4.5: no body, whatever the fields say.
TEST_F(ProxyTest, RelaysAnswersWithoutABody) {
  start(proxying({9000}));
  Answer head = relayed("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", "HEAD");
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.field("Content-Length"), "1000");
  EXPECT_EQ(relayed("HTTP/1.1 204 No Content\r\n\r\n").status, 204);
  Answer fresh = relayed("HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 1000\r\n\r\n");
  EXPECT_EQ(fresh.status, 304);
  EXPECT_EQ(fresh.field("ETag"), "\"x\"");
}

// RFC 9112, section 6.3: a body without a length ends with the connection, and chunks tell the client so.
TEST_F(ProxyTest, ABodyUntilTheEndBecomesChunks) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000));
  Client client(world, client_loop, address);
  client.send(request("GET", "/"));
  ASSERT_TRUE(upstream.await_heads(0, 1));
  upstream.peer(0).send("HTTP/1.1 200 OK\r\n\r\nabc");
  world.run_for(1ms);
  EXPECT_TRUE(client.rest().ends_with("3\r\nabc\r\n")) << "what is there is not kept back";
  upstream.peer(0).send("de");
  upstream.peer(0).end();
  EXPECT_EQ(client.await_answer().body, "abcde");
  world.run_for(1ms);
  EXPECT_EQ(upstream.peer(0).state, UpstreamPeer::State::kEnded);
}

TEST_F(ProxyTest, RelaysTrailersAndTeAnew) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000), [](UpstreamPeer& peer) {
    peer.send(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n1\r\na\r\n0\r\nX-Sum: "
        "1\r\nContent-Length: 5\r\n\r\n");
  });
  Client client(world, client_loop, address);
  client.send(request("GET", "/", "TE: trailers, gzip\r\nConnection: TE\r\n"));
  world.run_for(1ms);
  EXPECT_TRUE(client.rest().ends_with("1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")) << client.rest();
  EXPECT_NE(upstream.peer(0).received.find("\r\nTE: trailers\r\n"), std::string::npos);
  client.await_answer();
}

TEST_F(ProxyTest, RelaysTheRequestsBody) {
  start(proxying({9000}));
  for (bool chunked : {false, true}) {
    ScriptedUpstream upstream(world, upstream_loop, target(9000), [&](UpstreamPeer& peer) {
      if (peer.received.ends_with(chunked ? "\r\n0\r\n\r\n" : "\r\n\r\nhello")) peer.ok("got it");
    });
    std::string body = chunked ? "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n" : "hello";
    Answer answer = ask(
        request("POST", "/", chunked ? "Transfer-Encoding: chunked\r\n" : "Content-Length: 5\r\n") + body);
    EXPECT_EQ(answer.body, "got it");
    const std::string& seen = upstream.peer(0).received;
    EXPECT_NE(seen.find(chunked ? "\r\nTransfer-Encoding: chunked\r\n" : "\r\nContent-Length: 5\r\n"),
              std::string::npos)
        << seen;
  }
}

TEST_F(ProxyTest, ConnectionsOfAnUploadAreUsedAgain) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000), [](UpstreamPeer& peer) {
    if (peer.received.ends_with("hello")) peer.ok("x");
  });
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(ask(request("POST", "/", "Content-Length: 5\r\n") + "hello").status, 200);
  EXPECT_EQ(upstream.connections(), 1u);
}

TEST_F(ProxyTest, SpreadsRequestsByWeight) {
  start(
      "version: 1\ngateway: { listen: [ { name: plain, address: 127.0.0.1:80 } ] }\n"
      "upstreams: { u: { targets: [ http://127.0.0.1:9000, { url: \"http://127.0.0.1:9001\", weight: 3 } ] "
      "}, v: { targets: [ http://127.0.0.1:9002 ] } }\n"
      "apis: { a: { split: [ { upstream: u, weight: 2 }, { upstream: v, weight: 1 } ] } }\n");
  ScriptedUpstream one(world, upstream_loop, target(9000), ScriptedUpstream::answering(""));
  ScriptedUpstream two(world, upstream_loop, target(9001), ScriptedUpstream::answering(""));
  ScriptedUpstream three(world, upstream_loop, target(9002), ScriptedUpstream::answering(""));
  for (int i = 0; i < 12; ++i) EXPECT_EQ(get("/").status, 200);
  EXPECT_EQ(one.requests(), 2u);
  EXPECT_EQ(two.requests(), 6u);
  EXPECT_EQ(three.requests(), 4u);
}

TEST_F(ProxyTest, PassesInterimResponses) {
  start(proxying({9000}));
  ScriptedUpstream upstream(world, upstream_loop, target(9000), [](UpstreamPeer& peer) {
    peer.send(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 "
        "OK\r\nContent-Length: 1\r\n\r\nx");
  });
  Client client(world, client_loop, address);
  EXPECT_EQ(client.ask(request("GET", "/")).body, "x");
  ASSERT_EQ(client.interim.size(), 1u) << "100 goes to who asked for it only";
  EXPECT_EQ(client.interim[0].status, 103);
  EXPECT_EQ(client.interim[0].field("Link"), "</a>");
}

TEST_F(ProxyTest, LogsTheTry) {
  start(proxying({9000}));
  {
    ScriptedUpstream upstream(world, upstream_loop, target(9000));
    Client client(world, client_loop, address);
    client.send(request("GET", "/p"));
    ASSERT_TRUE(upstream.await_heads(0, 1));
    world.run_for(250ms);
    upstream.peer(0).ok("x");
    client.await_answer();
  }
  std::string line = access_log();
  for (std::string_view part : {"\"upstream\":\"u\"", "\"target\":\"127.0.0.1:9000\"", "\"tries\":1",
                                "\"status\":200", "\"upstream_seconds\":0.25"})
    EXPECT_NE(line.find(part), std::string::npos) << part << line;
}

}  // namespace
}  // namespace sluice::handlers::testing
