#include "document.h"

#include <fmt/format.h>

#include "tls.h"

namespace sluice::sim {

namespace {

Rate draw_rate(Random& random) {
  Rate rate;
  rate.count = 1 + random.below(6);
  rate.period = std::chrono::milliseconds(200 * (1 + random.below(10)));
  rate.burst = 1 + random.below(6);
  return rate;
}

std::string ms(Duration duration) {
  return fmt::format("{}ms", std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

}  // namespace

std::string Document::rate_text(const Rate& rate) {
  auto period = std::chrono::duration_cast<std::chrono::milliseconds>(rate.period).count();
  return fmt::format("rate: {}/{}ms, burst: {}", rate.count, period, rate.burst);
}

Document Document::draw(Random& random) {
  Document document;
  document.backends = {
      {"main", "10.2.0.1", 9000, "", 1, false},     {"main", "10.2.0.2", 9000, "", 2, false},
      {"main", "10.2.0.3", 9000, "/base", 1, true}, {"second", "10.3.0.1", 9100, "", 1, false},
      {"named", "10.5.0.1", 9200, "", 1, false},    {"named", "10.5.0.2", 9200, "", 1, false},
      {"named", "10.5.0.1", 9201, "", 1, false},    {"named", "10.5.0.2", 9201, "", 1, false},
      {"shift", "10.6.0.1", 9400, "", 1, false, 0}, {"shift", "10.6.0.2", 9400, "", 1, false, 1},
  };
  document.attempts = 1 + static_cast<uint32_t>(random.below(3));
  document.retry_reset = random.below(4) != 0;
  document.retry_timeout = random.below(3) == 0;
  document.retry_503 = random.below(2) == 0;
  document.hides_key = random.below(3) != 0;
  document.access_log = random.below(4) != 0;
  document.consumer_rate = draw_rate(random);
  document.address_rate = draw_rate(random);
  document.tenant_rate = draw_rate(random);
  return document;
}

void Document::take_tls() {
  tls = true;
  for (Backend& backend : backends) backend.tls = backend.upstream == "second" || backend.upstream == "named";
}

Duration Document::longest_wait() const {
  Duration one_try = connect * 2 + response_head;
  return 2 * (header + keep_alive + (attempts + 1) * one_try + 3 * body_progress + 3 * stream_idle + drain);
}

std::string Document::text(uint64_t revision, uint64_t generation) const {
  bool even = revision % 2 == 0;
  std::string text = "version: 1\ngateway:\n";
  text += fmt::format("  listen:\n    - {{ name: plain, address: {}:{} }}\n", kGatewayIp, kPort);
  text += fmt::format("    - {{ name: side, address: {}:{} }}\n", kGatewayIp, kSidePort);
  if (tls)
    text += fmt::format("    - {{ name: secure, address: {}:{}, tls: {{ certificates: [sim] }} }}\n",
                        kGatewayIp, kSecurePort);
  if (!even) text += fmt::format("    - {{ name: extra, address: {}:{} }}\n", kGatewayIp, kExtraPort);
  text += fmt::format("  trusted_proxies: [{}]\n", kTrustedNetwork);
  text += fmt::format(
      "  limits: {{ request_target: 1KiB, request_head: 4KiB, request_fields: 40, request_body: {},"
      " connections: {}, connections_per_address: {} }}\n",
      request_body, kMostConnections, kMostOfAddress);
  text += fmt::format("  timeouts: {{ header: {}, body_progress: {}, keep_alive: {}, stream_idle: {} }}\n",
                      ms(header), ms(body_progress), ms(keep_alive), ms(stream_idle));
  text += fmt::format("  drain: {{ timeout: {} }}\n", ms(drain));

  std::string on = "connect_failure";
  if (retry_reset) on += ", reset";
  if (retry_timeout) on += ", timeout";
  // Every request may be tried again, at once: the checkers count tries and know how long they take.
  std::string rules = fmt::format(
      "    timeouts: {{ connect: {}, response_head: {}, idle: {} }}\n    retry: {{ budget: 100%, backoff: "
      "0ms, attempts: {}, on: [",
      ms(connect), ms(response_head), ms(idle), attempts);
  if (tls)
    text += "certificates: { sim: { cert: sim.crt, key: sim.key } }\ntrust: { sim: { ca: sim.crt } }\n";
  std::string_view scheme = tls ? "https" : "http";
  text += "upstreams:\n  main:\n    targets:\n";
  for (const Backend& each : backends)
    if (each.upstream == "main" && (even || !each.even_only))
      text += fmt::format("      - {{ url: \"http://{}:{}{}\", weight: {} }}\n", each.ip, each.port,
                          each.base_path, each.weight);
  text += rules + on + (retry_503 ? ", 503, 501" : "") + "] }\n";
  text += fmt::format("  second:\n    targets: [ {}://10.3.0.1:9100 ]\n    host: target\n", scheme);
  if (tls) text += fmt::format("    tls: {{ ca: sim, sni: {} }}\n", kUpstreamName);
  text += rules + on + "] }\n";
  text += fmt::format(
      "  named:\n    targets: [ \"{0}://backend.sim:9200\", \"{0}://backend.sim:9201\" ]\n    host: "
      "literal.sim\n",
      scheme);
  if (tls) text += "    tls: { ca: sim }\n";
  text += rules + on + "] }\n";
  text += fmt::format("  shift:\n    targets: [ http://10.6.0.{}:9400 ]\n", 1 + generation % 2) + rules + on +
          "] }\n";
  text += "  dead:\n    targets: [ http://10.4.0.1:9300 ]\n" + rules + on + "] }\n";
  text += "  hole:\n    targets: [ http://10.4.0.2:9300 ]\n" + rules + on + "] }\n";

  text += fmt::format(
      "policies:\n"
      "  - request_id: {{}}\n"
      "  - headers: {{ id: mark, request: {{ set: {{ x-config: \"{0}\" }} }},"
      " response: {{ set: {{ x-config: \"{0}\" }} }} }}\n",
      revision);

  std::string consumer_limit =
      "      - sim_probe: { limit: consumer }\n      - rate_limit: { id: per-consumer, " +
      rate_text(consumer_rate) + ", key: consumer }\n";
  std::string hide = hides_key ? "true" : "false";
  text += "apis:\n  plain: { path: /plain, upstream: main }\n";
  for (std::string_view in : {"header", "query", "cookie"}) {
    text += fmt::format("  keys-{0}:\n    path: /keys-{0}\n    upstream: second\n    policies:\n", in);
    text += fmt::format("      - api_key: {{ in: {}, name: {}, hide: {} }}\n", in,
                        in == "header" ? "X-API-Key" : "api_key", hide);
    text += consumer_limit;
  }
  text +=
      "  by-address:\n    path: /by-address\n    upstream: main\n    policies:\n"
      "      - sim_probe: { limit: address }\n      - rate_limit: { id: per-address, " +
      rate_text(address_rate) + ", key: address }\n";
  text +=
      "  by-tenant:\n    path: /by-tenant\n    upstream: main\n    policies:\n"
      "      - sim_probe: { limit: tenant }\n      - rate_limit: { id: per-tenant, " +
      rate_text(tenant_rate) +
      ", key: [ \"header:x-tenant\", address ], cost: 2 }\n"
      "    routes: [ { name: fixed, respond: { status: 200, body: counted } } ]\n";
  text += fmt::format(
      "  fixed:\n    path: /fixed\n    upstream: second\n    routes:\n"
      "      - {{ name: text, path: /text, respond: {{ status: 203, headers: {{ x-made: here }}, body: "
      "\"fixed "
      "{}\" }} }}\n"
      "      - {{ name: old, path: \"/old/{{rest**}}\", redirect: {{ to: \"/new/{{rest}}\", status: 308 }} "
      "}}\n"
      "      - {{ name: orders, path: \"/{{id}}/orders\", policies: [ {{ rewrite: {{ path: "
      "\"/internal/by-user/{{id}}\" }} }} ] }}\n"
      "      - {{ name: only, path: /only, methods: [GET, DELETE] }}\n",
      revision);
  text +=
      "  edit:\n    path: /edit\n    strip_path: true\n    upstream: main\n    policies:\n"
      "      - headers: { request: { set: { x-set: gateway }, add: { x-add: more, x-set: second }, remove: "
      "[x-drop] },"
      " response: { set: { x-answer-set: gateway }, remove: [x-answer-drop] } }\n";
  text +=
      "  pick:\n    path: /pick\n    upstream: main\n    routes:\n"
      "      - { name: bulk, methods: [POST], match: { body: { \"$.kind\": bulk } }, upstream: second }\n"
      "      - { name: beta, match: { headers: { x-channel: beta } }, priority: 1, upstream: second }\n"
      "      - { name: two, match: { query: { v: \"2\" } }, upstream: second }\n"
      "      - { name: rest }\n";
  text += "  small: { path: /small, upstream: main, limits: { request_body: 2KiB } }\n";
  text +=
      fmt::format("  slow: {{ path: /slow, upstream: main, timeouts: {{ total: {} }} }}\n", ms(slow_total));
  text +=
      "  divided: { path: /divided, split: [ { upstream: main, weight: 3 }, { upstream: second, weight: 1 } "
      "] }\n";
  text += "  virtual: { hosts: [api.sim.test], path: /plain, upstream: second }\n";
  text += "  wild: { hosts: [\"*.wild.test\"], path: /, upstream: second }\n";
  text += "  dead: { path: /dead, upstream: dead }\n  hole: { path: /hole, upstream: hole }\n";
  text += "  named: { path: /named, upstream: named }\n";
  text += routing_apis() + policy_apis() + shifting_apis(generation);
  if (even) text += "  gone: { path: /gone, upstream: main }\n";
  text +=
      "consumers:\n"
      "  alpha: { groups: [red, blue], credentials: [ { api_key: alpha-key } ] }\n"
      "  beta: { credentials: [ { api_key: beta-key }, { api_key: beta-second-key } ] }\n";
  if (even) text += "  gamma: { groups: [blue], credentials: [ { api_key: gamma-key } ] }\n";
  std::string parity = even ? "even" : "odd";
  text += fmt::format(
      "  delta: {{ groups: [{0}], credentials: [ {{ api_key: delta-key }} ] }}\n"
      "  {0}: {{ credentials: [ {{ api_key: wandering-key }} ] }}\n",
      parity);
  return text;
}

std::string Document::invalid() {
  return "version: 1\ngateway: { listen: [ { name: plain, address: 10.9.0.1:80 } ] }\n"
         "apis: { plain: { path: /plain, upstream: nobody } }\n";
}

}  // namespace sluice::sim
