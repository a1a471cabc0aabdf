// APIs that are there for one property of routing, forwarding or limiting each.
#include <fmt/format.h>

#include "document.h"

namespace sluice::sim {

std::string Document::routing_apis() {
  return "  twisted:\n    path: /twisted\n    upstream: second\n    routes:\n"
         "      - { name: item, path: \"/{user}/items/{item}\","
         " policies: [ { rewrite: { path: \"/internal/{item}/of/{user}\" } } ] }\n"
         "      - { name: text, path: /text/plain, respond: { status: 200, body: literal,"
         " headers: { x-made: here, x-made-too: there } } }\n"
         "      - { name: orders, path: \"/{id}/orders\","
         " policies: [ { rewrite: { path: \"/internal/by-user/{id}\" } } ] }\n"
         "      - { name: moved, path: \"/moved/{id}\", redirect: { to: \"/found?id={id}\", status: 301 } }\n"
         "      - { name: purge, path: /purge, methods: [PURGE, GET] }\n"
         "      - { name: got, path: /both, methods: [GET], respond: { status: 200, body: got } }\n"
         "      - { name: headed, path: /both, methods: [HEAD], respond: { status: 204 } }\n"
         "      - { name: any, path: /tier, respond: { status: 200, body: any } }\n"
         "      - { name: named, path: /tier, methods: [DELETE], respond: { status: 200, body: named } }\n"
         "      - { name: keyed, path: /keyed, methods: [GET], match: { headers: { x-a: b } },"
         " respond: { status: 200, body: keyed } }\n"
         "      - { name: two, path: /two, match: { headers: { x-a: b }, query: { q: \"a b\" } },"
         " respond: { status: 200, body: two } }\n"
         "      - { name: one, path: /two, match: { headers: { x-a: b } }, respond: { status: 200, body: one "
         "} }\n"
         "      - { name: none, path: /two, respond: { status: 200, body: none } }\n"
         "      - { name: low, path: \"/level/{a}\", respond: { status: 200, body: low } }\n"
         "      - { name: high, path: \"/level/{b}\", priority: 1, respond: { status: 200, body: high } }\n"
         "  inner: { path: /plain/inner, upstream: second }\n"
         "  exact: { hosts: [exact.wild.test], path: /any, upstream: main }\n"
         "  strict: { path: /strict, repeated_slash: reject, encoded_slash: reject, upstream: second }\n"
         "  keep:\n    path: /keep\n    repeated_slash: keep\n    upstream: second\n    routes:\n"
         "      - { name: deep, path: \"/deep/{x}\", respond: { status: 200, body: deep } }\n"
         "      - { name: rest }\n"
         "  aside: { listeners: [side], path: /aside, upstream: second }\n";
}

std::string Document::policy_apis() const {
  std::string rate = rate_text(address_rate);
  return "  dry:\n    path: /dry\n    policies:\n"
         "      - api_key: { in: header, name: X-API-Key, dry_run: true }\n"
         "      - rate_limit: { id: dry, rate: 1/1h, key: gateway, dry_run: true }\n"
         "    routes: [ { name: made, path: /made, respond: { status: 200, body: dry } },"
         " { name: rest, upstream: second } ]\n"
         "  quiet: { path: /quiet, access_log: { format: off },"
         " routes: [ { name: made, respond: { status: 200, body: quiet } } ] }\n"
         "  ordered:\n    path: /ordered\n    upstream: second\n    policies:\n"
         "      - headers: { id: outer, request: { remove: [x-both, x-more], set: { x-both: outer },"
         " add: { x-more: outer } }, response: { set: { x-order: outer } } }\n"
         "      - headers: { id: inner, request: { set: { x-both: inner } }, response: { remove: [server, "
         "date],"
         " set: { x-order: inner } } }\n"
         "  anyone:\n    path: /anyone\n    policies:\n      - sim_probe: { limit: anyone }\n"
         "      - rate_limit: { id: per-anyone, " +
         rate +
         ", key: consumer }\n"
         "      - headers: { response: { set: { x-behind-limit: \"yes\" } } }\n"
         "    routes: [ { name: counted, respond: { status: 200, body: counted } } ]\n"
         "  owners:\n    path: /owners\n    upstream: second\n    policies:\n"
         "      - api_key: { in: header, name: X-API-Key }\n"
         "  place:\n    path: /place\n    routes:\n" +
         place("left", rate) + place("right", rate);
}

/// A route with a limit of its own, whose id is the same as its neighbour's.
std::string Document::place(std::string_view name, std::string_view rate) {
  return fmt::format(
      "      - {{ name: {0}, path: /{0}, respond: {{ status: 200, body: counted }},"
      " policies: [ {{ sim_probe: {{ limit: place }} }},"
      " {{ rate_limit: {{ id: per-place, {1}, key: address }} }} ] }}\n",
      name, rate);
}

/// What a reload changes that keeps its revision: little, so that all else is taken over from before.
std::string Document::shifting_apis(uint64_t generation) {
  return fmt::format(
      "  shift: {{ path: /shift, upstream: shift }}\n"
      "  shifts: {{ path: /shifts, split: [ {{ upstream: shift, weight: 1 }}, {{ upstream: second, weight: 1 "
      "}} ] "
      "}}\n"
      "  gen:\n    path: /gen\n    routes:\n"
      "      - {{ name: steady, path: /steady, respond: {{ status: 200, body: steady }} }}\n"
      "      - {{ name: now, path: /now, respond: {{ status: 200, body: \"generation {}\" }} }}\n",
      generation);
}

}  // namespace sluice::sim
