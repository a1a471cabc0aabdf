// Expectations are from the contract, section 2, "Matching", unless a test says otherwise.
#include "gateway/router/root_router.h"

#include <gtest/gtest.h>

#include "gateway/router/router_fixture.h"

namespace sluice::gateway::testing {
namespace {

ApiEntry api(std::string name, std::string path, std::vector<std::string> hosts = {},
             std::vector<uint16_t> listeners = {}, std::vector<RouteSpec> routes = {route("")}) {
  return {{std::move(name), std::move(listeners), std::move(hosts), std::move(path)},
          *ApiRouter::build(routes)};
}

/// The name of the API that owns the request, or "".
std::string owner(const std::vector<ApiEntry>& apis, std::string host, std::string path,
                  uint16_t listener = 0) {
  auto root = RootRouter::build(apis);
  if (!root) return root.error()[0].message;
  TestRequest request("GET", std::move(path), std::move(host));
  Match match = (*root)->match(request.listener(listener).view());
  return match.outcome == Outcome::kNoApi ? "" : apis[match.api].spec.name;
}

// "an API's `path` is a prefix of whole segments".
TEST(RootRouter, ApiPathIsAPrefixOfWholeSegments) {
  const std::vector<ApiEntry> apis = {api("users", "/v1/users")};
  for (const char* path : {"/v1/users", "/v1/users/", "/v1/users/7/x"})
    EXPECT_EQ(owner(apis, "h", path), "users") << path;
  for (const char* path :
       {"/v1/users2", "/v1/user", "/v1", "/", "/v1/users%2F7", "/V1/users", "*", "", "/v1//users"})
    EXPECT_EQ(owner(apis, "h", path), "") << path;
}
TEST(RootRouter, TrailingSlashOfAnApiPathDoesNotCount) {
  EXPECT_EQ(owner({api("a", "/a/")}, "h", "/a"), "a");
  EXPECT_EQ(owner({api("a", "/")}, "h", "/"), "a");
  EXPECT_EQ(owner({api("a", "/")}, "h", "/x/y"), "a");
}
TEST(RootRouter, LongestPathOwnsTheRequest) {
  const std::vector<ApiEntry> apis = {api("all", "/"), api("a", "/a"), api("abc", "/a/b/c")};
  EXPECT_EQ(owner(apis, "h", "/a/b/c/d"), "abc");
  EXPECT_EQ(owner(apis, "h", "/a/b/x"), "a");
  EXPECT_EQ(owner(apis, "h", "/x"), "all");
}

// "Host: exact, then the longest `*.suffix` (any depth), then APIs without hosts".
TEST(RootRouter, MostSpecificHostWins) {
  const std::vector<ApiEntry> apis = {api("any", "/"), api("org", "/", {"*.org"}), api("x", "/", {"*.x.org"}),
                                      api("exact", "/", {"a.x.org", "B.x.org"})};
  EXPECT_EQ(owner(apis, "a.x.org", "/"), "exact");
  EXPECT_EQ(owner(apis, "b.x.org", "/"), "exact");
  EXPECT_EQ(owner(apis, "c.x.org", "/"), "x");
  EXPECT_EQ(owner(apis, "d.c.x.org", "/"), "x");
  EXPECT_EQ(owner(apis, "x.org", "/"), "org") << "`*.x.org` wants a label before it";
  EXPECT_EQ(owner(apis, "org", "/"), "any");
  EXPECT_EQ(owner(apis, "ax.org", "/"), "org");
  EXPECT_EQ(owner(apis, "", "/"), "any");
  EXPECT_EQ(owner(apis, "127.0.0.1", "/"), "any");
}
// RFC 3986, section 3.2.2: the dot of the root names the same host; so does any case (section 3.2.2).
TEST(RootRouter, RootDotNamesTheSameHost) {
  const std::vector<ApiEntry> apis = {api("any", "/"), api("exact", "/", {"A.org."})};
  EXPECT_EQ(owner(apis, "a.org.", "/"), "exact");
  EXPECT_EQ(owner(apis, "a.org", "/"), "exact");
}
TEST(RootRouter, HostComesBeforePathLength) {
  const std::vector<ApiEntry> apis = {api("exact", "/a", {"a.org"}), api("wild", "/a/b", {"*.org"}),
                                      api("any", "/a/b/c")};
  EXPECT_EQ(owner(apis, "a.org", "/a/b/c"), "exact");
  EXPECT_EQ(owner(apis, "b.org", "/a/b/c"), "wild");
}
// Candidates fit in host and path: a host without a fitting prefix has none.
TEST(RootRouter, HostWithoutFittingPathGivesWay) {
  const std::vector<ApiEntry> apis = {api("exact", "/a", {"a.org"}), api("wild", "/b", {"*.org"}),
                                      api("any", "/")};
  EXPECT_EQ(owner(apis, "a.org", "/b"), "wild");
  EXPECT_EQ(owner(apis, "a.org", "/c"), "any");
}
TEST(RootRouter, ListenerThatDoesNotFitGivesWay) {
  const std::vector<ApiEntry> apis = {api("one", "/a", {}, {1}), api("two", "/a", {}, {2, 3}),
                                      api("any", "/")};
  EXPECT_EQ(owner(apis, "h", "/a", 1), "one");
  EXPECT_EQ(owner(apis, "h", "/a", 3), "two");
  EXPECT_EQ(owner(apis, "h", "/a", 0), "any");
}

// "An API owns its path: if none of its routes fits, the answer is 404, or 405 [...], never another API's".
TEST(RootRouter, AnApiOwnsItsPath) {
  const std::vector<ApiEntry> apis = {api("all", "/"), api("a", "/a", {}, {}, {route("/x", {"POST"})})};
  auto root = *RootRouter::build(apis);
  EXPECT_EQ(answer(*root, "GET", "/a/y"), "404");
  EXPECT_EQ(answer(*root, "GET", "/a/x"), "405: POST");
  TestRequest request("GET", "/a/y");
  EXPECT_EQ(root->match(request.view()).api, 1u);
}

// "repeated slashes merged (`repeated_slash: keep | reject` per API)": the API is found by the merged path.
TEST(RootRouter, ApiThatKeepsRepeatedSlashesMatchesThem) {
  std::vector<RouteSpec> routes = {route("/x//y"), route("/x/y"), route("/{rest**}")};
  auto keeps = one_api(routes, "/v1/api", true);
  auto merges = one_api({route("/x/y"), route("/{rest**}")}, "/v1/api");
  struct Case {
    std::string unmerged, path, keeps, merges, rest;
  };
  const Case cases[] = {
      {"/v1/api/x//y", "/v1/api/x/y", "0", "0", ""},
      {"/v1/api/x/y", "/v1/api/x/y", "1", "0", ""},
      {"//v1//api/x//y", "/v1/api/x/y", "0", "0", ""},
      {"//v1//api/x/y", "/v1/api/x/y", "1", "0", ""},
      {"/v1/api//x/y", "/v1/api/x/y", "2", "0", "/x/y"},
      {"/v1/api//", "/v1/api/", "2", "1", "/"},
      {"/v1//api", "/v1/api", "2", "1", ""},
  };
  for (const Case& c : cases) {
    TestRequest request("GET", c.path);
    RequestView view = request.view();
    view.unmerged = c.unmerged;
    EXPECT_EQ(answer(*keeps, view), c.keeps) << c.unmerged;
    EXPECT_EQ(answer(*merges, view), c.merges) << c.unmerged;
    Match match = keeps->match(view);
    EXPECT_EQ(match.path, c.unmerged);
    if (c.keeps == "2") EXPECT_EQ(match.parameter(0), c.rest) << c.unmerged;
  }
}

TEST(RootRouter, ApisThatOwnTheSamePathAreAnError) {
  auto ties = [](ApiEntry a, ApiEntry b) {
    auto root = RootRouter::build(std::vector{std::move(a), std::move(b)});
    return !root && root.error().size() == 1 && root.error()[0].kind == BuildError::Kind::kTie &&
           root.error()[0].message.find("`a` and `b`") != std::string::npos;
  };
  EXPECT_TRUE(ties(api("a", "/x"), api("b", "/x/")));
  EXPECT_TRUE(ties(api("a", "/x"), api("b", "/%78")));
  EXPECT_TRUE(ties(api("a", "/x", {"a.org", "b.org"}), api("b", "/x", {"b.org", "A.org"})));
  EXPECT_TRUE(ties(api("a", "/x", {"*.org"}), api("b", "/x", {"*.ORG"})));
  EXPECT_TRUE(ties(api("a", "/x", {}, {1, 2}), api("b", "/x", {}, {2})));
  EXPECT_TRUE(ties(api("a", "/x", {}, {1}), api("b", "/x")));
  EXPECT_FALSE(ties(api("a", "/x", {}, {1}), api("b", "/x", {}, {2})));
  EXPECT_FALSE(ties(api("a", "/x", {"a.org"}), api("b", "/x", {"*.org"})));
  EXPECT_FALSE(ties(api("a", "/x", {"a.org"}), api("b", "/x")));
  EXPECT_FALSE(ties(api("a", "/x"), api("b", "/x/y")));
}
TEST(RootRouter, OneHostGivenTwiceIsNoError) {
  EXPECT_EQ(owner({api("a", "/", {"a.org", "A.ORG"})}, "a.org", "/"), "a");
}

TEST(RootRouter, RefusesHostsAndPathsThatCouldNeverMatch) {
  for (const char* host : {"", "*", "*.", "a.*", "*a.org", "a.org:80", "a/b", "a b", ".org", "a..org", "a@b",
                           "[::1", "\xc3\xa9.org"})
    EXPECT_FALSE(RootRouter::build(std::vector{api("a", "/", {host})})) << host;
  for (const char* path : {"", "a", "/{x}", "/a/**", "/../a", "/a b", "/%zz"})
    EXPECT_FALSE(RootRouter::build(std::vector{api("a", path)})) << path;
  EXPECT_EQ(owner({api("a", "/", {"[::1]"})}, "[::1]", "/"), "a");
}

// Hosts come from the peer: one of very many labels must not be hashed once a label.
TEST(RootRouter, HostOfManyLabelsIsCheap) {
  std::string host;
  for (int i = 0; i < 16'000; ++i) host += "a.";
  EXPECT_EQ(owner({api("wild", "/", {"*.a.a"})}, host + "a", "/"), "wild");
  EXPECT_EQ(owner({api("wild", "/", {"*.a.b"})}, host + "a", "/"), "");
}

TEST(RootRouter, ApiRoutersAreSharedNotCopied) {
  auto router = *ApiRouter::build(std::vector{route("")});
  std::vector<ApiEntry> apis = {{{"a", {}, {}, "/a"}, router}};
  auto first = *RootRouter::build(apis);
  apis.push_back(api("b", "/b"));
  auto second = *RootRouter::build(apis);
  EXPECT_EQ(first->api(0), second->api(0));
}

}  // namespace
}  // namespace sluice::gateway::testing
