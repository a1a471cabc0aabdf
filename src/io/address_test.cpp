#include "io/address.h"

#include <gtest/gtest.h>

namespace sluice::io {
namespace {

TEST(Address, ReadsAndWritesAddressesWithPorts) {
  struct Case {
    const char* text;
    const char* canonical;
  } cases[] = {
      {"0.0.0.0:8080", "0.0.0.0:8080"},
      {"255.255.255.255:65535", "255.255.255.255:65535"},
      {"[::]:8080", "[::]:8080"},
      {"[2001:DB8:0:0:0:0:0:1]:443", "[2001:db8::1]:443"},  // RFC 5952
      {"[::ffff:192.0.2.1]:80", "192.0.2.1:80"},            // written as the IPv4 address it maps
  };
  for (const Case& each : cases) {
    auto address = Address::parse(each.text);
    ASSERT_TRUE(address) << each.text;
    EXPECT_EQ(address->text(), each.canonical);
  }
}

TEST(Address, RefusesWhatIsNoAddressWithAPort) {
  for (const char* text :
       {"", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:80", "[::1]", "localhost:80",
        "127.0.0.1:80x", "127.0.0.1:-1", "1.2.3:80", "1.2.3.4.5:80", "[1.2.3.4:80", "256.0.0.1:80"})
    EXPECT_FALSE(Address::parse(text)) << text;
}

TEST(Address, AnIpIsThatAndNothingElse) {
  EXPECT_EQ(Address::parse_ip("10.1.2.3", 7)->text(), "10.1.2.3:7");
  EXPECT_EQ(Address::parse_ip("[::1]")->ip_text(), "::1");
  EXPECT_FALSE(Address::parse_ip(""));
  EXPECT_FALSE(Address::parse_ip("example.com"));
  EXPECT_FALSE(Address::parse_ip(std::string(100, '1')));
  EXPECT_FALSE(Address::parse_ip(std::string_view("10.0.0.1\0x", 10)));  // the rest is not dropped
}

TEST(Address, WritesEveryOctet) {
  char buffer[46];
  for (int value = 0; value < 256; ++value) {
    Address address{.bytes = {static_cast<uint8_t>(value), 0, 10, 100}};
    EXPECT_EQ(std::string_view(buffer, address.write_ip(buffer)), std::to_string(value) + ".0.10.100");
  }
}

}  // namespace
}  // namespace sluice::io
