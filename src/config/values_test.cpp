#include "config/values.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sluice::config {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

TEST(Values, DurationsHaveUnits) {
  const std::pair<std::string_view, Duration> kGood[] = {{"0s", 0s},       {"150ms", 150ms}, {"2s", 2s},
                                                         {"5m", 5min},     {"1h", 1h},       {"1d", 24h},
                                                         {"1h30m", 90min}, {"250us", 250us}, {"7ns", 7ns}};
  for (const auto& [text, value] : kGood) EXPECT_EQ(parse_duration(text).value(), value) << text;
  for (std::string_view text :
       {"", "5", "s", "1x", "1.5s", "-1s", "1s ", "99999999999999999999s", "40000d", "1h30"})
    EXPECT_FALSE(parse_duration(text)) << text;
  EXPECT_THAT(parse_duration("5").error(), HasSubstr("needs a unit"));
}

TEST(Values, SizesArePowersOfTwoOrTen) {
  const std::pair<std::string_view, uint64_t> kGood[] = {
      {"0", 0},  {"512", 512},     {"64KiB", 65536},    {"1MiB", 1 << 20},
      {"1B", 1}, {"1MB", 1000000}, {"2GiB", 2ULL << 30}};
  for (const auto& [text, value] : kGood) EXPECT_EQ(parse_byte_size(text).value().bytes, value) << text;
  for (std::string_view text : {"", "KiB", "1 KiB", "1K", "-1", "1.5MiB", "99999999999TiB"})
    EXPECT_FALSE(parse_byte_size(text)) << text;
}

TEST(Values, RatesAreACountInAPeriod) {
  EXPECT_EQ(parse_rate("100/1m").value(), (Rate{100, 1min}));
  EXPECT_EQ(parse_rate("20/500ms").value(), (Rate{20, 500ms}));
  for (std::string_view text : {"100", "0/1m", "100/0s", "100/m", "/1m", "100/", "1.5/1m", "100/1us"})
    EXPECT_FALSE(parse_rate(text)) << text;
}

TEST(Values, ListenAddressesAreAnIpAndAPort) {
  EXPECT_EQ(parse_address("0.0.0.0:8080").value(), (Address{"0.0.0.0", 8080}));
  EXPECT_EQ(parse_address("[::1]:0").value(), (Address{"::1", 0}));
  for (std::string_view text : {"", "8080", ":8080", "0.0.0.0", "localhost:80", "1.2.3.4:65536", "::1:80",
                                "[1.2.3.4]:80", "1.2.3:80", "[::1]80"})
    EXPECT_FALSE(parse_address(text)) << text;
}

TEST(Values, ANetworkContainsWhatSharesItsPrefix) {
  struct {
    std::string_view network, address;
    bool inside;
  } kCases[] = {{"10.0.0.0/8", "10.255.1.2", true},
                {"10.0.0.0/8", "11.0.0.0", false},
                {"192.168.4.0/22", "192.168.7.9", true},
                {"192.168.4.0/22", "192.168.8.0", false},
                {"1.2.3.4", "1.2.3.4", true},
                {"0.0.0.0/0", "9.9.9.9", true},
                {"0.0.0.0/0", "2001:db8::1", false},
                {"2001:db8::/33", "2001:db8:7fff::", true},
                {"2001:db8::/33", "2001:db8:8000::", false},
                {"::/0", "1.2.3.4", true},
                {"10.0.0.0/8", "::ffff:10.1.1.1", true}};
  for (const auto& [network, address, inside] : kCases)
    EXPECT_EQ(parse_ip_prefix(network).value().contains(parse_ip(address).value()), inside)
        << network << " " << address;
  EXPECT_THAT(parse_ip_prefix("10.0.0.1/8").error(), HasSubstr("did you mean `10.0.0.0/8`?"));
  for (std::string_view text : {"", "10.0.0.0/33", "10.0.0.0/", "x/8", "10.0.0/8", "::/129", "10.0.0.0/-1"})
    EXPECT_FALSE(parse_ip_prefix(text)) << text;
}

TEST(Values, TargetsAreHttpUrls) {
  EXPECT_EQ(parse_target_url("http://127.0.0.1:7001").value(), (TargetUrl{"127.0.0.1", 7001, ""}));
  EXPECT_EQ(parse_target_url("http://Users.local").value(), (TargetUrl{"users.local", 80, ""}));
  EXPECT_EQ(parse_target_url("http://h:1/base/x/").value(), (TargetUrl{"h", 1, "/base/x"}));
  EXPECT_EQ(parse_target_url("http://[::1]:9/").value(), (TargetUrl{"::1", 9, ""}));
  EXPECT_EQ(parse_target_url("https://h").value(), (TargetUrl{"h", 443, "", TargetScheme::kHttps}));
  EXPECT_EQ(to_text(parse_target_url("https://h:1/x").value()), "https://h:1/x");
  for (std::string_view text : {"", "h:1", "ftp://h", "http://", "http://:80", "http://h:0", "http://h:x",
                                "http://h:", "http://u@h", "http://h?x", "http://h#x", "http://a b",
                                "http://h/a b", "http://[::1", "http://[h]:1", "http://::1:80"})
    EXPECT_FALSE(parse_target_url(text)) << text;
}

TEST(Values, ServicesHaveANameAndNoPort) {
  TargetUrl service{"_users._tcp.test", 0, "/base"};
  service.service = true;
  EXPECT_EQ(parse_target_url("http+srv://_users._tcp.Test/base/").value(), service);
  EXPECT_TRUE(parse_target_url("https+srv://users.service.consul").value().tls());
  EXPECT_TRUE(parse_target_url("udp+srv://dns.test").value().service);
  for (std::string_view text : {"http+srv://h:1", "http+srv://10.0.0.1", "http+srv://[::1]", "tcp+srv://h/x",
                                "srv://h", "http+srv:/h", "http+://h"})
    EXPECT_FALSE(parse_target_url(text)) << text;
}

TEST(Values, WhatIsWrittenIsReadAsTheSame) {
  for (std::string_view text : {"0s", "150ms", "90m", "1d", "7ns"})
    EXPECT_EQ(to_text(*parse_duration(text)), text);
  for (std::string_view text : {"0", "5", "64KiB", "1MiB", "1001"})
    EXPECT_EQ(to_text(*parse_byte_size(text)), text);
  EXPECT_EQ(to_text(*parse_rate("100/60s")), "100/1m");
  for (std::string_view text : {"0.0.0.0:80", "[::1]:8080"}) EXPECT_EQ(to_text(*parse_address(text)), text);
  for (std::string_view text : {"10.0.0.0/8", "2001:db8::/32", "1.2.3.4/32"})
    EXPECT_EQ(to_text(*parse_ip_prefix(text)), text);
  for (std::string_view text : {"http://h:80", "http://[::1]:1/x", "https+srv://_a._tcp.h/x"})
    EXPECT_EQ(to_text(*parse_target_url(text)), text);
}

}  // namespace
}  // namespace sluice::config
