#include "http/uri.h"

#include <gtest/gtest.h>

namespace sluice::http {
namespace {

TEST(Authority, HostAndPortAreTakenApart) {
  struct Case {
    std::string_view text, host;
    std::optional<uint16_t> port;
    Authority::Kind kind;
  };
  using enum Authority::Kind;
  for (const Case& each :
       {Case{"example.com", "example.com", {}, kName}, Case{"example.com.", "example.com.", {}, kName},
        Case{"a_b-c~d:8080", "a_b-c~d", 8080, kName}, Case{"example.com:", "example.com", {}, kName},
        Case{"127.0.0.1:80", "127.0.0.1", 80, kIpv4}, Case{"127.0.0.256", "127.0.0.256", {}, kName},
        Case{"[::1]", "::1", {}, kIpv6}, Case{"[2001:db8::1.2.3.4]:443", "2001:db8::1.2.3.4", 443, kIpv6}}) {
    auto authority = parse_authority(each.text);
    ASSERT_TRUE(authority) << each.text;
    EXPECT_EQ(authority->host, each.host);
    EXPECT_EQ(authority->port, each.port);
    EXPECT_EQ(authority->kind, each.kind);
  }
}

TEST(Authority, OddOnesAreRefused) {
  for (std::string_view text :
       {"",         ":80",     "a b",   "a/b",     "user@host",        "a,b",         "a:b",
        "a:0",      "a:65536", "a:+80", "a:80:80", "a%2ecom",          "..",          ".a",
        "a..b",     "[::1",    "::1",   "[::1]x",  "[fe80::1%25eth0]", "[127.0.0.1]", "a\\b",
        "\xc3\xa9", "a?b",     "a#b",   "a:000080"})
    EXPECT_FALSE(parse_authority(text)) << text;
  EXPECT_FALSE(parse_authority(std::string(300, 'a')));
}

TEST(Authority, HasOneForm) {
  Arena arena;
  EXPECT_EQ(normalise_authority("Example.COM:80", arena), "example.com:80");
  EXPECT_EQ(normalise_authority("example.com:", arena), "example.com");
  EXPECT_EQ(normalise_authority("[2001:DB8::A]:1", arena), "[2001:db8::a]:1");
  std::string_view plain = "example.com";
  EXPECT_EQ(normalise_authority(plain, arena).data(), plain.data());
}

TEST(TargetUrl, PartsAndDefaults) {
  auto url = parse_target_url("https://[::1]/base/");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->tls);
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->authority, "[::1]");
  EXPECT_EQ(url->port, 443);
  EXPECT_EQ(url->base_path, "/base");
  url = parse_target_url("http://127.0.0.1:7001");
  ASSERT_TRUE(url);
  EXPECT_FALSE(url->tls);
  EXPECT_EQ(url->port, 7001);
  EXPECT_EQ(url->base_path, "");
  EXPECT_EQ(url->host_kind, Authority::Kind::kIpv4);
}

TEST(TargetUrl, SaysWhatIsWrong) {
  for (std::string_view url : {"", "ftp://a", "http://", "http://a:b", "http://u:p@a", "http://a/b?c",
                               "http://a/b#c", "http://a b", "http://a/\xc3", "127.0.0.1:80"}) {
    auto result = parse_target_url(url);
    ASSERT_FALSE(result) << url;
    EXPECT_FALSE(result.error().empty());
  }
}

}  // namespace
}  // namespace sluice::http
