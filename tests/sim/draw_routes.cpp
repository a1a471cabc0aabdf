// Calls of the APIs in document_apis.cpp: what their routes, policies and reloads must come to.
#include "draw_calls.h"

namespace sluice::sim {

/// An answer that a route has by itself.
void CallDrawer::made(int status, std::string_view body) {
  refuse(status, "");
  both([&](Expected& each) { each.body = body; });
}

void CallDrawer::refuse_method(std::string_view allow) {
  refuse(405, "method_not_allowed");
  both([&](Expected& each) { each.fields.add("allow", allow); });
}

void CallDrawer::twisted() {
  Call& call = *call_;
  std::string n = std::to_string(call.number);
  call.kind = "twisted";
  auto rewritten = [&](const std::string& target, const std::string& to) {
    target_ = target;
    proxied("second");
    both([&](Expected& each) { each.target = to; });
  };
  switch (random_.below(9)) {
    default:
      return rewritten("/twisted/u" + n + "/items/i" + n, "/internal/i" + n + "/of/u" + n);
    case 1:  // the literal leads nowhere, the parameter does
      return rewritten("/twisted/text/orders", "/internal/by-user/text");
    case 2:
      target_ = "/twisted/text/plain";
      made(200, "literal");
      return both([](Expected& each) {
        each.fields.add("x-made", "here");
        each.fields.add("x-made-too", "there");
      });
    case 3:
      target_ = "/twisted/moved/" + n + "?q=1";
      made(301, "");
      return both([&](Expected& each) { each.fields.add("location", "/found?id=" + n); });
    case 4:
      target_ = "/twisted/purge";
      call.method = chance(2) ? "PURGE" : "BREW";
      call.http10 = false;
      if (call.method == "BREW") return refuse_method("GET, HEAD, PURGE");
      return proxied("second");
    case 5:
      target_ = "/twisted/both";
      if (call.method == "HEAD") return made(204, "");
      if (call.method == "GET") return made(200, "got");
      return refuse_method("GET, HEAD");
    case 6:
      target_ = "/twisted/tier";
      return made(200, call.method == "DELETE" ? "named" : "any");
    case 7:
      return conditions();
    case 8:
      target_ = "/twisted/level/" + n;
      return made(200, "high");
  }
}

void CallDrawer::conditions() {
  bool field = chance(2);
  if (field) sent_.add("X-A", chance(4) ? "b" : "b ");
  if (chance(4)) sent_.add("X-A", "c");
  if (chance(2)) {
    target_ = "/twisted/keyed";
    if (!field) return refuse(404, "no_route");
    if (call_->method == "GET" || call_->method == "HEAD") return made(200, "keyed");
    return refuse_method("GET, HEAD");
  }
  struct Case {
    const char* query;
    bool holds;
  };
  static constexpr Case kCases[] = {{"?q=a+b", true},  {"?q=a%20b", true}, {"?q=x&q=a+b", true},
                                    {"?q=a", false},   {"?q=%61", false},  {"?q=a+bc", false},
                                    {"?p=a+b", false}, {"", false}};
  const Case& chosen = kCases[random_.below(std::size(kCases))];
  target_ = std::string("/twisted/two") + chosen.query;
  made(200, !field ? "none" : chosen.holds ? "two" : "one");
}

/// Where a host or a slash decides.
void CallDrawer::places() {
  std::string n = std::to_string(call_->number);
  call_->kind = "places";
  auto hosted = [&](const char* host, const char* path, const char* upstream) {
    wire_host_ = host;
    host_ = lower(host);
    target_ = path + n;
    proxied(upstream);
  };
  auto path = [&](const std::string& sent, const std::string& forwarded, const char* upstream) {
    target_ = sent;
    proxied(upstream);
    both([&](Expected& each) { each.target = forwarded; });
  };
  switch (random_.below(15)) {
    default:
      return path("/plain/inner/" + n, "/plain/inner/" + n, "second");
    case 1:
      return path("/plain/innermost/" + n, "/plain/innermost/" + n, "main");
    case 2:
      return hosted("API.Sim.Test", "/plain/", "second");
    case 3:
      return hosted("api.sim.test:80", "/plain/", "second");
    case 4:
      return hosted("api.sim.test.", "/plain/", "second");
    case 5:
      return hosted("exact.wild.test", "/any/", "main");
    case 6:
      return hosted("exact.wild.test", "/other/", "second");
    case 7:
      hosted("api.sim.test", "/by-host/../plain/innermost/", "second");
      return both([&](Expected& each) { each.target = "/plain/innermost/" + n; });
    case 8:  // a host of its own, and a path that only APIs for any host have
      return hosted("api.sim.test", "/keep/", "second");
    case 9: {
      bool slash = chance(2);
      target_ = (slash ? "/strict//" : "/strict/a%2fb/") + n;
      return refuse(400, slash ? "repeated_slash" : "encoded_slash");
    }
    case 10:
      return path("/keep//a///" + n, "/keep//a///" + n, "second");
    case 11:
      return path("/plain/a%2fb%5c/" + n, "/plain/a%2Fb%5C/" + n, "main");
    case 12:
      return path("/plain/a/..;x=1/" + n + "/.", "/plain/" + n + "/", "main");
    case 14:
      target_ = "//keep/deep/" + n;
      return made(200, "deep");
    case 13:
      target_ = "/edit";
      proxied("main");
      return both([&](Expected& each) {
        each.target = "/";
        edited(each);
      });
  }
}

void CallDrawer::edited(Expected& each) {
  each.forwarded.set("x-forwarded-prefix", "/edit");
  each.forwarded.add("x-set", "gateway");
  each.forwarded.add("x-set", "second");
  each.forwarded.add("x-add", "more");
  each.edits.add("x-answer-set", "gateway");
  each.removed.push_back("x-answer-drop");
}

/// Where policies meet.
void CallDrawer::chains() {
  std::string n = std::to_string(call_->number);
  switch (random_.below(8)) {
    default:
      call_->kind = "anyone";
      target_ = "/anyone";
      call_->limit = "anyone";
      call_->limit_key = client_address_;
      made(200, "counted");
      return both([](Expected& each) { each.fields.add("x-behind-limit", "yes"); });
    case 7:
      return owners();
    case 1:
    case 2: {
      bool left = chance(2);
      call_->kind = "place";
      target_ = left ? "/place/left" : "/place/right";
      call_->limit = "place";
      call_->limit_key = (left ? "left " : "right ") + client_address_;
      return made(200, "counted");
    }
    case 3:
      call_->kind = "ordered";
      target_ = "/ordered/" + n;
      if (chance(2)) sent_.add("X-Both", "client");
      if (chance(2)) sent_.add("X-More", "client");
      proxied("second");
      return both([](Expected& each) {
        each.forwarded.add("x-both", "inner");
        each.forwarded.add("x-more", "outer");
        each.edits.add("x-order", "outer");
        each.removed.push_back("server");
        each.removed.push_back("date");
      });
    case 4:
      call_->kind = "dry";
      target_ = "/dry/" + n;
      return proxied("second");
    case 5:
      call_->kind = "dry";
      target_ = "/dry/made";
      return made(200, "dry");
    case 6:
      call_->kind = "quiet";
      target_ = "/quiet";
      return made(200, "quiet");
  }
}

/// What little reloads change.
void CallDrawer::shifting() {
  std::string n = std::to_string(call_->number);
  switch (random_.below(4)) {
    default:
      call_->kind = "gen";
      target_ = "/gen/steady";
      return made(200, "steady");
    case 1:
      call_->kind = "gen";
      target_ = "/gen/now";
      return made(200, "generation {generation}");
    case 2:
      call_->kind = "shift";
      target_ = "/shift/" + n;
      return proxied("shift");
    case 3:
      call_->kind = "shift";
      target_ = "/shifts/" + n;
      proxied("shift");
      return both([](Expected& each) { each.upstreams.push_back("second"); });
  }
}

/// What the protocol leaves open.
void CallDrawer::oddities() {
  std::string n = std::to_string(call_->number);
  call_->kind = "odd";
  target_ = "/plain/" + n;
  switch (random_.below(4)) {
    default:
      // HTTP/1.0 needs no Host.
      draw_method(false);
      call_->http10 = true;
      wire_host_.clear();
      host_.clear();
      return proxied("main");
    case 1:  // a later 1.x is read as 1.1
      call_->http10 = false;
      minor_ = static_cast<char>('2' + random_.below(8));
      return proxied("main");
    case 2:
      draw_method(false);
      sent_.add("Expect", "miracles");
      refuse(417, "unknown_expectation");
      return both([](Expected& each) { each.outside_chain = true; });
    case 3:
      call_->kind = "aside";
      target_ = "/aside/" + n;
      return side_ ? proxied("second") : refuse(404, "no_route");
  }
}

}  // namespace sluice::sim
