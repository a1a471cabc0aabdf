// Fields that any call may have, and what must become of them on their way.
#include <fmt/format.h>

#include "draw_calls.h"

namespace sluice::sim {

void CallDrawer::expect_forwarded(std::string_view name, std::string_view value) {
  both([&](Expected& each) { each.forwarded.add(name, value); });
}

/// What only a trusted proxy may say.
void CallDrawer::from_proxy(std::string_view name, std::string_view value) {
  sent_.add(name, value);
  if (trusted_) expect_forwarded(lower(name), value);
}

void CallDrawer::draw_addresses(std::string_view peer) {
  struct Case {
    std::vector<const char*> fields;
    const char* client;  // as the gateway must see it, when the peer is trusted
  };
  static const Case kCases[] = {
      {{"203.0.113.9"}, "203.0.113.9"},
      {{"198.51.100.7, 203.0.113.9"}, "203.0.113.9"},
      {{"198.51.100.7, 203.0.113.9, 10.1.0.9"}, "203.0.113.9"},
      {{"203.0.113.9, unknown, 10.1.0.9"}, "10.1.0.9"},
      {{"198.51.100.7", "203.0.113.9, 10.1.0.9"}, "203.0.113.9"},
      {{"203.0.113.9", "10.1.0.9"}, "203.0.113.9"},
      {{"10.1.0.8, 10.1.0.9"}, "10.1.0.8"},
  };
  std::string forwarded;
  if (chance(3)) {
    const Case& chosen = kCases[random_.below(std::size(kCases))];
    for (const char* value : chosen.fields) {
      sent_.add("X-Forwarded-For", value);
      if (trusted_) forwarded += std::string(value) + ", ";
    }
    if (trusted_) client_address_ = chosen.client;
  }
  expect_forwarded("x-forwarded-for", forwarded.append(peer));
}

void CallDrawer::draw_request_id() {
  if (!chance(4)) return;
  std::string id = fmt::format("mine-{}", call_->number);
  bool usable = trusted_;
  if (chance(4)) {
    id.append(200, 'x');
    usable = false;
  }
  sent_.add("X-Request-Id", id);
  if (chance(6)) {
    sent_.add("X-Request-Id", "another");
    usable = false;
  }
  (usable ? call_->own_id : call_->foreign_id) = id;
}

void CallDrawer::draw_extras(size_t client) {
  if (chance(2)) keep("X-Plain", fmt::format("value {}", random_.below(1000)));
  if (chance(3)) keep("Accept", "text/plain, */*;q=0.1");
  if (chance(4)) sent_.add("Keep-Alive", "timeout=5");
  if (chance(4)) sent_.add("Proxy-Connection", "keep-alive");
  if (chance(4)) sent_.add("Proxy-Authorization", "Basic c2VjcmV0");
  static constexpr const char* kDisguised[] = {"X_Forwarded_For", "X_Request_Id", "X-Consumer_Id",
                                               "X_Forwarded_Host", "Transfer_Encoding"};
  if (chance(4)) sent_.add(kDisguised[random_.below(std::size(kDisguised))], "198.51.100.1");
  if (chance(4)) sent_.add("X-Consumer-Id", "admin");
  if (chance(4)) sent_.add("X-Consumer-Groups", "admins");
  if (chance(4)) sent_.add("X-Original-URL", "/admin");
  if (chance(4)) sent_.add("X-Rewrite-URL", "/admin");
  draw_addresses(kClientIps[client]);
  bool https = chance(4);
  if (https) sent_.add("X-Forwarded-Proto", "https");
  expect_forwarded("x-forwarded-proto", tls_ || (https && trusted_) ? "https" : "http");
  if (chance(8)) from_proxy("Forwarded", "for=203.0.113.9");
  if (chance(8)) from_proxy("X-Forwarded-Prefix", "/outer");
  if (chance(8)) {
    from_proxy("X-Forwarded-Host", "outer.test");
    told_host_ = trusted_;
  }
  if (chance(4)) {
    sent_.add("Via", "1.1 other");
    via_ = "1.1 other, ";
    if (chance(3)) {
      sent_.add("Via", "1.0 third");
      via_ += "1.0 third, ";
    }
  }
  draw_hops();
  draw_request_id();
}

/// What `Connection` may name, and what it may not take away (RFC 9110, section 7.6.1).
void CallDrawer::draw_hops() {
  if (chance(8)) {
    keep("Authorization", "Bearer x");
    if (chance(2)) options_ += ", Authorization";
  }
  if (chance(8)) {
    sent_.add("TE", "gzip, trailers");
    expect_forwarded("te", "trailers");
    options_ += ", TE";
  }
  if (chance(16)) {
    sent_.add("Upgrade", "h2c");
    sent_.add("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA");
    options_ += ", Upgrade, HTTP2-Settings";
  }
}

}  // namespace sluice::sim
