// RFC 8446, sections 4.1.2 and 5.1; RFC 6066, section 3; RFC 7301, section 3.1.
#include "tls/client_hello.h"

#include <gtest/gtest.h>

#include "tls/client_hello_fixture.h"

namespace sluice::tls {
namespace {

using namespace testing;
using Problem = ClientHelloProblem;

TEST(ClientHello, ServerNameAndProtocolsAreRead) {
  auto hello = parse_client_hello(client_hello("DB.Example.com") + "what follows");
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->server_name, "db.example.com");
  EXPECT_EQ(hello->protocols, (std::vector<std::string>{"h2", "http/1.1"}));
}

TEST(ClientHello, ADotAtTheNamesEndIsForgiven) {
  EXPECT_EQ(parse_client_hello(client_hello("a.test."))->server_name, "a.test");
}

TEST(ClientHello, NeitherNeedBeThere) {
  auto hello = parse_client_hello(record(hello_message("")));
  ASSERT_TRUE(hello);
  EXPECT_EQ(hello->server_name, "");
  EXPECT_TRUE(hello->protocols.empty());
  // Without the extensions' field at all, as before TLS 1.2 (RFC 5246, section 7.4.1.2).
  std::string message = hello_message("");
  message.resize(message.size() - 2);
  message[3] = static_cast<char>(message.size() - 4);
  EXPECT_TRUE(parse_client_hello(record(message)));
}

TEST(ClientHello, ItMayBeSplitOverRecordsAnywhere) {
  std::string whole = client_hello("a.test");
  for (size_t bytes : {size_t{3}, size_t{7}, size_t{64}, whole.size()}) {
    auto hello = parse_client_hello(in_records(whole, bytes));
    ASSERT_TRUE(hello) << bytes;
    EXPECT_EQ(hello->server_name, "a.test");
  }
}

TEST(ClientHello, APartOfOneIsIncomplete) {
  for (const std::string& whole : {client_hello("a.test"), in_records(client_hello("a.test"), 10)})
    for (size_t size = 0; size < whole.size(); ++size)
      EXPECT_EQ(parse_client_hello(whole.substr(0, size)).error(), Problem::kIncomplete) << size;
}

TEST(ClientHello, Bounds) {
  std::string large = hello_message(extension(0x2a2a, std::string(16'000, 'x')));
  EXPECT_TRUE(parse_client_hello(record(large)));
  std::string too_large = hello_message(extension(0x2a2a, std::string(17'000, 'x')));
  EXPECT_EQ(parse_client_hello(in_records(record(too_large), 16'000)).error(), Problem::kTooLong);
  EXPECT_EQ(parse_client_hello(in_records(client_hello("a.test"), 1)).error(), Problem::kTooLong)
      << "a record for each byte";
}

TEST(ClientHello, Strict) {
  auto with = [](std::string_view extensions) { return record(hello_message(extensions)); };
  std::string good = client_hello("a.test");
  auto changed = [&](size_t at, char to) {
    std::string text = good;
    text[at] = to;
    return text;
  };
  struct {
    std::string name;
    std::string bytes;
  } cases[] = {
      {"HTTP", "GET / HTTP/1.1\r\n"},
      {"an alert", changed(0, 0x15)},
      {"SSL 2", "\x80\x2e\x01\x03\x01"},
      {"another version of records", changed(1, 2)},
      {"an empty record", std::string("\x16\x03\x01\x00\x00", 5)},
      {"a record that is too long", std::string("\x16\x03\x01\x40\x01", 5)},
      {"another message", changed(5, 2)},
      {"a session id that is too long", changed(5 + 4 + 34, 33)},
      {"two server names", with(server_name_extension("a.test") + server_name_extension("b.test"))},
      {"two names in one", with(extension(0, vector(2, std::string(1, '\0') + vector(2, "a") +
                                                           std::string(1, '\0') + vector(2, "b"))))},
      {"another kind of name", with(extension(0, vector(2, "\x01" + vector(2, "a"))))},
      {"an empty name", with(server_name_extension(""))},
      {"a name with two dots at its end", with(server_name_extension("a.test.."))},
      {"a name with a NUL", with(server_name_extension(std::string("a\0b", 3)))},
      {"a name that is too long", with(server_name_extension(std::string(254, 'a')))},
      {"an empty list of names", with(extension(0, vector(2, "")))},
      {"bytes behind the names", with(extension(0, vector(2, std::string(1, '\0') + vector(2, "a")) + "x"))},
      {"an empty list of protocols", with(alpn_extension({}))},
      {"an empty protocol", with(alpn_extension({""}))},
      {"an extension cut short", with(std::string("\x2a\x2a\x00\x05xx", 6))},
  };
  for (const auto& bad : cases) {
    auto hello = parse_client_hello(bad.bytes);
    ASSERT_FALSE(hello) << bad.name;
    EXPECT_EQ(hello.error(), Problem::kMalformed) << bad.name;
  }
}

}  // namespace
}  // namespace sluice::tls
