#include "handlers/proxy/mirror.h"

#include "gateway/worker.h"
#include "handlers/proxy/forwarding.h"
#include "io/linked_token.h"
#include "io/sleep.h"

namespace sluice::handlers {

namespace {

using telemetry::MirrorResult;

/// Copies that a worker has on their way at once; more are left out.
constexpr size_t kMostAtOnce = 1024;
/// Of an answer; the connection is closed for the rest.
constexpr size_t kMostAnswer = 1 << 20;
constexpr int kMostInterim = 8;
/// After the head.
constexpr Duration kBodyTime = std::chrono::seconds(10);

/// A copy of a request, and where it goes.
struct Copy {
  Arena arena;
  http::Request request{arena};
  std::string body;
  std::string host;
  bool te_trailers = false;
  std::shared_ptr<const gateway::Upstream> upstream;
  gateway::TargetPointer target;  // of `upstream`
  telemetry::Group<telemetry::Counter, MirrorResult> metrics;
};

std::unique_ptr<Copy> copy_of(const gateway::Exchange& exchange, const gateway::MirrorChoice& mirror,
                              gateway::TargetPointer target, const std::string* body) {
  auto copy = std::make_unique<Copy>();
  const http::Request& from = exchange.request;
  http::Request& to = copy->request;
  to.method = from.method;
  to.method_text = copy->arena.copy(from.method_text);
  to.path = copy->arena.copy(from.path);
  to.query = copy->arena.copy(from.query);
  to.has_query = from.has_query;
  for (const http::Field& field : from.fields)
    to.fields.add({copy->arena.copy(field.name), copy->arena.copy(field.value), field.id});
  if (body) {
    copy->body = *body;
    to.body = http::BodyLength::known(body->size());
  }
  copy->host = host_for(exchange, *mirror.upstream, *target);
  copy->te_trailers = exchange.server.te_trailers;
  copy->upstream = mirror.upstream;
  copy->target = std::move(target);
  copy->metrics = mirror.metrics;
  return copy;
}

/// Until its answer has ended; the status, 0 without one.
io::Task<int> converse(http::ClientExchange& client, Copy& copy) {
  client.begin(copy.request,
               {.host = copy.host, .base_path = copy.target->base_path, .te_trailers = copy.te_trailers});
  bool sent = false;
  if (copy.body.empty()) {
    auto written = co_await client.send_head();
    sent = written.has_value();
  } else {
    http::TransferWatch watch = client.watch({});
    auto written = co_await client.send_body(http::Body::of(copy.body), watch);
    sent = written.outcome == http::WriteResult::Outcome::kComplete;
  }
  http::Response head(copy.arena);
  bool known = false;
  for (int interim = 0; interim < kMostInterim; ++interim) {
    head = http::Response(copy.arena);
    auto read = co_await client.read_head(head);
    known = read && head.status >= 200;
    if (!read || known) break;
  }
  http::BodyReader* body = known ? client.body() : nullptr;
  for (size_t size = 0; body && size < kMostAnswer;) {
    auto chunk = co_await body->read();
    if (!chunk || chunk->end) break;
    size += chunk->bytes.size();
  }
  client.end(sent);
  co_return known ? head.status : 0;
}

io::Task<> deliver(gateway::Worker& worker, std::unique_ptr<Copy> copy) {
  gateway::Worker::Background& background = worker.background();
  const gateway::Upstream& upstream = *copy->upstream;
  gateway::UpstreamPlace taken(upstream.load(), upstream.bounds, worker.number());
  if (!taken) {
    worker.metrics().add(copy->metrics[MirrorResult::kFull]);
    co_return;
  }
  ++background.mirrored;
  if (upstream.balancer().counts_requests()) copy->target->identity->load.enter();
  io::LinkedToken token(background.token);
  Duration longest = upstream.timeouts.connect + upstream.timeouts.response_head + kBodyTime;
  io::Deadline deadline(worker.loop(), worker.loop().now() + longest, token);
  gateway::ConnectionPool& pool = worker.pools().of(*copy->target, upstream);
  http::ExchangePlace place{token, copy->arena, worker.limits()};
  http::ClientExchange* client = pool.start_at_hand(place, false);
  if (!client) {
    auto started = co_await pool.start_on_new(place, upstream.timeouts.connect, {});
    if (started) client = *started;
  }
  int status = 0;
  if (client) status = co_await converse(*client, *copy);
  if (!token.cancelled() && upstream.record(*copy->target, status))
    worker.health().failing(copy->target->identity);
  worker.metrics().add(copy->metrics[status > 0 ? MirrorResult::kAnswered : MirrorResult::kFailed]);
  if (upstream.balancer().counts_requests()) copy->target->identity->load.leave();
  --background.mirrored;
}

}  // namespace

bool MirroredBody::try_read(http::ChunkResult& result) {
  if (!source_.try_read(result)) return false;
  accept(result);
  return true;
}

io::Task<http::ChunkResult> MirroredBody::wait_read() {
  auto result = co_await source_.read();
  accept(result);
  co_return result;
}

void MirroredBody::accept(const http::ChunkResult& result) {
  if (!result) return;
  ended_ = result->end;
  if (too_large_) return;
  too_large_ = text_.size() + result->bytes.size() > most_;
  if (too_large_)
    std::exchange(text_, {}).clear();
  else
    text_.append(result->bytes);
}

Mirroring::Mirroring(gateway::Exchange& exchange, std::span<const gateway::MirrorChoice> mirrors)
    : exchange_(exchange), mirrors_(mirrors) {
  uint64_t most = 0;
  for (size_t i = 0; i < mirrors.size(); ++i) {
    constexpr uint64_t kWhole = 1'000'000;
    auto share = static_cast<uint64_t>(mirrors[i].share * static_cast<double>(kWhole));
    if (share < kWhole && exchange.loop().random().below(kWhole) >= share) continue;
    chosen_ |= uint64_t{1} << i;
    most = std::max(most, mirrors[i].max_body);
  }
  if (chosen_ != 0 && exchange.request_body)
    exchange.request_body = &body_.emplace(*exchange.request_body, most);
}

void Mirroring::send() {
  if (chosen_ == 0) return;
  gateway::Worker& worker = exchange_.worker;
  bool known = !body_ || body_->whole();
  for (size_t i = 0; i < mirrors_.size(); ++i) {
    const gateway::MirrorChoice& mirror = mirrors_[i];
    if (!(chosen_ >> i & 1)) continue;
    bool too_large = body_ && (body_->too_large() || body_->text().size() > mirror.max_body);
    MirrorResult left_out = too_large ? MirrorResult::kTooLarge : MirrorResult::kIncomplete;
    gateway::TargetPointer target;
    if (known && !too_large) {
      left_out = MirrorResult::kFull;
      if (worker.background().mirrored < kMostAtOnce && !worker.background().token.cancelled())
        target = mirror.upstream->choose(
            {.random = worker.loop().random(), .now = worker.loop().now(), .hash = {}, .tried = nullptr});
    }
    if (target)
      worker.scope().spawn(
          deliver(worker, copy_of(exchange_, mirror, target, body_ ? &body_->text() : nullptr)));
    else
      worker.metrics().add(mirror.metrics[left_out]);
  }
  chosen_ = 0;
}

}  // namespace sluice::handlers
