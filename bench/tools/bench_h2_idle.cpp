// Holds C idle HTTP/2 connections (prior knowledge, no TLS), each after one request that was answered with
// 200, until its standard input ends; says {"held": C} when all are there. Frames are written by hand:
// nothing of an HTTP/2 library's own memory or pace is in what is measured.
#include <poll.h>

#include <vector>

#include "net.h"

namespace bench {
namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
enum : uint8_t { kData = 0, kHeaders = 1, kSettings = 4, kGoAway = 7 };
enum : uint8_t { kEndStream = 1, kAck = 1, kEndHeaders = 4 };

std::string frame(uint8_t type, uint8_t flags, uint8_t stream, std::string_view payload) {
  std::string bytes;
  for (const size_t byte : {payload.size() >> 16, payload.size() >> 8, payload.size()})
    bytes += static_cast<char>(byte);
  for (const uint8_t byte : {type, flags, uint8_t{0}, uint8_t{0}, uint8_t{0}, stream})
    bytes += static_cast<char>(byte);
  bytes += payload;
  return bytes;
}

/// RFC 7541, 6.2.2: a literal that is not indexed; without `name` its name is entry `index` of the static
/// table.
std::string literal(char index, std::string_view name, std::string_view value) {
  std::string bytes(1, index);
  if (!name.empty()) bytes += static_cast<char>(name.size()) + std::string(name);
  return bytes + static_cast<char>(value.size()) + std::string(value);
}

std::string opening(std::string_view path, std::string_view key) {
  std::string fields = "\x82\x86";  // :method GET, :scheme http
  fields += literal(4, "", path) + literal(1, "", "bench.test");
  if (!key.empty()) fields += literal(0, "x-api-key", key);
  return std::string(kPreface) + frame(kSettings, 0, 0, "") +
         frame(kHeaders, kEndStream | kEndHeaders, 1, fields);
}

/// Waits for the end of stream 1; every other frame is read and dropped, settings are acknowledged.
void await_answer(int fd) {
  std::string input;
  bool good = false;
  for (;;) {
    while (input.size() >= 9) {
      const auto byte = [&](size_t i) { return static_cast<uint8_t>(input[i]); };
      const size_t size = size_t{byte(0)} << 16 | size_t{byte(1)} << 8 | byte(2);
      if (input.size() < 9 + size) break;
      const uint8_t type = byte(3);
      const uint8_t flags = byte(4);
      // 0x88 is `:status 200`; a change of the table's size may stand before it.
      if (type == kHeaders && input.substr(9, 8).find('\x88') != std::string::npos) good = true;
      if (type == kGoAway) die("the server sends GOAWAY");
      if (type == kSettings && (flags & kAck) == 0) {
        const std::string ack = frame(kSettings, kAck, 0, "");
        if (send(fd, ack.data(), ack.size(), MSG_NOSIGNAL) < 0) die_errno("send");
      }
      if ((type == kHeaders || type == kData) && (flags & kEndStream) != 0) {
        if (!good) die("an answer is not 200");
        return;
      }
      input.erase(0, 9 + size);
    }
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    if (poll(&wait, 1, 10'000) <= 0) die("no answer within ten seconds");
    char buffer[16 * 1024];
    const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got <= 0) die("the server closes the connection");
    input.append(buffer, static_cast<size_t>(got));
  }
}

int run(int argc, char** argv) {
  end_with_parent();
  sockaddr_in address{};
  size_t connections = 1;
  std::string path = "/1k";
  std::string key;
  for (Options options(argc, argv); options.next();) {
    if (options.name() == "--address")
      address = parse_address(options.value());
    else if (options.name() == "--connections")
      connections = parse_number<size_t>(options.value());
    else if (options.name() == "--path")
      path = options.value();
    else if (options.name() == "--key")
      key = options.value();
    else
      options.unknown();
  }
  if (address.sin_family == 0) die("--address is needed");
  const std::string request = opening(path, key);
  // One at a time, so that the server's pool of upstream connections does not grow with us.
  for (size_t i = 0; i < connections; ++i) {
    const int fd = connect_to(address, htonl(INADDR_LOOPBACK + static_cast<in_addr_t>(i % 8)));
    if (fd < 0) die_errno("connect");
    if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) < 0) die_errno("send");
    await_answer(fd);
  }
  std::printf("{\"held\": %zu}\n", connections);
  std::fflush(stdout);
  char ignored[64];
  while (read(STDIN_FILENO, ignored, sizeof ignored) > 0) {
  }
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) { return bench::run(argc, argv); }
