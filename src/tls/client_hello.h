// What a TLS client says first, read without answering: the name of the server that it wants and the
// protocols that it offers, by which a connection is sent on before anybody has decrypted a byte of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::tls {

struct ClientHello {
  std::string server_name;             // in lower case; empty: none was named
  std::vector<std::string> protocols;  // of ALPN (RFC 7301), in the client's order
};

enum class ClientHelloProblem : uint8_t {
  kIncomplete,  // so far it is one: more bytes are needed
  kMalformed,
  kTooLong,
};

/// The longest message that is read, without its records' heads. Key shares of post-quantum groups take 1.2
/// KiB each; no client in use sends more than a few.
inline constexpr size_t kMaxClientHelloBytes = 16 * 1024;
/// With its records' heads, were each to hold one byte.
inline constexpr size_t kMaxClientHelloRecords = 64;
inline constexpr size_t kMaxClientHelloOnWire = kMaxClientHelloBytes + 5 * kMaxClientHelloRecords;

/// `bytes` are the first of a connection: records (RFC 8446, section 5.1) with a ClientHello (section 4.1.2)
/// that may be split over several. What follows it is not looked at.
std::expected<ClientHello, ClientHelloProblem> parse_client_hello(std::string_view bytes);

}  // namespace sluice::tls
