#include "draw_calls.h"

#include <fmt/format.h>

#include <functional>

namespace sluice::sim {

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

void CallDrawer::draw_method(bool with_body) {
  static constexpr const char* kPlain[] = {"GET", "GET", "GET", "HEAD", "DELETE", "OPTIONS"};
  static constexpr const char* kBody[] = {"POST", "POST", "PUT", "PATCH"};
  call_->method = with_body ? kBody[random_.below(4)] : kPlain[random_.below(6)];
}

void CallDrawer::draw(Call& call, size_t client, bool last) {
  call_ = &call;
  call.side = side_;
  call.tls = tls_;
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
  draw_kind(last);
  draw_body();
  draw_deed();
  finish_head();
}

void CallDrawer::draw_kind(bool last) {
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
      return keys(random_.below(3) == 0 ? "cookie" : random_.below(2) ? "header" : "query");
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
        json_form_ = static_cast<JsonForm>(random_.below(5));
        bool bulk = json_kind_ == "bulk" && json_form_ != JsonForm::kTwice && json_form_ != JsonForm::kNested;
        proxied(bulk && call_->method == "POST" ? "second" : "main");
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
      target_ = chance(3) ? "/plain/a%00b" : chance(2) ? "/plain/%zz" : "/plain/../../up";
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
