// How upstreams answer: what is drawn for one try of a call, and the bytes that it is.
#include "upstream.h"

namespace sluice::sim {

namespace {

using After = ServingPlan::After;

void draw_deed(ServingPlan& plan, const Call& call, Random& random) {
  plan.deed = static_cast<UpstreamDeed>(1 + random.below(14));
  plan.cut = random.next() % 1'000'000;
  plan.early = false;
  switch (plan.deed) {
    case UpstreamDeed::kSwallowsNothing:
      if (!call.has_body) plan.deed = UpstreamDeed::kSilence;
      return;
    case UpstreamDeed::kTruncated:
    case UpstreamDeed::kResetInBody:
    case UpstreamDeed::kStallInBody:
    case UpstreamDeed::kBadChunk: {
      // These need a body.
      if (call.method == "HEAD") {
        plan.deed = UpstreamDeed::kReset;
        return;
      }
      plan.status = 200;
      plan.trailers = false;
      plan.size = std::max<size_t>(plan.size, 10);
      plan.framing =
          random.below(2) && plan.deed != UpstreamDeed::kBadChunk ? Framing::kLength : Framing::kChunked;
      return;
    }
    default:
      return;
  }
}

}  // namespace

ServingPlan draw_serving(const Call& call, size_t attempt, const Profile& profile) {
  Random random(call.upstream_seed + attempt * 0x51ed27);
  auto chance = [&](uint64_t one_in) { return random.below(one_in) == 0; };
  static constexpr int kStatuses[] = {200, 200, 200, 200, 201, 204, 301, 304, 404, 500, 503, 429};
  static constexpr Framing kFramings[] = {Framing::kLength, Framing::kLength, Framing::kChunked,
                                          Framing::kUntilClose};
  ServingPlan plan;
  plan.status = kStatuses[random.below(std::size(kStatuses))];
  plan.size = chance(12) ? 20'000 + random.below(180'000) : random.below(3000);
  if (chance(10)) plan.size = 0;
  plan.framing = kFramings[random.below(4)];
  plan.chunk = plan.size > 20'000 ? 1000 + random.below(9000) : 1 + random.below(2000);
  plan.early = chance(6) && !call.upstream_behaves;
  plan.says_close = chance(12);
  plan.closes = plan.says_close || plan.framing == Framing::kUntilClose;
  plan.trailers = chance(3);
  plan.http10 = chance(12);
  plan.twice_length = chance(6);
  plan.odd_204 = chance(4);
  if (call.kind == "named" && chance(2)) plan.says_close = plan.closes = true;
  if (chance(8)) plan.interim = 1 + static_cast<int>(random.below(3));
  if (chance(3)) plan.delay = std::chrono::milliseconds(random.below(300));
  if (call.kind == "slow" && chance(2)) plan.delay = std::chrono::seconds(4);
  if (profile.slow_peers && chance(3)) {
    plan.piece = 1 + plan.size / (1 + random.below(8));
    plan.body_pause = std::chrono::milliseconds(random.below(call.kind == "slow" ? 20 : 400));
    plan.read_pause_after = random.below(500);
    if (chance(12) && plan.size >= 1000 &&
        call.kind != "slow") {  // within `stream_idle`, and beyond all that clients are allowed
      plan.chunk = std::max<size_t>(plan.chunk, 500);
      plan.piece = 100 + plan.size / 2;
      plan.body_pause = std::chrono::seconds(7);
    }
  }
  if (chance(6)) {
    plan.after = static_cast<After>(1 + random.below(4));
    plan.after_pause = std::chrono::milliseconds(1 + random.below(chance(2) ? 3000 : 60));
    if (!profile.upstream_deeds && plan.after != After::kEnd) plan.after = After::kKeep;
    if (plan.after == After::kGlued && (plan.size > 20'000 || plan.piece || plan.closes || plan.early))
      plan.after = After::kKeep;
  }
  // Just so that its end and the gateway's next request are on their way at once.
  auto way = static_cast<uint64_t>(profile.latency.count());
  if (way && chance(4)) {
    plan.after = After::kEnd;
    plan.after_pause = 2 * profile.latency + Duration(random.below(2 * way));
  }
  if (profile.upstream_deeds && !call.upstream_behaves && chance(5)) draw_deed(plan, call, random);
  if (call.deed == ClientDeed::kLeave && chance(2)) {  // whoever leaves has had to wait
    plan.deed = UpstreamDeed::kSilence;
    plan.early = false;
    plan.delay = {};
  }
  if (plan.deed != UpstreamDeed::kAnswer) plan.after = After::kKeep;
  plan.http10 &= plan.framing != Framing::kChunked;
  return plan;
}

std::string serve_head(Serving& serving, const ServingPlan& plan) {
  const Call& call = *serving.call;
  Random random(call.upstream_seed + 17 * call.servings.size());
  serving.status = plan.status;
  bool bodyless = plan.status == 204 || plan.status == 304;
  serving.body = identity_bytes(2 * uint64_t{serving.number} + 1, bodyless ? 0 : plan.size);
  Fields& fields = serving.fields;
  fields = {};
  fields.add("x-sim-serving", std::to_string(serving.number));
  fields.add("content-type", "application/octet-stream");
  if (random.below(2)) fields.add("x-answer-set", "upstream");
  if (random.below(2)) fields.add("x-answer-drop", "upstream");
  if (random.below(3) == 0) fields.add("server", "sim/1");
  if (random.below(3) == 0) fields.add("date", "Mon, 05 Jan 2026 00:00:00 GMT");
  if (random.below(3) == 0) {
    fields.add("set-cookie", "a=1");
    fields.add("set-cookie", "b=2");
  }
  Fields hidden;
  if (random.below(3) == 0) hidden.add("x-request-id", "theirs");
  if (random.below(3) == 0) hidden.add("keep-alive", "timeout=9");
  if (random.below(6) == 0) hidden.add("proxy-authenticate", "Basic");
  std::string connection = plan.says_close ? "close" : "";
  if (random.below(4) == 0) {
    hidden.add("x-up-hop", "for one connection only");
    connection += connection.empty() ? "x-up-hop" : ", x-up-hop";
  }
  if (!connection.empty()) hidden.add("connection", connection);
  serving.trailers = {};
  bool no_body = bodyless || call.method == "HEAD";
  serving.rule = {bodyless ? Framing::kNone : plan.framing, serving.body.size()};
  if (!bodyless && plan.framing == Framing::kLength)
    for (int i = 0; i < (plan.twice_length ? 2 : 1); ++i)
      hidden.add("content-length", std::to_string(serving.body.size()));
  // Of the body that a 200 would have had (RFC 9110, section 15.4.5).
  if (plan.status == 304 && plan.twice_length) hidden.add("content-length", "7");
  if (plan.status == 204 && plan.odd_204) hidden.add("content-length", "7");
  serving.http10 = plan.http10;
  serving.last = plan.says_close || plan.http10 || (plan.status == 204 && plan.odd_204);
  if (!bodyless && plan.framing == Framing::kChunked) {
    hidden.add("transfer-encoding", random.below(4) ? "chunked" : "Chunked");
    if (plan.trailers && !no_body) serving.trailers.add("x-sim-trailer", std::to_string(serving.number));
  }
  std::string head = fmt::format("HTTP/1.{} {} Some Reason\r\n", plan.http10 ? 0 : 1, plan.status);
  for (const Fields* list : {&fields, &hidden})
    for (const Field& field : list->all) head += field.name + ": " + field.value + "\r\n";
  return head + "\r\n";
}

std::string serving_wire(const Serving& serving, const ServingPlan& plan) {
  if (serving.rule.framing == Framing::kNone || serving.call->method == "HEAD") return {};
  if (serving.rule.framing == Framing::kChunked) {
    Fields sent = serving.trailers;
    if (plan.trailers) sent.add("set-cookie", "late=1");
    return chunked(serving.body, plan.chunk, sent, "");
  }
  return serving.body;
}

}  // namespace sluice::sim
