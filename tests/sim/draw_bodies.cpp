// The bodies that calls send, and how they are framed.
#include <fmt/format.h>

#include "draw_calls.h"

namespace sluice::sim {

namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (char c : bytes) fmt::format_to(std::back_inserter(text), "{:02x}", static_cast<uint8_t>(c));
  return text;
}

}  // namespace

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

/// The routes of `pick` choose by its `kind`.
std::string CallDrawer::json(size_t pad_bytes) const {
  std::string kind = fmt::format("\"kind\":\"{}\"", json_kind_);
  std::string pad = hex(identity_bytes(2 * uint64_t{call_->number}, pad_bytes));
  // Where it counts it is in the 64 KiB that the gateway looks at.
  constexpr size_t kLooked = 60'000;
  switch (json_form_) {
    case JsonForm::kFirst:
      break;
    case JsonForm::kLast:
      return fmt::format("{{\"pad\":\"{}\",{}}}", pad.substr(0, kLooked), kind);
    case JsonForm::kEscaped:
      return fmt::format("{{\"k\\u0069nd\":\"{}\",\"pad\":\"{}\"}}", json_kind_, pad);
    case JsonForm::kTwice:
      pad.resize(std::min(pad.size(), kLooked));
      return call_->number % 2 ? fmt::format("{{{},\"pad\":\"{}\",\"kind\":\"third\"}}", kind, pad)
                               : fmt::format("{{\"kind\":\"third\",\"pad\":\"{}\",{}}}", pad, kind);
    case JsonForm::kNested:
      return fmt::format("{{\"n\":{{{}}},\"pad\":\"{}\"}}", kind, pad);
  }
  return fmt::format("{{\"n\":{},{},\"pad\":\"{}\"}}", call_->number, kind, pad);
}

/// Chunks that no gateway may take for a whole body.
void CallDrawer::break_chunks() {
  Call& call = *call_;
  constexpr size_t kLastChunk = 5;
  std::string& wire = call.body_wire;
  switch (random_.below(3)) {
    default:
      wire.replace(wire.size() - kLastChunk, kLastChunk, "zz\r\n\r\n");
      return refuse(400, "bad_chunk_size");
    case 1:
      wire.insert(wire.size() - 2, "x-large: " + std::string(40'000, 'x') + "\r\n");
      return refuse(431, "trailers_too_large");
    case 2:
      call.body = identity_bytes(2 * uint64_t{call.number}, 1000);
      wire = chunked(call.body, 1, {}, ";padding=" + std::string(50, 'x'));
      return refuse(400, "chunk_overhead");
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
  if (!json_kind_.empty()) call.body = json(std::min<size_t>(size, 40'000));
  keep("Content-Type", json_kind_.empty() ? "application/octet-stream" : "application/json");
  call.chunked = call.kind == "bad-chunk" || (!call.body.empty() && chance(2));
  if (call.chunked) {
    bool broken = call.kind == "bad-chunk";
    if (!broken && chance(3)) call.trailers.add("x-sim-trailer", std::to_string(call.number));
    // Not too many chunks with extensions, which the gateway takes for an attack.
    size_t chunk = 1 + random_.below(5000);
    std::string_view extension = chunk <= 100 || !chance(3) ? "" : chance(2) ? ";ext=1" : ";a=\"b;\\\"c\";d";
    if (size > 20'000) chunk += 500;
    // What would have to be judged before the body came is no trailer (RFC 9110, section 6.5.1).
    Fields sent = call.trailers;
    if (!broken && chance(4)) sent.add("Authorization", "Bearer late");
    if (!broken && chance(4)) sent.add("X-Request-Id", "late");
    call.body_wire = chunked(call.body, chunk, sent, extension);
    sent_.add("Transfer-Encoding", chance(4) ? "Chunked" : "chunked");
    if (broken) break_chunks();
  } else {
    call.body_wire = call.body;
    sent_.add("Content-Length", std::to_string(call.body.size()));
  }
  if (call.kind == "bad-chunk") {
    call.trailers = {};
    return both([](Expected& each) { each.upstreams = {"main"}; });
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

}  // namespace sluice::sim
