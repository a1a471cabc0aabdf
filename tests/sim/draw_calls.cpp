#include "draw_calls.h"

#include <fmt/format.h>

#include <functional>

namespace sluice::sim {

namespace {

/// A method that carries a body here.
bool carries(std::string_view method) { return method == "POST" || method == "PUT" || method == "PATCH"; }

std::string hex(std::string_view bytes) {
  std::string text;
  for (char c : bytes) fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<uint8_t>(c));
  return text;
}

}  // namespace

void CallDrawer::both(const std::function<void(Expected&)>& change) {
  for (Expected& each : call_->expected) change(each);
}

void CallDrawer::proxied(std::string upstream) {
  both([&](Expected& each) {
    each.upstreams = {upstream};
    each.target = target_;
    each.host = upstream == "main" || upstream == "shift" ? host_ : upstream == "named" ? "literal.sim" : "";
  });
}

void CallDrawer::refuse(int status, std::string code) {
  both([&](Expected& each) {
    each.status = status;
    each.code = code;
    each.upstreams.clear();
  });
}

void CallDrawer::keep(std::string_view name, std::string_view value) {
  sent_.add(name, value);
  both([&](Expected& each) { each.forwarded.add(lower(name), value); });
}

size_t CallDrawer::draw_size() {
  switch (random_.below(16)) {
    case 0:
      return 0;
    case 1:
      return 60'000 + random_.below(140'000);
    case 2:
    case 3:
      return 4000 + random_.below(60'000);
    default:
      return random_.below(1500);
  }
}

void CallDrawer::draw_method(bool with_body) {
  static constexpr const char* kPlain[] = {"GET", "GET", "GET", "HEAD", "DELETE", "OPTIONS"};
  static constexpr const char* kBody[] = {"POST", "POST", "PUT", "PATCH"};
  call_->method = with_body ? kBody[random_.below(4)] : kPlain[random_.below(6)];
}

void CallDrawer::draw(Call& call, size_t client, bool last) {
  call_ = &call;
  call.side = side_;
  host_ = wire_host_ = "sim.test";
  told_host_ = false;
  options_.clear();
  minor_ = '1';
  sent_ = {};
  trusted_ = client == 0;
  client_address_ = kClientIps[client];
  json_kind_.clear();
  via_.clear();
  call.upstream_seed = random_.next();
  sent_.add("x-sim-exchange", std::to_string(call.number));
  both([&](Expected& each) { each.forwarded.add("x-sim-exchange", std::to_string(call.number)); });

  if (last && chance(6)) {
    call.kind = "malformed";
    return malformed();
  }
  draw_method(chance(3));
  if (random_.below(8) == 0 && !carries(call.method)) call.http10 = true;
  draw_extras(client);
  draw_kind(client, last);
  draw_body();
  draw_deed();
  finish_head();
}

void CallDrawer::keys(std::string_view in, size_t) {
  struct Known {
    const char* key;
    const char* consumer;
    const char* groups;
  };
  static constexpr Known kKnown[] = {{"alpha-key", "alpha", "red, blue"},
                                     {"beta-key", "beta", ""},
                                     {"beta-second-key", "beta", ""},
                                     {"gamma-key", "gamma", "blue"}};
  target_ = fmt::format("/keys-{}/{}", in, call_->number);
  auto put = [&](std::string_view key, bool twice) {
    std::string with = target_;
    if (in == "header") {
      sent_.add("X-API-Key", key);
      if (twice) sent_.add("X-API-Key", key);
    } else if (in == "query") {
      with += fmt::format("?a=1&api_key={}&z=2", key);
      if (twice) with += "&api_key=x";
    } else {
      sent_.add("Cookie", fmt::format("a=1; api_key={}; z=2", key));
      if (twice) sent_.add("Cookie", "api_key=x");
    }
    return with;
  };
  auto unknown = [&](std::string code) {
    refuse(401, std::move(code));
    both([](Expected& each) { each.fields.add("www-authenticate", "ApiKey"); });
  };
  uint64_t which = random_.below(10);
  if (which == 0) return unknown("missing_credential");
  if (which == 1) {
    target_ = put("no-such-key", false);
    return unknown("invalid_credential");
  }
  if (which == 2) {
    target_ = put("alpha-key", true);
    return unknown("repeated_credential");
  }
  const Known& known = kKnown[random_.below(4)];
  std::string with = put(known.key, false);
  std::string hidden = target_;
  if (in == "query") hidden += "?a=1&z=2";
  target_ = document_.hides_key ? hidden : with;
  call_->limit = "consumer";
  call_->limit_key = known.consumer;
  proxied("second");
  both([&](Expected& each) {
    each.forwarded.add("x-consumer-id", known.consumer);
    if (*known.groups) each.forwarded.add("x-consumer-groups", known.groups);
    if (in == "header" && !document_.hides_key) each.forwarded.add("x-api-key", known.key);
    if (in == "cookie")
      each.forwarded.add("cookie", document_.hides_key ? std::string("a=1; z=2")
                                                       : fmt::format("a=1; api_key={}; z=2", known.key));
  });
  target_ = with;
  if (known.consumer == std::string_view("gamma")) {
    call_->unknown_key_may_change = true;
    Expected& odd = call_->expected[1];
    odd.status = 401;
    odd.code = "invalid_credential";
    odd.upstreams.clear();
    odd.fields.add("www-authenticate", "ApiKey");
  }
}

void CallDrawer::draw_kind(size_t client, bool last) {
  std::string n = std::to_string(call_->number);
  uint64_t kind = theme_ ? *theme_ : random_.below(kKinds);
  auto name = [&](std::string_view text) { call_->kind = text; };
  switch (kind) {
    default:
      name("plain");
      target_ = "/plain/" + n;
      if (chance(4)) target_ += "?x=%20y&y";
      proxied("main");
      if (chance(6)) {
        target_ = "/plain/a/../%7E//" + n;
        both([&](Expected& each) { each.target = "/plain/~/" + n; });
      }
      return;
    case 1:
    case 2:
      name("keys");
      return keys(random_.below(3) == 0 ? "cookie" : random_.below(2) ? "header" : "query", client);
    case 3:
    case 4:
      name("by-address");
      target_ = "/by-address/" + n;
      proxied("main");
      call_->limit = "address";
      call_->limit_key = client_address_;
      return;
    case 5:
    case 6: {
      name("by-tenant");
      target_ = "/by-tenant";
      std::string tenant = fmt::format("tenant-{}", random_.below(2));
      sent_.add("X-Tenant", tenant);
      call_->limit = "tenant";
      call_->limit_key = tenant + "|" + client_address_;
      refuse(200, "");
      both([](Expected& each) { each.body = "counted"; });
      return;
    }
    case 7:
      name("respond");
      target_ = "/fixed/text";
      refuse(203, "");
      both([](Expected& each) {
        each.body = "fixed {revision}";
        each.fields.add("x-made", "here");
      });
      return;
    case 8:
      name("redirect");
      target_ = "/fixed/old/a/" + n + "?q=1";
      refuse(308, "");
      both([&](Expected& each) { each.fields.add("location", "/new/a/" + n + "?q=1"); });
      return;
    case 9:
      name("rewrite");
      target_ = "/fixed/" + n + "/orders?a=b";
      proxied("second");
      both([&](Expected& each) { each.target = "/internal/by-user/" + n + "?a=b"; });
      return;
    case 10:
      name("only");
      target_ = "/fixed/only";
      proxied("second");
      if (call_->method != "GET" && call_->method != "DELETE" && call_->method != "HEAD") {
        refuse(405, "method_not_allowed");
        both([](Expected& each) { each.fields.add("allow", "DELETE, GET, HEAD"); });
      }
      return;
    case 11:
    case 12:
      name("edit");
      target_ = "/edit/" + n;
      proxied("main");
      both([&](Expected& each) {
        each.target = "/" + n;
        edited(each);
      });
      if (chance(2)) sent_.add("X-Set", "client");
      if (chance(2)) keep("X-Add", "client");
      if (chance(2)) sent_.add("X-Drop", "client");
      return;
    case 13:
    case 14:
      name("pick");
      target_ = "/pick/" + n;
      if (carries(call_->method)) {
        json_kind_ = chance(2) ? "bulk" : "other";
        proxied(json_kind_ == "bulk" && call_->method == "POST" ? "second" : "main");
      } else if (chance(2)) {
        keep("X-Channel", "beta");
        proxied("second");
      } else {
        target_ += chance(2) ? "?v=2" : "?v=3";
        proxied(target_.ends_with('2') ? "second" : "main");
      }
      return;
    case 15:
      name("small");
      draw_method(true);
      call_->http10 = false;
      target_ = "/small/" + n;
      call_->upstream_behaves = true;
      proxied("main");
      return;
    case 16:
      name("slow");
      target_ = "/slow/" + n;
      call_->total = document_.slow_total;
      proxied("main");
      return;
    case 17:
      name("divided");
      target_ = "/divided/" + n;
      proxied("main");
      both([](Expected& each) { each.upstreams = {"main", "second"}; });
      return;
    case 18:
      name("virtual");
      host_ = wire_host_ = chance(2) ? "api.sim.test" : "a.b.wild.test";
      target_ = host_ == "api.sim.test" ? "/plain/" + n : "/any/" + n;
      proxied("second");
      return;
    case 19:
      name("dead");
      target_ = "/dead";
      refuse(502, "upstream_refused");
      return;
    case 20:
      name("hole");
      target_ = "/hole";
      refuse(504, "upstream_connect_timeout");
      return;
    case 21:
      name("named");
      target_ = "/named/" + n;
      proxied("named");
      return;
    case 22: {
      name("gone");
      target_ = "/gone/" + n;
      proxied("main");
      Expected& odd = call_->expected[1];
      odd.status = 404;
      odd.code = "no_route";
      odd.upstreams.clear();
      return;
    }
    case 23:
      name("unmatched");
      target_ = chance(2) ? "/nothing" : "/fixed/unknown";
      refuse(404, "no_route");
      return;
    case 24:
      name("loop");
      target_ = "/plain/" + n;
      sent_.add("Via", "1.1 sluice, 1.1 sluice");
      sent_.add("Via", "1.0 sluice");
      refuse(508, "loop_detected");
      return;
    case 25:
      name("star");
      draw_method(false);
      call_->method = chance(2) ? "OPTIONS" : "TRACE";
      target_ = call_->method == "OPTIONS" ? "*" : "/plain";
      refuse(call_->method == "OPTIONS" ? 204 : 405, call_->method == "OPTIONS" ? "" : "method_not_allowed");
      both([](Expected& each) { each.fields.add("allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"); });
      return;
    case 26:
      name("bad-path");
      target_ = chance(2) ? "/plain/%zz" : "/plain/../../up";
      refuse(400, "?");
      both([](Expected& each) { each.outside_chain = true; });
      return;
    case 27:
      if (!last) {
        target_ = "/plain/" + n;
        name("plain");
        proxied("main");
        return;
      }
      name("bad-chunk");
      call_->method = "POST";
      call_->http10 = false;
      call_->broken_frame = true;
      call_->upstream_behaves = true;
      target_ = "/plain/" + n;
      proxied("main");
      return;
    case 28:
    case 29:
    case 30:
      return twisted();
    case 31:
    case 32:
    case 33:
      return places();
    case 34:
    case 35:
    case 36:
      return chains();
    case 37:
    case 38:
      return shifting();
    case 39:
    case 40:
      return oddities();
  }
}

void CallDrawer::draw_body() {
  Call& call = *call_;
  if (!carries(call.method) || call.method == "TRACE") return;
  call.has_body = true;
  size_t size = draw_size();
  if (call.kind == "small") size = chance(2) ? 2046 + random_.below(5) : random_.below(6000);
  call.body = identity_bytes(2 * uint64_t{call.number}, size);
  // What has no body could be sent again unseen, if it were not for its method.
  if (json_kind_.empty() && call.kind != "bad-chunk" && chance(4)) call.body.clear();
  if (!json_kind_.empty())
    call.body = fmt::format("{{\"n\":{},\"kind\":\"{}\",\"pad\":\"{}\"}}", call.number, json_kind_,
                            hex(identity_bytes(2 * uint64_t{call.number}, std::min<size_t>(size, 40'000))));
  keep("Content-Type", json_kind_.empty() ? "application/octet-stream" : "application/json");
  call.chunked = call.kind == "bad-chunk" || (!call.body.empty() && chance(2));
  if (call.chunked) {
    bool broken = call.kind == "bad-chunk";
    if (!broken && chance(3)) call.trailers.add("x-sim-trailer", std::to_string(call.number));
    // Not too many chunks with extensions, which the gateway takes for an attack.
    size_t chunk = 1 + random_.below(5000);
    std::string_view extension = chunk > 100 && chance(3) ? ";ext=1" : "";
    if (size > 20'000) chunk += 500;
    // What would have to be judged before the body came is no trailer (RFC 9110, section 6.5.1).
    Fields sent = call.trailers;
    if (!broken && chance(4)) sent.add("Authorization", "Bearer late");
    if (!broken && chance(4)) sent.add("X-Request-Id", "late");
    call.body_wire = chunked(call.body, chunk, sent, extension);
    sent_.add("Transfer-Encoding", chance(4) ? "Chunked" : "chunked");
    if (broken) call.body_wire.replace(call.body_wire.size() - 5, 5, "zz\r\n\r\n");
  } else {
    call.body_wire = call.body;
    sent_.add("Content-Length", std::to_string(call.body.size()));
  }
  if (call.kind == "bad-chunk") {
    call.trailers = {};
    refuse(400, "bad_chunk_size");
    both([](Expected& each) { each.upstreams = {"main"}; });
    return;
  }
  if (call.kind == "small" && call.body.size() > 2048) {
    refuse(413, "request_too_large");
    if (call.chunked) both([](Expected& each) { each.upstreams = {"main"}; });
  }
  bool empty = !call.chunked && call.body.empty();
  if (!empty && chance(5)) {
    call.expects_continue = true;
    sent_.add("Expect", "100-continue");
    // A route that looks at the body first says 100 itself.
    if (call.kind != "pick")
      both([](Expected& each) { each.forwarded.add("expect", "100-continue"); });
    else if (call.method != "POST")
      both([](Expected& each) { each.forwarded.add("expect", "100-continue"); });
  }
}

void CallDrawer::draw_deed() {
  Call& call = *call_;
  if (profile_.slow_peers && chance(3)) {
    call.write_piece = 1 + random_.below(2000);
    call.write_pause = std::chrono::milliseconds(random_.below(20));
    // Slow, but never so slow that it is refused.
    size_t bytes = call.body_wire.size() + 600;
    call.write_piece = std::max(call.write_piece, bytes / 50 + 1);
  }
  if (chance(3)) call.pause_before = std::chrono::milliseconds(random_.below(400));
  if (!profile_.client_deeds || call.kind == "bad-chunk") return;
  if (!json_kind_.empty() && chance(4)) {  // whoever looks into the body must not wait for ever
    call.deed = ClientDeed::kStallRequest;
    call.deed_at = 1200 + random_.below(call.body_wire.size());
    if (call.body_wire.size() < 2000) call.deed = ClientDeed::kNone;
    return;
  }
  if (!chance(6)) return;
  if (call.body_wire.size() > 3000 && chance(4)) {
    call.deed = ClientDeed::kTrickle;
    call.deed_at = 1200 + random_.below(call.body_wire.size() - 2500);
    return;
  }
  call.deed = static_cast<ClientDeed>(1 + random_.below(6));
  if (call.deed == ClientDeed::kLeave)
    call.pause_before = std::max<Duration>(call.pause_before, std::chrono::milliseconds(150));
  call.deed_at = random_.below(200);
  if (chance(2)) call.deed_at = random_.below(300 + call.body_wire.size());
}

void CallDrawer::finish_head() {
  Call& call = *call_;
  std::string connection;
  if (call.http10) {
    call.asks_close = chance(2);
    if (!call.asks_close) connection = "keep-alive";
  } else if (chance(10)) {
    call.asks_close = true;
    connection = "close";
  }
  if (chance(4)) {
    connection += connection.empty() ? "X-Hop" : ", X-Hop";
    sent_.add("X-Hop", "for one connection only");
  }
  if (!options_.empty()) connection += connection.empty() ? options_.substr(2) : options_;
  if (!connection.empty()) sent_.add("Connection", connection);
  both([&](Expected& each) {
    if (!told_host_ && !host_.empty()) each.forwarded.add("x-forwarded-host", host_);
    each.forwarded.add("via", via_ + (call.http10 ? "1.0 sluice" : "1.1 sluice"));
  });
  std::string target = target_;
  if (!call.http10 && target.starts_with('/') && chance(12)) {
    target = "http://" + wire_host_ + target;
    wire_host_ = "ignored.test";
  }
  call.host = host_;
  call.path = target_.substr(0, target_.find('?'));
  call.client_address = client_address_;
  call.head_wire = chance(12) ? "\r\n" : "";
  call.head_wire += call.method + " " + target + " HTTP/1." + (call.http10 ? '0' : minor_) + "\r\n";
  if (!wire_host_.empty()) call.head_wire += "Host: " + wire_host_ + "\r\n";
  for (const Field& field : sent_.all) call.head_wire += field.name + ": " + field.value + "\r\n";
  call.head_wire += "\r\n";
}

void CallDrawer::malformed() {
  struct Case {
    const char* head;
    int status;
    const char* code;
  };
  static const std::string kLong(1200, 'x');
  static const std::string kLarge(4200, 'x');
  static const std::string kMany = [] {
    std::string text;
    for (int i = 0; i < 41; ++i) text += "a: b\r\n";
    return text;
  }();
  const Case cases[] = {
      {"GET /plain HTTP/1.1\r\nHost: a\r\nBad Name: x\r\n", 400, "bad_field_name"},
      {"GET /plain HTTP/1.1\r\nHost: a\r\nName : x\r\n", 400, "space_before_colon"},
      {"GET /plain HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n", 400, "obs_fold"},
      {"POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n", 400,
       "length_and_coding"},
      {"POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n", 400,
       "repeated_content_length"},
      {"POST /plain HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n", 400, "bad_content_length"},
      {"POST /plain HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n", 400,
       "transfer_encoding_in_http10"},
      {"POST /plain HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n", 501,
       "unknown_transfer_coding"},
      {"GET /plain HTTP/1.1\r\n", 400, "no_host"},
      {"GET /plain HTTP/1.1\r\nHost: a\r\nHost: b\r\n", 400, "repeated_host"},
      {"GET /plain HTTP/2.0\r\nHost: a\r\n", 505, "version_not_supported"},
      {"GET  /plain HTTP/1.1\r\nHost: a\r\n", 400, "bad_start_line"},
      {"long", 414, "target_too_long"},
      {"large", 431, "head_too_large"},
      {"many", 431, "too_many_fields"},
  };
  const Case& chosen = cases[random_.below(std::size(cases))];
  Call& call = *call_;
  call.broken_frame = true;
  std::string head = chosen.head;
  if (head == "long") head = "GET /plain/" + kLong + " HTTP/1.1\r\nHost: a\r\n";
  if (head == "large") head = "GET /plain HTTP/1.1\r\nHost: a\r\nX-Large: " + kLarge + "\r\n";
  if (head == "many") head = "GET /plain HTTP/1.1\r\nHost: a\r\n" + kMany;
  call.method = head.starts_with("POST") ? "POST" : "GET";
  call.head_wire = head + "\r\n";
  refuse(chosen.status, chosen.code);
  both([](Expected& each) { each.outside_chain = true; });
}

}  // namespace sluice::sim
