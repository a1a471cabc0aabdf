// The PROXY protocol, versions 1 and 2 (haproxy.org/download/3.0/doc/proxy-protocol.txt): a header at the
// beginning of a connection by which a proxy says whose connection it passes on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "io/address.h"

namespace sluice::io {

enum class ProxyVersion : uint8_t { kV1 = 1, kV2 = 2 };

struct ProxyHeader {
  size_t size = 0;      // bytes of it, at the beginning
  bool known = false;   // false: the proxy speaks for itself (a health check), or does not say for whom
  Address source;       // the client, when known
  Address destination;  // what the client had connected to
};

/// The longest header that is read. Version 1 has at most 107 bytes; of version 2 the addresses take 52, the
/// rest are extensions.
inline constexpr size_t kMaxProxyHeaderBytes = 4096;

enum class ProxyHeaderProblem : uint8_t {
  kIncomplete,  // so far it is one: more bytes are needed
  kMalformed,
};

/// Strict: what is not exactly a header of a TCP connection is malformed, and so is one whose checksum is
/// wrong.
std::expected<ProxyHeader, ProxyHeaderProblem> parse_proxy_header(std::string_view bytes);

/// For a connection from `source` to `destination`.
std::string write_proxy_header(ProxyVersion version, const Address& source, const Address& destination);

}  // namespace sluice::io
