#include "tls/client_hello.h"

#include <algorithm>

#include "base/ascii.h"

namespace sluice::tls {

namespace {

using Problem = ClientHelloProblem;

// RFC 8446, appendices B.1 and B.3; RFC 6066, section 3; RFC 7301, section 3.1.
constexpr uint8_t kHandshakeRecord = 22;
constexpr uint8_t kClientHelloMessage = 1;
constexpr size_t kRecordHeadBytes = 5;
constexpr size_t kMaxRecordBytes = 1 << 14;
constexpr size_t kMessageHeadBytes = 4;
constexpr size_t kVersionAndRandomBytes = 2 + 32;
constexpr size_t kMaxSessionIdBytes = 32;
constexpr uint16_t kServerNameExtension = 0;
constexpr uint16_t kAlpnExtension = 16;
constexpr uint8_t kHostName = 0;
constexpr size_t kMaxHostNameBytes = 253;
constexpr size_t kMaxProtocols = 32;

/// Takes fields off the front; after one that is not there everything fails.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : rest_(bytes) {}

  uint32_t number(size_t bytes) {
    std::string_view field = take(bytes);
    uint32_t value = 0;
    for (char c : field) value = value << 8 | static_cast<uint8_t>(c);
    return value;
  }
  /// A vector: its length in `length_bytes` bytes, then so many bytes.
  std::string_view vector(size_t length_bytes) { return take(number(length_bytes)); }
  std::string_view take(size_t bytes) {
    if (rest_.size() < bytes) {
      good_ = false;
      rest_ = {};
      return {};
    }
    std::string_view field = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return field;
  }
  bool good() const { return good_; }
  bool empty() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

/// The message out of its records, in `message`; a view where one record holds it, else a copy in `joined`.
std::expected<std::string_view, Problem> join_records(std::string_view bytes, std::string& joined) {
  size_t wanted = 0;  // bytes of the message; 0: not known yet
  for (size_t records = 0; records < kMaxClientHelloRecords; ++records) {
    auto byte = [&](size_t at) { return static_cast<uint8_t>(bytes[at]); };
    if (!bytes.empty() && byte(0) != kHandshakeRecord) return std::unexpected(Problem::kMalformed);
    if (bytes.size() > 1 && byte(1) != 3) return std::unexpected(Problem::kMalformed);
    if (bytes.size() < kRecordHeadBytes) return std::unexpected(Problem::kIncomplete);
    size_t length = static_cast<size_t>(byte(3)) << 8 | byte(4);
    if (length == 0 || length > kMaxRecordBytes) return std::unexpected(Problem::kMalformed);
    std::string_view fragment = bytes.substr(kRecordHeadBytes, length);
    bool whole = fragment.size() == length;
    std::string_view message = fragment;
    if (!joined.empty()) message = joined.append(fragment);
    if (!message.empty() && static_cast<uint8_t>(message[0]) != kClientHelloMessage)
      return std::unexpected(Problem::kMalformed);
    if (message.size() >= kMessageHeadBytes) {
      Fields head(message.substr(1));
      wanted = kMessageHeadBytes + head.number(3);
      if (wanted > kMaxClientHelloBytes) return std::unexpected(Problem::kTooLong);
      if (message.size() >= wanted) return message.substr(kMessageHeadBytes, wanted - kMessageHeadBytes);
    }
    if (!whole) return std::unexpected(Problem::kIncomplete);
    if (joined.empty()) joined = fragment;
    bytes.remove_prefix(kRecordHeadBytes + length);
  }
  return std::unexpected(Problem::kTooLong);
}

/// A name as DNS has it (RFC 6066, section 3): letters, digits, hyphens and, for they are in use,
/// underscores; no dot at its end.
bool is_host_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxHostNameBytes || name.front() == '.' || name.back() == '.' ||
      name.contains(".."))
    return false;
  return std::ranges::all_of(name, [](char c) {
    return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '_' || c == '.';
  });
}

bool read_server_name(std::string_view extension, ClientHello& hello) {
  Fields fields(extension);
  Fields names(fields.vector(2));
  if (!fields.good() || !fields.empty() || names.empty()) return false;
  while (!names.empty()) {
    uint32_t type = names.number(1);
    std::string_view name = names.vector(2);
    if (!names.good() || type != kHostName) return false;
    if (name.ends_with('.')) name.remove_suffix(1);  // against the RFC, and seen
    if (!hello.server_name.empty() || !is_host_name(name)) return false;
    hello.server_name = ascii::to_lower(name);
  }
  return true;
}

bool read_protocols(std::string_view extension, ClientHello& hello) {
  Fields fields(extension);
  Fields names(fields.vector(2));
  if (!fields.good() || !fields.empty() || names.empty()) return false;
  while (!names.empty()) {
    std::string_view name = names.vector(1);
    if (!names.good() || name.empty() || hello.protocols.size() == kMaxProtocols) return false;
    hello.protocols.emplace_back(name);
  }
  return true;
}

bool read_extensions(std::string_view bytes, ClientHello& hello) {
  Fields extensions(bytes);
  bool named = false;
  bool offered = false;
  while (!extensions.empty()) {
    auto type = static_cast<uint16_t>(extensions.number(2));
    std::string_view extension = extensions.vector(2);
    if (!extensions.good()) return false;
    // Section 4.2: no two of one type.
    if (type == kServerNameExtension && (std::exchange(named, true) || !read_server_name(extension, hello)))
      return false;
    if (type == kAlpnExtension && (std::exchange(offered, true) || !read_protocols(extension, hello)))
      return false;
  }
  return extensions.good();
}

}  // namespace

std::expected<ClientHello, Problem> parse_client_hello(std::string_view bytes) {
  std::string joined;
  auto message = join_records(bytes, joined);
  if (!message) return std::unexpected(message.error());
  Fields fields(*message);
  fields.take(kVersionAndRandomBytes);
  size_t session_id = fields.vector(1).size();
  size_t cipher_suites = fields.vector(2).size();
  size_t compressions = fields.vector(1).size();
  bool good = fields.good() && session_id <= kMaxSessionIdBytes && cipher_suites >= 2 &&
              cipher_suites % 2 == 0 && compressions >= 1;
  ClientHello hello;
  if (good && !fields.empty()) {
    std::string_view extensions = fields.vector(2);
    good = fields.good() && fields.empty() && read_extensions(extensions, hello);
  }
  if (!good) return std::unexpected(Problem::kMalformed);
  return hello;
}

}  // namespace sluice::tls
