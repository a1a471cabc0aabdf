// Calls with API keys: where they stand, whose they are, and what reaches the upstream of them.
#include <fmt/format.h>

#include "draw_calls.h"

namespace sluice::sim {

namespace {

struct Known {
  std::string_view key;
  std::string_view consumer;
  std::string_view groups;
};
constexpr Known kKnown[] = {{"alpha-key", "alpha", "red, blue"},
                            {"beta-key", "beta", ""},
                            {"beta-second-key", "beta", ""},
                            {"gamma-key", "gamma", "blue"}};

/// A key with its first letter escaped.
std::string escaped(std::string_view key) {
  return fmt::format("%{:02x}{}", static_cast<unsigned>(key[0]), key.substr(1));
}

std::string cookies(std::string_view key, bool alone) {
  return alone ? fmt::format("api_key={}", key) : fmt::format("a=1; api_key={}; z=2", key);
}

}  // namespace

void CallDrawer::keys(std::string_view in) {
  const std::string path = fmt::format("/keys-{}/{}", in, call_->number);
  const bool alone = chance(4);  // nothing else in the query, no other cookie
  auto put = [&](std::string_view key, bool twice) {
    target_ = path;
    if (in == "header") {
      sent_.add("X-API-Key", key);
      if (twice) sent_.add("X-API-Key", key);
    } else if (in == "query") {
      target_ += alone ? fmt::format("?api_key={}", key) : fmt::format("?a=1&api_key={}&z=2", key);
      if (twice) target_ += "&api_key=x";
    } else {
      std::string cookie = cookies(key, alone);
      bool together = twice && chance(2);
      sent_.add("Cookie", together ? cookie + "; api_key=x" : cookie);
      if (twice && !together) sent_.add("Cookie", "api_key=x");
    }
  };
  auto refused = [&](std::string code) {
    refuse(401, std::move(code));
    both([](Expected& each) { each.fields.add("www-authenticate", "ApiKey"); });
  };
  uint64_t which = random_.below(10);
  if (which == 0) {
    target_ = path;
    return refused("missing_credential");
  }
  if (which == 1) {
    put("no-such-key", false);
    return refused("invalid_credential");
  }
  if (which == 2) {
    put("alpha-key", true);
    return refused("repeated_credential");
  }
  const Known& known = kKnown[random_.below(std::size(kKnown))];
  const bool hides = document_.hides_key;
  const std::string key = in == "query" && chance(3) ? escaped(known.key) : std::string(known.key);
  put(key, false);
  call_->limit = "consumer";
  call_->limit_key = known.consumer;
  proxied("second");
  both([&](Expected& each) {
    if (in == "query" && hides) each.target = alone ? path : path + "?a=1&z=2";
    each.forwarded.add("x-consumer-id", known.consumer);
    if (!known.groups.empty()) each.forwarded.add("x-consumer-groups", known.groups);
    if (in == "header" && !hides) each.forwarded.add("x-api-key", known.key);
    if (in == "cookie" && !(hides && alone)) {
      each.forwarded.add("cookie", hides ? "a=1; z=2" : cookies(known.key, alone));
    }
  });
  if (known.consumer == "gamma") {
    call_->unknown_key_may_change = true;
    Expected& odd = call_->expected[1];
    odd.status = 401;
    odd.code = "invalid_credential";
    odd.upstreams.clear();
    odd.fields.add("www-authenticate", "ApiKey");
  }
}

/// Keys whose consumer, or its groups, change with each reload.
void CallDrawer::owners() {
  const bool wanders = chance(2);
  call_->kind = "owners";
  target_ = fmt::format("/owners/{}", call_->number);
  sent_.add("X-API-Key", wanders ? "wandering-key" : "delta-key");
  proxied("second");
  both([&](Expected& each) {
    each.turned = wanders ? "x-consumer-id" : "x-consumer-groups";
    if (!wanders) each.forwarded.add("x-consumer-id", "delta");
  });
}

}  // namespace sluice::sim
