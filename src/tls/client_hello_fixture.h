// For tests: ClientHello messages, with what a test wants in them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sluice::tls::testing {

/// A vector of TLS: its length in `length_bytes` bytes, then the bytes.
inline std::string vector(size_t length_bytes, std::string_view bytes) {
  std::string out;
  for (size_t i = length_bytes; i-- > 0;) out += static_cast<char>(bytes.size() >> (8 * i) & 0xff);
  return out.append(bytes);
}

inline std::string extension(unsigned type, std::string_view bytes) {
  std::string out;
  out += static_cast<char>(type >> 8);
  out += static_cast<char>(type & 0xff);
  return out + vector(2, bytes);
}

/// The extension of RFC 6066, section 3.
inline std::string server_name_extension(std::string_view name) {
  return extension(0, vector(2, std::string(1, '\0') + vector(2, name)));
}

/// The extension of RFC 7301, section 3.1.
inline std::string alpn_extension(const std::vector<std::string>& protocols) {
  std::string list;
  for (const std::string& protocol : protocols) list += vector(1, protocol);
  return extension(16, vector(2, list));
}

/// The handshake message with these extensions.
inline std::string hello_message(std::string_view extensions) {
  std::string body = "\x03\x03" + std::string(32, 'r') + vector(1, std::string(32, 's')) +
                     vector(2, std::string("\x13\x01\x13\x02", 4)) + vector(1, std::string(1, '\0')) +
                     vector(2, extensions);
  return std::string(1, '\x01') + vector(3, body);
}

/// In one record.
inline std::string record(std::string_view fragment) {
  return std::string("\x16\x03\x01", 3) + vector(2, fragment);
}

/// With a server name, or none when it is empty, and an extension that nobody knows.
inline std::string client_hello(std::string_view server_name) {
  std::string extensions = extension(0x2a2a, "grease");
  if (!server_name.empty()) extensions += server_name_extension(server_name);
  extensions += alpn_extension({"h2", "http/1.1"});
  return record(hello_message(extensions));
}

/// The same message in records of at most `bytes` each.
inline std::string in_records(std::string_view hello, size_t bytes) {
  std::string out;
  for (std::string_view rest = hello.substr(5); !rest.empty();
       rest.remove_prefix(std::min(bytes, rest.size())))
    out += record(rest.substr(0, bytes));
  return out;
}

}  // namespace sluice::tls::testing
