#include "gateway/client_address.h"

#include <algorithm>
#include <cstring>

#include "http/syntax.h"

namespace sluice::gateway {

namespace {

using http::FieldName;

constexpr size_t kLongestIp = 46;

config::IpBytes ip_bytes(const io::Address& address) {
  if (address.ipv6) return address.bytes;
  config::IpBytes bytes{};
  bytes[10] = bytes[11] = 0xff;
  std::memcpy(&bytes[12], address.bytes.data(), 4);
  return bytes;
}

/// The first untrusted address of X-Forwarded-For from the right; the leftmost when all are trusted. An
/// element that is no address ends the search: what a proxy wrote there cannot be judged.
std::string_view client_of(const Snapshot& snapshot, const http::Fields& fields, std::string_view peer) {
  std::string_view client = peer;
  std::span<const http::Field> all = fields.all();
  for (size_t i = all.size(); i-- > 0;) {
    if (all[i].id != FieldName::kXForwardedFor) continue;
    std::string_view list = all[i].value;
    while (!list.empty()) {
      size_t comma = list.rfind(',');
      std::string_view element = ascii::trim(comma == std::string_view::npos ? list : list.substr(comma + 1));
      list = comma == std::string_view::npos ? std::string_view() : list.substr(0, comma);
      auto address = io::Address::parse_ip(element);
      if (!address) return client;
      client = element;
      if (!snapshot.trusts(*address)) return client;
    }
  }
  return client;
}

/// Names of ours that a client may not set, whoever it is.
bool is_reserved(FieldName name) {
  switch (name) {
    case FieldName::kXConsumerId:
    case FieldName::kXConsumerGroups:
    case FieldName::kXOriginalUrl:
    case FieldName::kXRewriteUrl:
      return true;
    default:
      return false;
  }
}

/// Names that only a trusted proxy may set.
bool is_forwarding(FieldName name) {
  switch (name) {
    case FieldName::kXForwardedFor:
    case FieldName::kXForwardedHost:
    case FieldName::kXForwardedProto:
    case FieldName::kXForwardedPrefix:
    case FieldName::kForwarded:
      return true;
    default:
      return false;
  }
}

/// Some servers read `_` as `-` (CGI does): a name that becomes one of ours that way is never passed on.
bool is_disguised(std::string_view name) {
  if (name.find('_') == std::string_view::npos) return false;
  FieldName id = http::intern_dashed_field_name(name);
  return is_reserved(id) || is_forwarding(id) || id == FieldName::kXRequestId || id == FieldName::kHost ||
         id == FieldName::kContentLength || id == FieldName::kTransferEncoding ||
         id == FieldName::kAuthorization || id == FieldName::kVia;
}

}  // namespace

bool Snapshot::trusts(const io::Address& address) const {
  if (trusted_proxies.empty()) return false;
  config::IpBytes bytes = ip_bytes(address);
  return std::ranges::any_of(trusted_proxies, [&](const auto& prefix) { return prefix.contains(bytes); });
}

void identify_client(Exchange& exchange, const Snapshot& snapshot) {
  char* text = exchange.arena.allocate_chars(kLongestIp);
  std::string_view peer(text, exchange.server.peer.write_ip(text));
  bool peer_trusted = snapshot.trusts(exchange.server.peer);
  http::Fields& fields = exchange.request.fields;
  exchange.set_client(peer, peer_trusted, peer_trusted ? client_of(snapshot, fields, peer) : peer);

  bool remove = false;
  for (const http::Field& field : fields) {
    if (field.id == FieldName::kUnknown)
      remove |= is_disguised(field.name);
    else
      remove |= is_reserved(field.id) || (!peer_trusted && is_forwarding(field.id));
  }
  if (!remove) return;
  fields.remove_if([&](const http::Field& field) {
    if (field.id == FieldName::kUnknown) return is_disguised(field.name);
    return is_reserved(field.id) || (!peer_trusted && is_forwarding(field.id));
  });
}

}  // namespace sluice::gateway
