// The PROXY protocol (haproxy.org/download/3.0/doc/proxy-protocol.txt): sections 2.1 and 2.2.
#include "io/proxy_protocol.h"

#include <gtest/gtest.h>

namespace sluice::io {
namespace {

using namespace std::string_literals;
using Problem = ProxyHeaderProblem;

Address at(std::string_view ip, uint16_t port) { return Address::parse_ip(ip, port).value(); }

std::string v2(std::string_view command_and_family, std::string_view rest) {
  std::string header = "\r\n\r\n\0\r\nQUIT\n"s;
  header += command_and_family;
  header += static_cast<char>(rest.size() >> 8);
  header += static_cast<char>(rest.size() & 0xff);
  header += rest;
  return header;
}
const std::string kTcp4Addresses = "\x0a\x01\x02\x03\xc0\x00\x02\x01\xdd\xd5\x01\xbb"s;

TEST(ProxyHeader, Version1NamesTheClient) {
  std::string text = "PROXY TCP4 10.1.2.3 192.0.2.1 56789 443\r\n";
  auto header = parse_proxy_header(text + "GET /");
  ASSERT_TRUE(header);
  EXPECT_EQ(header->size, text.size());
  EXPECT_TRUE(header->known);
  EXPECT_EQ(header->source, at("10.1.2.3", 56789));
  EXPECT_EQ(header->destination, at("192.0.2.1", 443));

  header = parse_proxy_header("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n");
  ASSERT_TRUE(header);
  EXPECT_EQ(header->source, at("2001:db8::1", 1));
  EXPECT_EQ(header->destination, at("::1", 65535));
}

TEST(ProxyHeader, Version1MaySayThatNothingIsKnown) {
  for (std::string text : {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN whatever ::1 1 2 3\r\n"}) {
    auto header = parse_proxy_header(text);
    ASSERT_TRUE(header) << text;
    EXPECT_FALSE(header->known);
    EXPECT_EQ(header->size, text.size());
  }
}

TEST(ProxyHeader, Version1IsStrict) {
  for (std::string_view text : {
           "GET / HTTP/1.1\r\n",
           "proxy TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
           "PROXY  TCP4 1.2.3.4 1.2.3.4 1 1\r\n",
           "PROXY TCP4  1.2.3.4 1.2.3.4 1 1\r\n",
           "PROXY TCP4 1.2.3.4 1.2.3.4 1 1 \r\n",
           "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
           "PROXY TCP4 1.2.3.4 1.2.3.4 1 1\n",
           "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
           "PROXY TCP4 1.2.3.4 1.2.3.4 01 1\r\n",
           "PROXY TCP4 1.2.3.4 1.2.3.4 -1 1\r\n",
           "PROXY TCP4 1.2.3 1.2.3.4 1 1\r\n",
           "PROXY TCP4 ::1 ::1 1 1\r\n",
           "PROXY TCP6 1.2.3.4 1.2.3.4 1 1\r\n",
           "PROXY TCP6 [::1] ::1 1 1\r\n",
           "PROXY UDP4 1.2.3.4 1.2.3.4 1 1\r\n",
           "PROXY UNKNOWNX\r\n",
           "PROXY \r\n",
       })
    EXPECT_EQ(parse_proxy_header(text).error(), Problem::kMalformed) << text;
  std::string endless = "PROXY UNKNOWN " + std::string(200, 'x');
  EXPECT_EQ(parse_proxy_header(endless).error(), Problem::kMalformed) << "107 bytes are the most";
}

TEST(ProxyHeader, Version2NamesTheClient) {
  std::string text = v2("\x21\x11", kTcp4Addresses);
  auto header = parse_proxy_header(text + "rest");
  ASSERT_TRUE(header);
  EXPECT_EQ(header->size, 28u);
  EXPECT_TRUE(header->known);
  EXPECT_EQ(header->source, at("10.1.2.3", 56789));
  EXPECT_EQ(header->destination, at("192.0.2.1", 443));
}

TEST(ProxyHeader, Version2OfAHealthCheckOrAUnixSocketIsSkipped) {
  for (const std::string& text : {v2("\x20\x00"s, ""), v2("\x20\x11", kTcp4Addresses),
                                  v2("\x21\x00"s, "junk"), v2("\x21\x31", std::string(216, '/'))}) {
    auto header = parse_proxy_header(text);
    ASSERT_TRUE(header) << text;
    EXPECT_FALSE(header->known);
    EXPECT_EQ(header->size, text.size());
  }
}

TEST(ProxyHeader, Version2IsStrict) {
  struct {
    std::string name;
    std::string text;
  } cases[] = {
      {"version 1 in a header of version 2", v2("\x11\x11", kTcp4Addresses)},
      {"an unknown command", v2("\x22\x11", kTcp4Addresses)},
      {"datagrams", v2("\x21\x12", kTcp4Addresses)},
      {"addresses cut short", v2("\x21\x11", kTcp4Addresses.substr(1))},
      {"IPv6 in the room of IPv4", v2("\x21\x21", kTcp4Addresses)},
      {"an extension cut short", v2("\x21\x11", kTcp4Addresses + "\x04\x00\x05zzzz"s)},
      {"half of an extension's head", v2("\x21\x11", kTcp4Addresses + "\x04\x00"s)},
      {"more than is read", v2("\x21\x11", kTcp4Addresses + std::string(5000, 0))},
      {"a wrong checksum", v2("\x21\x11", kTcp4Addresses + "\x03\x00\x04zzzz"s)},
  };
  for (const auto& bad : cases)
    EXPECT_EQ(parse_proxy_header(bad.text).error(), Problem::kMalformed) << bad.name;
}

TEST(ProxyHeader, Version2WithTheRightChecksum) {
  // Made by another program, which gives 0xe3069283 for "123456789" as CRC-32C is to.
  std::string text = v2("\x21\x11", kTcp4Addresses + "\x04\x00\x01x"s + "\x03\x00\x04\xff\x83\x21\x88"s);
  EXPECT_TRUE(parse_proxy_header(text));
}

TEST(ProxyHeader, APartOfOneIsIncomplete) {
  for (const std::string& text :
       {"PROXY TCP4 10.1.2.3 192.0.2.1 56789 443\r\n"s, v2("\x21\x11", kTcp4Addresses)})
    for (size_t size = 0; size < text.size(); ++size)
      EXPECT_EQ(parse_proxy_header(text.substr(0, size)).error(), Problem::kIncomplete) << size;
}

TEST(ProxyHeader, WhatIsWrittenIsReadBack) {
  struct {
    Address source;
    Address destination;
  } cases[] = {
      {at("10.1.2.3", 56789), at("192.0.2.1", 443)},
      {at("2001:db8::1", 1), at("::1", 2)},
      {at("::ffff:10.1.2.3", 3), at("::ffff:10.1.2.4", 4)},
      {at("10.1.2.3", 5), at("::1", 6)},
  };
  for (const auto& pair : cases)
    for (ProxyVersion version : {ProxyVersion::kV1, ProxyVersion::kV2}) {
      std::string text = write_proxy_header(version, pair.source, pair.destination);
      auto header = parse_proxy_header(text);
      ASSERT_TRUE(header) << text;
      EXPECT_EQ(header->size, text.size());
      EXPECT_EQ(header->source.unmapped(), pair.source.unmapped()) << text;
      EXPECT_EQ(header->destination.unmapped(), pair.destination.unmapped()) << text;
    }
  EXPECT_EQ(write_proxy_header(ProxyVersion::kV1, at("::ffff:10.1.2.3", 3), at("::ffff:10.1.2.4", 4)),
            "PROXY TCP4 10.1.2.3 10.1.2.4 3 4\r\n");
}

}  // namespace
}  // namespace sluice::io
