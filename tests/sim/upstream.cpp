#include "upstream.h"

#include <algorithm>
#include <charconv>

#include "faults.h"
#include "tls.h"

namespace sluice::sim {

namespace {

/// Longer than any timeout of the gateway's towards an upstream.
constexpr Duration kSwallowTime = std::chrono::seconds(90);
/// After which a reload's old configuration must not be met any more.
constexpr Duration kSettled = std::chrono::milliseconds(500);
constexpr std::string_view kPoison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nX-Poison: yes\r\n\r\npoison";
constexpr std::string_view kContradictions[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n\r\nabcd",
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"};
constexpr std::string_view kNoise =
    "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

}  // namespace

/// An accepted connection.
struct UpstreamServer::Connection {
  std::unique_ptr<io::Stream> stream;
  io::Stream* carrier = nullptr;  // the same, or what is below TLS
  uint32_t number = 0;            // the world's
  std::string buffer;
  bool ended = false;
  Instant accepted{};
  size_t served = 0;
  Instant noise_at = kNever;  // since then there are bytes on it that answer nothing
  Serving* last = nullptr;
};

bool UpstreamServer::listen() {
  auto address = io::Address::parse_ip(backend_.ip, backend_.port);
  auto listener = loop_.listen(*address, {});
  if (!listener) return false;
  listener_ = std::move(*listener);
  listener_->bind(accepting_);
  scope_.spawn(accept_all());
  return true;
}

io::Task<> UpstreamServer::accept_all() {
  while (!accepting_.cancelled()) {
    auto stream = co_await listener_->accept();
    if (stream)
      scope_.spawn(serve(std::move(*stream)));
    else if (!accepting_.cancelled())
      co_await pause(loop_, std::chrono::milliseconds(5), accepting_);
  }
  listener_.reset();
}

io::Task<> UpstreamServer::serve(std::unique_ptr<io::Stream> stream) {
  ++open_;
  ++accepted_;
  Connection connection;
  connection.number = io::SimWorld::connection_number(*stream);
  connection.carrier = stream.get();
  connection.stream = std::move(stream);
  connection.stream->bind(all_);
  connection.accepted = loop_.now();
  bool goes_on = true;
  if (backend_.tls) {
    auto secured = SimTls::get().server->accept(loop_, std::move(connection.stream));
    secured->bind(all_);
    auto shaken = co_await secured->handshake();
    goes_on = shaken.has_value();
    connection.stream = std::move(secured);
  }
  while (goes_on) goes_on = co_await serve_one(connection);
  bool harmed = loop_.world().harmed(connection.number);
  if (connection.last) connection.last->harmed |= harmed;
  if (harmed || connection.noise_at != kNever) ledger_.losses.push_back({backend_.upstream, loop_.now()});
  if (connection.last) connection.last->left_at = loop_.now();
  connection.stream.reset();
  --open_;
}

io::Task<bool> UpstreamServer::read_more(Connection& connection) {
  auto lease = co_await connection.stream->read();
  if (!lease || lease->empty()) {
    connection.ended = true;
    co_return false;
  }
  connection.buffer.append(lease->bytes());
  co_return true;
}

io::Task<> UpstreamServer::wait_for_end(Connection& connection) {
  for (;;) {
    connection.buffer.clear();
    bool more = co_await read_more(connection);
    if (!more) co_return;
  }
}

io::Task<bool> UpstreamServer::write(Connection& connection, std::string_view bytes, size_t piece,
                                     Duration pause_between) {
  while (!bytes.empty()) {
    size_t count = piece ? std::min(piece, bytes.size()) : bytes.size();
    iovec part{const_cast<char*>(bytes.data()), count};
    auto written = co_await connection.stream->write({&part, 1});
    if (!written) co_return false;
    bytes.remove_prefix(count);
    if (pause_between > Duration::zero() && !bytes.empty()) co_await pause(loop_, pause_between, all_);
  }
  co_return true;
}

Serving* UpstreamServer::begin(Connection& connection, const Head& head) {
  Call* call = ledger_.find(head.fields.value("x-sim-exchange"));
  if (!call) {
    violations_.add(Invariant::kIdentity, "{} got a request of nobody: \"{}\"", backend_.ip, head.start);
    return nullptr;
  }
  Serving& serving = ledger_.serve(*call);
  ++requests_;
  serving.upstream = backend_.upstream;
  serving.target = backend_.ip;
  serving.connection = connection.number;
  serving.reused = connection.served++ > 0;
  serving.begun = loop_.now();
  serving.confused = connection.noise_at != kNever;
  if (connection.accepted > retired_)
    violations_.add(Invariant::kUndisturbed, "exchange {} reached {}, which its name does not have any more",
                    call->number, backend_.ip);
  if (connection.last && connection.last->last)
    violations_.add(Invariant::kIdentity, "exchange {} was sent on a connection that {} had said to end",
                    call->number, backend_.ip);
  connection.last = &serving;
  if (serving.confused && !profile_.faults && serving.begun > connection.noise_at + 2 * profile_.latency)
    violations_.add(Invariant::kIdentity,
                    "exchange {} was sent on a connection on which {} had said more than it was asked",
                    call->number, backend_.ip);
  check_request(serving, head);
  return &serving;
}

io::Task<bool> UpstreamServer::serve_one(Connection& connection) {
  bool broken = false;
  std::optional<Head> head;
  Instant since = loop_.now();
  while (!(head = read_head(connection.buffer, broken))) {
    ++resting_;
    bool more = co_await read_more(connection);
    --resting_;
    if (!more) {
      if (connection.last && connection.last->answered)
        longest_idle_ = std::max(longest_idle_, loop_.now() - since);
      co_return false;
    }
  }
  Serving* serving = begin(connection, *head);
  if (!serving || broken) co_return false;
  Call& call = *serving->call;
  connection.buffer.erase(0, head->bytes);
  ServingPlan plan = draw_serving(call, call.servings.size() - 1, profile_);
  // Over TLS an end that is not said is not taken for one (RFC 9112, section 9.8).
  if (backend_.tls && plan.deed == UpstreamDeed::kTruncated && plan.cut % 2)
    plan.framing = Framing::kUntilClose;
  serving->deed = plan.deed;
  auto rule = request_body_rule(*head);
  if (!rule) {
    violations_.add(Invariant::kOneAnswer, "exchange {} reached {} with two lengths", call.number,
                    backend_.ip);
    co_return false;
  }
  if (plan.deed == UpstreamDeed::kSwallowsNothing) {
    --open_;  // it would not notice an end
    co_await pause(loop_, kSwallowTime, all_);
    ++open_;
    co_await wait_for_end(connection);
    co_return false;
  }
  BodyDecoder decoder(*rule);
  std::string body;
  bool expects = head->fields.value("expect") == "100-continue";
  serving->early = plan.early && decoder.state() == BodyDecoder::State::kMore;
  if (expects && !serving->early && plan.interim % 2 == 0) {
    serving->said_continue = true;
    bool said = co_await write(connection, "HTTP/1.1 100 Continue\r\n\r\n", 0, {});
    if (!said) co_return false;
  }
  if (!serving->early) {
    if (plan.read_pause_after) co_await pause(loop_, std::chrono::milliseconds(plan.read_pause_after), all_);
    bool whole = co_await read_body(connection, *serving, decoder, body);
    if (!whole) co_return false;
  }
  bool goes_on = co_await answer(connection, *serving, plan);
  serving->harmed |= loop_.world().harmed(connection.number);
  if (goes_on && serving->early) goes_on = co_await read_body(connection, *serving, decoder, body);
  // An answer without a body does not show that its connection ends with it: it may be kept, and lost.
  if (plan.closes && !plan.says_close &&
      (serving->call->method == "HEAD" || serving->rule.framing == Framing::kNone))
    connection.noise_at = loop_.now();
  if (!goes_on) co_return false;
  goes_on = co_await idle(connection, plan);
  co_return goes_on;
}

io::Task<bool> UpstreamServer::read_body(Connection& connection, Serving& serving, BodyDecoder& decoder,
                                         std::string& body) {
  bool more = true;
  for (;;) {
    std::string_view rest(connection.buffer);
    auto state = decoder.take(rest, body);
    connection.buffer.erase(0, connection.buffer.size() - rest.size());
    bool whole = state == BodyDecoder::State::kDone;
    if (whole || state == BodyDecoder::State::kBroken || !more) {
      check_body(serving, body, whole, decoder.trailers());
      if (state == BodyDecoder::State::kBroken)
        violations_.add(Invariant::kOneAnswer, "exchange {} reached {} with a broken chunk",
                        serving.call->number, backend_.ip);
      serving.whole_request = whole;
      co_return whole;
    }
    more = co_await read_more(connection);
  }
}

io::Task<bool> UpstreamServer::idle(Connection& connection, const ServingPlan& plan) {
  using After = ServingPlan::After;
  if (plan.closes) co_return false;
  if (plan.after == After::kKeep || plan.after == After::kGlued) co_return true;
  // Until the next request, if it comes before the time is over.
  io::LinkedToken waiting(all_);
  connection.stream->bind(waiting);
  bool came = !connection.buffer.empty();
  if (!came) {
    io::Deadline deadline(loop_, loop_.now() + plan.after_pause, waiting);
    ++resting_;
    came = co_await read_more(connection);
    --resting_;
  }
  connection.stream->bind(all_);
  if (came) co_return true;
  if (waiting.reason() != io::CancelReason::kDeadline) co_return false;
  connection.ended = false;
  connection.noise_at = loop_.now();
  if (plan.after == After::kReset) connection.stream->abort();
  if (plan.after != After::kNoise) co_return false;
  bool written = co_await write(connection, kNoise, 0, {});
  co_return written;
}

void UpstreamServer::check_request(const Serving& serving, const Head& head) {
  const Call& call = *serving.call;
  Serving& noted = const_cast<Serving&>(serving);
  std::string_view revision = head.fields.value("x-config");
  std::from_chars(revision.data(), revision.data() + revision.size(), noted.revision);
  const Expected& expected = call.expected_of(serving.revision);
  bool once = call.idempotent() || call.servings.size() == 1;
  if (!once)
    violations_.add(Invariant::kAtMostOnce, "exchange {} ({} {}) was sent {} times", call.number, call.method,
                    call.kind, call.servings.size());
  check_generation(call);
  if (std::ranges::find(expected.upstreams, backend_.upstream) == expected.upstreams.end()) {
    violations_.add(Invariant::kUndisturbed, "exchange {} ({}, \"{}\") reached upstream {}", call.number,
                    call.kind, head.start, backend_.upstream);
    return;
  }
  if (!call.limit.empty() && (!call.decision || !call.decision->allowed))
    violations_.add(Invariant::kRateLimit, "exchange {} reached {} past its limit", call.number, backend_.ip);

  std::string line = call.method + " " + backend_.base_path + expected.target + " HTTP/1.1";
  if (head.start != line)
    violations_.add(Invariant::kUndisturbed, "exchange {}: {} was asked \"{}\" instead of \"{}\"",
                    call.number, backend_.ip, head.start, line);
  std::string host = fmt::format("{}:{}", backend_.ip, backend_.port);
  if ((backend_.upstream == "main" || backend_.upstream == "shift") && !expected.host.empty())
    host = expected.host;
  if (backend_.upstream == "named") host = "literal.sim";
  if (head.fields.count("host") != 1 || head.fields.value("host") != host)
    violations_.add(Invariant::kUndisturbed, "exchange {}: Host is \"{}\" instead of \"{}\"", call.number,
                    head.fields.value("host"), host);

  Fields got = head.fields;
  noted.request_id = got.value("x-request-id");
  size_t ids = got.count("x-request-id");
  bool same = call.servings.front()->request_id == serving.request_id;
  bool made = serving.request_id.size() == 32 &&
              serving.request_id.find_first_not_of("0123456789abcdef") == std::string::npos;
  bool right = call.own_id.empty() ? made : serving.request_id == call.own_id;
  if (ids != 1 || !right || !same)
    violations_.add(Invariant::kUndisturbed, "exchange {}: its request id is \"{}\"", call.number,
                    serving.request_id);
  std::string length(got.value("content-length"));
  bool is_chunked = got.count("transfer-encoding") > 0;
  std::string wanted_length = call.has_body && !call.chunked ? std::to_string(call.body.size()) : "";
  if (length != wanted_length || is_chunked != call.chunked)
    violations_.add(Invariant::kUndisturbed, "exchange {}: its length became \"{}\", chunked {}", call.number,
                    length, is_chunked);
  bool names_te = lower(got.value("connection")).find("te") != std::string::npos;
  if (names_te != (got.count("te") > 0))
    violations_.add(Invariant::kUndisturbed, "exchange {}: Connection is \"{}\" with TE \"{}\"", call.number,
                    got.value("connection"), got.value("te"));
  for (std::string_view name :
       {"host", "content-length", "transfer-encoding", "connection", "x-request-id", "x-config"})
    got.remove(name);
  if (!expected.turned.empty()) {
    check_turn(call, got.value(expected.turned));
    got.remove(expected.turned);
  }
  std::string text = got.text();
  std::string wanted = expected.forwarded.text();
  if (text != wanted)
    violations_.add(Invariant::kUndisturbed, "exchange {} ({}): {} got the fields\n{}instead of\n{}",
                    call.number, call.kind, backend_.ip, text, wanted);
}

/// What a key leads to changes at once everywhere, whatever document is active.
void UpstreamServer::check_turn(const Call& call, std::string_view parity) {
  if (parity != "even" && parity != "odd")
    violations_.add(Invariant::kUndisturbed, "exchange {}: its key led to \"{}\"", call.number, parity);
  bool held = parity == "even" && revisions_->empty();  // the first document's, before any reload
  for (size_t i = 0; i < revisions_->size(); ++i) {
    bool gone = i + 1 < revisions_->size() && (*revisions_)[i + 1].applied < call.begun;
    held |= ((*revisions_)[i].revision % 2 == 0) == (parity == "even") && !gone &&
            (*revisions_)[i].applied <= loop_.now();
  }
  if (!held)
    violations_.add(Invariant::kUndisturbed, "exchange {}: its key led to what {} revisions say", call.number,
                    parity);
}

/// A target that only some generations have.
void UpstreamServer::check_generation(const Call& call) {
  if (backend_.generation < 0) return;
  bool known = std::ranges::any_of(*revisions_,
                                   [&](const RevisionTimes& times) { return times.first <= loop_.now(); });
  bool active = false;
  for (size_t i = 0; i < revisions_->size(); ++i) {
    const RevisionTimes& times = (*revisions_)[i];
    bool replaced = i + 1 < revisions_->size() && (*revisions_)[i + 1].all + kSettled < call.begun;
    active |= times.generation % 2 == static_cast<uint64_t>(backend_.generation) && !replaced &&
              times.first <= loop_.now();
  }
  if (known && !active)
    violations_.add(Invariant::kUndisturbed, "exchange {} reached {}, which its configuration did not have",
                    call.number, backend_.ip);
}

void UpstreamServer::check_body(const Serving& serving, const std::string& body, bool whole,
                                const Fields& trailers) {
  const Call& call = *serving.call;
  auto differs = std::ranges::mismatch(body, call.body);
  if (differs.in1 != body.end())
    violations_.add(Invariant::kIdentity, "exchange {}: byte {} of its body is not its own", call.number,
                    differs.in1 - body.begin());
  if (!whole) return;
  if (body.size() != call.body.size() || call.kind == "bad-chunk")
    violations_.add(Invariant::kOneAnswer, "exchange {}: {} of {} bytes passed for the whole body",
                    call.number, body.size(), call.body.size());
  if (trailers.text() != call.trailers.text())
    violations_.add(Invariant::kUndisturbed, "exchange {}: its trailers became \"{}\"", call.number,
                    trailers.text());
}

io::Task<bool> UpstreamServer::answer(Connection& connection, Serving& serving, const ServingPlan& plan) {
  co_await pause(loop_, plan.delay, all_);
  std::string interim;
  for (int i = 0; i < plan.interim; ++i) interim += "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  bool written = co_await write(connection, interim, 0, {});
  if (!written) co_return false;
  serving.interim = plan.interim;
  if (plan.deed != UpstreamDeed::kAnswer) {
    bool goes_on = co_await answer_badly(connection, serving, plan);
    co_return goes_on;
  }

  std::string head = serve_head(serving, plan);
  std::string body = serving_wire(serving, plan);
  if (plan.after == ServingPlan::After::kGlued) {
    body += kPoison;
    connection.noise_at = loop_.now();
  }
  serving.head_sent = true;
  if (!plan.piece) head += std::exchange(body, {});
  written = co_await write(connection, head, 0, {});
  if (written) written = co_await write(connection, body, plan.piece, plan.body_pause);
  if (!written) co_return false;
  serving.answered = true;
  serving.answered_at = loop_.now();
  if (plan.closes) connection.stream->shutdown_write();
  co_return true;
}

io::Task<bool> UpstreamServer::answer_badly(Connection& connection, Serving& serving,
                                            const ServingPlan& plan) {
  std::string head = serve_head(serving, plan);
  std::string body = serving_wire(serving, plan);
  std::string bytes;
  bool wait = false;
  switch (plan.deed) {
    case UpstreamDeed::kReset:
      connection.stream->abort();
      break;
    case UpstreamDeed::kEnd:
      break;
    case UpstreamDeed::kHalfHead:
      bytes = head.substr(0, 1 + plan.cut % (head.size() - 4));
      break;
    case UpstreamDeed::kGarbage:
      bytes = "220 mail.sim.test ESMTP ready\r\n\r\n";
      wait = true;
      break;
    case UpstreamDeed::kContradiction:
      bytes = kContradictions[plan.cut % std::size(kContradictions)];
      wait = true;
      break;
    case UpstreamDeed::kHugeHead:
      bytes = "HTTP/1.1 200 OK\r\nX-Huge: " + std::string(70'000, 'x') + "\r\n\r\n";
      wait = true;
      break;
    case UpstreamDeed::kTooManyInterim:
      for (int i = 0; i < 20; ++i) bytes += "HTTP/1.1 103 Early Hints\r\n\r\n";
      bytes += head + body;
      wait = true;
      break;
    case UpstreamDeed::kUpgrade:
      bytes = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: chat\r\n\r\n";
      wait = true;
      break;
    case UpstreamDeed::kSilence:
      wait = true;
      break;
    case UpstreamDeed::kTruncated:
    case UpstreamDeed::kResetInBody:
    case UpstreamDeed::kStallInBody:
      serving.head_sent = true;
      bytes = head + body.substr(0, plan.cut % body.size());
      wait = plan.deed == UpstreamDeed::kStallInBody;
      break;
    case UpstreamDeed::kBadChunk:
      serving.head_sent = true;
      bytes = head + body.substr(0, body.size() - 5) + "-1\r\n\r\n";
      wait = true;
      break;
    default:
      break;
  }
  bool written = co_await write(connection, bytes, 0, {});
  if (written && plan.deed == UpstreamDeed::kResetInBody) {
    co_await pause(loop_, std::chrono::milliseconds(plan.cut % 50), all_);
    connection.stream->abort();
  }
  // Over TLS an end that was not said; what would be said now does not leave any more.
  if (plan.deed == UpstreamDeed::kTruncated) connection.carrier->shutdown_write();
  if (written && wait) co_await wait_for_end(connection);
  co_return false;
}

}  // namespace sluice::sim
