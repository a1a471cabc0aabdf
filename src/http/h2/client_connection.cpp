#include "http/h2/client_connection.h"

#include "http/h2/errors.h"
#include "http/h2/limits.h"
#include "http/transfer_errors.h"
#include "io/sleep.h"

namespace sluice::http::h2 {

namespace {

constexpr int kTurnsBeforeYield = 64;
/// A server that takes nothing at all for so long is given up.
constexpr Duration kWriteStall = std::chrono::seconds(10);
/// For the last frame; whether the server reads it is of no interest.
constexpr Duration kGoodbyeTime = std::chrono::seconds(1);

}  // namespace

ClientConnection::ClientConnection(io::Loop& loop, std::unique_ptr<io::Stream> stream,
                                   const Settings& settings, Owner& owner)
    : loop_(loop),
      stream_(std::move(stream)),
      scheme_(settings.scheme),
      owner_(owner),
      timer_(loop, token_),
      session_(Role::kClient, *this, {.head_bytes = settings.head_bytes}),
      streams_gone_(loop),
      most_active_(settings.most_requests),
      idle_since_(loop.now()) {
  stream_->bind(token_);
}

http::ClientExchange& ClientConnection::start(const ExchangePlace& place) {
  assert(has_room());
  ++active_;
  ++begun_;
  auto* stream = new ClientStream(*this, place);
  streams_.push_back(*stream);
  owner_.on_load();
  return *stream;
}

void ClientConnection::submit(ClientStream& stream, const RequestLine& line, std::span<const Field> fields,
                              bool body) {
  int32_t id = lost_ ? -1 : session_.submit_request(line, fields, body, stream);
  if (id < 0) {
    stream.refuse();
    stop_taking();
    return;
  }
  stream.id_ = id;
  stream.outgoing_.open(id);
  schedule_write();
}

void ClientConnection::on_gone(bool unheard) {
  --active_;
  if (active_ == 0) {
    idle_since_ = loop_.now();
    streams_gone_.tell();
  }
  if (unheard) stop_taking();
  owner_.on_load();
  schedule_write();
  end_if_done();
}

void ClientConnection::close() {
  stop_taking();
  end_if_done();
}

void ClientConnection::stop_taking() {
  if (!std::exchange(closing_, true)) owner_.on_closing();
}

void ClientConnection::end_if_done() {
  if (closing_ && active_ == 0) token_.cancel(io::CancelReason::kDrain);
}

// --- reading ---

io::Task<> ClientConnection::run(ClientConnection& connection) {
  connection.schedule_write();
  bool goes_on = true;
  for (int turn = 1; goes_on; ++turn) {
    auto ready = co_await connection.stream_->readable();
    if (!ready) break;
    auto lease = co_await connection.stream_->read();
    if (!lease || lease->empty()) break;
    goes_on = connection.receive(lease->bytes());
    lease->release();
    if (turn % kTurnsBeforeYield == 0) co_await connection.loop_.yield();
  }
  bool reachable = !goes_on || connection.token_.reason() == io::CancelReason::kDrain;
  if (goes_on) connection.lose(nullptr);
  while (connection.active_ > 0) co_await connection.streams_gone_.wait_anyway();
  connection.lost_ = true;
  connection.token_.cancel(io::CancelReason::kDrain);
  co_await connection.scope_.join();
  if (reachable && !connection.broken_) co_await connection.say_goodbye();
  Owner& owner = connection.owner_;
  delete &connection;
  owner.on_ended();
}

bool ClientConnection::receive(std::string_view bytes) {
  bool sound = session_.receive(bytes);
  if (sound && session_.queued() > kMostQueuedFrames) {
    on_limit("http2_unread");
    session_.terminate(ErrorCode::kEnhanceYourCalm);
    sound = false;
  }
  if (!sound) {
    break_off();
    return false;
  }
  schedule_write();
  end_if_done();
  return true;
}

/// Nothing more comes or goes: whoever is still here is told. Null: the connection has ended.
void ClientConnection::lose(const Error* why) {
  stop_taking();
  lost_ = true;
  streams_.for_each([&](ClientStream& stream) { stream.lose(why); });
}

/// The server is no HTTP/2 server, or none that keeps to the rules.
void ClientConnection::break_off() { lose(settled_ ? &errors::kBrokenSession : &errors::kNotHttp2); }

/// The server learns that this is the end, or what was wrong.
io::Task<> ClientConnection::say_goodbye() {
  io::CancelToken token;
  io::Deadline deadline(loop_, loop_.now() + kGoodbyeTime, token);
  stream_->bind(token);
  if (session_.wants_read()) session_.terminate(ErrorCode::kNoError);
  OutputBatch batch(loop_.buffers());
  while (session_.send(batch) && !batch.empty()) {
    auto written = co_await stream_->write(batch.pieces());
    batch.clear();
    release_batch();
    if (!written) break;
  }
  stream_->unbind();
}

// --- writing ---

void ClientConnection::schedule_write() {
  if (writing_ || lost_ || token_.cancelled() || !session_.wants_write()) return;
  writing_ = true;
  scope_.spawn(write_all());
}

io::Task<> ClientConnection::write_all() {
  co_await loop_.yield();  // whoever else has something to send in this turn joins
  TransferWatch watch({.interval = kWriteStall, .sink_idle = kWriteStall}, stream_.get());
  timer_.watch_download(watch);
  {
    OutputBatch batch(loop_.buffers());
    while (!lost_) {
      broken_ = !session_.send(batch);
      if (broken_ || batch.empty()) break;
      watch.waiting = TransferWatch::Waiting::kSink;
      auto written = co_await stream_->write(batch.pieces());
      watch.waiting = TransferWatch::Waiting::kNobody;
      batch.clear();
      release_batch();
      broken_ = !written;
      if (broken_) break;
      if (session_.terminated()) {
        break_off();
        token_.cancel(io::CancelReason::kDrain);
      }
    }
  }
  if (broken_) token_.cancel(io::CancelReason::kClientGone);  // whoever reads finds out
  timer_.unwatch_download();
  writing_ = false;
}

void ClientConnection::release_batch() {
  while (!in_batch_.empty()) in_batch_.pop_front().on_batch_end();
}

// --- what the session tells ---

SessionStream& ClientConnection::on_begin(int32_t) { std::unreachable(); }

bool ClientConnection::on_field(SessionStream& stream, bool, std::string_view name, std::string_view value) {
  bool readable = of(stream).add_field(name, value);
  if (!readable) on_limit("response_head");
  return readable;
}
void ClientConnection::on_fields_end(SessionStream& stream, bool, bool end) { of(stream).end_fields(end); }
void ClientConnection::on_data(SessionStream& stream, std::string_view bytes) {
  of(stream).incoming_.add(bytes);
}
void ClientConnection::on_end(SessionStream& stream) {
  of(stream).incoming_.end();
  session_.request_answered();
}
void ClientConnection::on_malformed(SessionStream& stream) { of(stream).fail(errors::kBadResponse); }
void ClientConnection::on_closed(SessionStream& stream, uint32_t code) { of(stream).finish(code); }

void ClientConnection::on_window(SessionStream* stream) {
  if (stream)
    of(*stream).outgoing_.on_window();
  else
    streams_.for_each([](ClientStream& each) { each.outgoing_.on_window(); });
}

/// A server that takes fewer requests at once than it was sent gets no more than that: nghttp2 keeps the rest
/// back, and it goes elsewhere. Windows may have changed, too (RFC 9113, section 6.9.2).
void ClientConnection::on_settings() {
  most_active_ = std::min(session_.most_requests(), kMostRequests);
  bool first = !std::exchange(settled_, true);
  uint32_t seen = 0;
  uint32_t doubtful = 0;
  streams_.for_each([&](ClientStream& stream) {
    bool begun = stream.id_ != 0 || stream.waits_settings_;
    bool sent = stream.outgoing_.head_sent();
    bool too_many = ++seen > most_active_;
    if (too_many && sent) ++doubtful;
    if (too_many && begun && !sent)
      stream.withdraw();
    else
      stream.on_settled();
  });
  if (first && doubtful > 0)
    session_.submit_ping();  // behind its refusals comes the answer
  else if (first)
    bodies_go_ = true;
  on_window(nullptr);
  owner_.on_load();
}

void ClientConnection::on_ping_answered() {
  bodies_go_ = true;
  on_window(nullptr);
}

Portion ClientConnection::next_portion(SessionStream& stream, size_t most) {
  return of(stream).outgoing_.next_portion(most);
}
bool ClientConnection::has_portion(const SessionStream& stream, size_t bytes) const {
  return static_cast<const ClientStream&>(stream).outgoing_.has_portion(bytes);
}
void ClientConnection::put_portion(SessionStream& stream, size_t bytes, OutputBatch& batch) {
  of(stream).outgoing_.put_portion(bytes, batch);
}
void ClientConnection::on_head_sent(SessionStream& stream, size_t bytes, bool end) {
  of(stream).outgoing_.on_head_sent(bytes, end);
}

}  // namespace sluice::http::h2
