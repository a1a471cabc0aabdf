#include "http/h2/server_connection.h"

#include "http/h2/errors.h"
#include "io/sleep.h"

namespace sluice::http::h2 {

namespace {
constexpr int kTurnsBeforeYield = 64;
}  // namespace

ServerConnection::ServerConnection(io::Loop& loop, std::unique_ptr<io::Stream> stream,
                                   RequestHandler& handler, uint16_t listener)
    : loop_(loop),
      handler_(handler),
      stream_(std::move(stream)),
      timer_(loop, token_),
      session_(Role::kServer, *this, {.head_bytes = handler.limits().request_head, .extended_connect = true}),
      listener_(listener) {
  stream_->bind(token_);
  handler_.count_connections(listener_, 1, 0);
}

ServerConnection::~ServerConnection() {
  handler_.count_connections(listener_, -1, active_ ? -1 : 0);
  handler_.release(stream_->peer());
}

// --- reading ---

// The frame of an idle connection: what would make it larger is in functions of its own, which must not be
// inlined, for their frames would become parts of this one.
io::Task<> serve_connection(io::Loop& loop, std::unique_ptr<io::Stream> stream, RequestHandler& handler,
                            uint16_t listener, Connections& connections, ConnectionStart start) {
  ServerConnection connection(loop, std::move(stream), handler, listener);
  connections.push_back(connection);
  connection.timer_.begin(Phase::kHead, handler.timeouts().header);
  bool goes_on = connection.receive(start.received);
  if (start.draining || handler.draining()) connection.drain();
  for (int turn = 1; goes_on; ++turn) {
    auto ready = co_await connection.stream_->readable();
    if (!ready) break;
    if (connection.rests_until_ != Instant{}) co_await connection.rest();
    auto lease = co_await connection.stream_->read();
    if (!lease || lease->empty()) {
      connection.lost_ = true;
      break;
    }
    goes_on = connection.receive(lease->bytes());
    lease->release();
    if (turn % kTurnsBeforeYield == 0) co_await loop.yield();
  }
  co_await connection.end();
}

bool ServerConnection::receive(std::string_view bytes) {
  queued_.reset();
  if (handler_.measures_queue()) queued_ = stream_->input_age();
  bool goes_on = session_.receive(bytes);
  if (goes_on && session_.queued() > kMostQueuedFrames) {
    handler_.count_limit("http2_unread");
    session_.terminate(ErrorCode::kEnhanceYourCalm);
    goes_on = false;
  }
  start_streams();
  schedule_write();
  if (!writing_) end_if_done();
  return goes_on;
}

void ServerConnection::start_streams() {
  IntrusiveList<ServerStream> whole;
  new_streams_.for_each([&](ServerStream& stream) {
    if (!stream.whole_) return;
    stream.unlink();
    whole.push_back(stream);
  });
  while (!whole.empty()) {
    ServerStream& stream = whole.pop_front();
    streams_.push_back(stream);
    stream.queued = queued_;
    stream.begin();
    scope_.spawn(serve(stream));
  }
  count_active();
}

io::Task<> ServerConnection::serve(ServerStream& stream) {
  try {
    co_await handler_.handle(stream);
    if (stream.tunnel) co_await run_tunnel(stream);
  } catch (...) {
    stream.abandon();  // a bug above us: what was sent must not look complete
  }
  if (stream.has_rest()) co_await stream.skip_rest();
  remove(stream);
}

io::Task<> ServerConnection::run_tunnel(ServerStream& stream) {
  std::unique_ptr<Tunnel> tunnel = std::move(stream.tunnel);
  co_await tunnel->run();
  co_await stream.end_tunnel();
}

void ServerConnection::remove(ServerStream& stream) {
  if (stream.rest > Duration::zero()) rests_until_ = loop_.now() + stream.rest;
  stream.finish();
  delete &stream;
  count_active();
  if (streams_.empty()) time_idle();
  schedule_write();
  if (!writing_) end_if_done();
}

[[gnu::noinline]] io::Task<> ServerConnection::rest() {
  auto rested = co_await io::sleep_until(loop_, rests_until_, token_);
  std::ignore = rested;  // cancelled: the next wait ends at once
  rests_until_ = Instant{};
}

void ServerConnection::count_active() {
  bool active = !streams_.empty();
  if (active != active_) handler_.count_connections(listener_, 0, active ? 1 : -1);
  active_ = active;
}

/// Only requests keep a connection: a client that merely pings is idle.
void ServerConnection::time_idle() {
  if (!head_open_) timer_.begin(Phase::kKeepAlive, handler_.timeouts().keep_alive);
}

// --- writing ---

void ServerConnection::schedule_write() {
  if (writing_ || lost_ || token_.cancelled() || !session_.wants_write()) return;
  writing_ = true;
  scope_.spawn(write_all());
}

io::Task<> ServerConnection::write_all() {
  co_await loop_.yield();  // whoever else has something to send in this turn joins
  Duration progress = handler_.timeouts().body_progress;
  TransferWatch watch({.interval = progress, .sink_idle = progress}, stream_.get());
  timer_.watch_download(watch);
  {
    OutputBatch batch(loop_.buffers());
    while (!lost_) {
      if (!session_.send(batch)) lose();
      if (lost_ || batch.empty()) break;
      watch.waiting = TransferWatch::Waiting::kSink;
      auto written = co_await stream_->write(batch.pieces());
      watch.waiting = TransferWatch::Waiting::kNobody;
      batch.clear();
      if (!written) lose();
      release_batch();
    }
  }
  timer_.unwatch_download();
  writing_ = false;
  end_if_done();
}

void ServerConnection::release_batch() {
  while (!in_batch_.empty()) in_batch_.pop_front().stream.on_progress();
}

void ServerConnection::lose() {
  lost_ = true;
  token_.cancel(io::CancelReason::kClientGone);
}

void ServerConnection::end_if_done() {
  if (!session_.wants_read() && !session_.wants_write()) token_.cancel(io::CancelReason::kDrain);
}

// --- the end ---

void ServerConnection::drain() {
  if (std::exchange(draining_, true) || token_.cancelled()) return;
  scope_.spawn(drain_in_steps());
}

io::Task<> ServerConnection::drain_in_steps() {
  session_.submit_notice();
  schedule_write();
  {
    io::LinkedToken known(token_);
    notice_ = &known;
    auto slept = co_await io::sleep_for(loop_, kNoticeTime, known);
    std::ignore = slept;
    notice_ = nullptr;
  }
  if (token_.cancelled()) co_return;
  session_.submit_goaway();
  schedule_write();
}

[[gnu::noinline]] io::Task<> ServerConnection::end() {
  io::CancelReason reason = token_.cancelled() ? token_.reason() : io::CancelReason::kClientGone;
  token_.cancel(reason);
  bool reachable = !lost_;
  lost_ = true;
  streams_.for_each([&](ServerStream& stream) { stream.lose(reason); });
  while (!new_streams_.empty()) {
    ServerStream& stream = new_streams_.pop_front();
    session_.forget(stream.id_);
    delete &stream;
  }
  co_await scope_.join();
  if (reachable) co_await say_goodbye();
}

/// The client learns why, and has time to read it: closing with unread bytes in the socket would reset the
/// connection.
io::Task<> ServerConnection::say_goodbye() {
  io::CancelToken token;
  io::Deadline deadline(loop_, loop_.now() + kLingerTime, token);
  stream_->bind(token);
  if (session_.wants_read()) session_.terminate(ErrorCode::kNoError);
  co_await flush();
  stream_->shutdown_write();
  for (size_t seen = 0; seen < kLingerBytes;) {
    auto lease = co_await stream_->read();
    if (!lease || lease->empty()) break;
    seen += lease->size();
    if (seen >= kLingerBytes) handler_.count_limit("lingering_close");
  }
  stream_->unbind();
}

io::Task<> ServerConnection::flush() {
  OutputBatch batch(loop_.buffers());
  while (session_.send(batch) && !batch.empty()) {
    auto written = co_await stream_->write(batch.pieces());
    batch.clear();
    release_batch();
    if (!written) break;
  }
}

// --- what the session tells ---

SessionStream& ServerConnection::on_begin(int32_t id) {
  auto* stream = new ServerStream(*this, id);
  new_streams_.push_back(*stream);
  head_open_ = true;
  timer_.begin(Phase::kHead, handler_.timeouts().header);
  return *stream;
}

bool ServerConnection::on_field(SessionStream& of_stream, bool trailer, std::string_view name,
                                std::string_view value) {
  ServerStream& stream = of(of_stream);
  if (!trailer) {
    stream.head_bytes_ += name.size() + value.size();
    bool readable = stream.head_.add(name, value, handler_.limits());
    if (!readable) handler_.count_limit("request_head");
    return readable;
  }
  if (!stream.incoming_.add_trailer(name, value, handler_.limits()))
    stream.incoming_.fail(errors::kTrailersTooLarge);
  return true;
}

void ServerConnection::end_head(ServerStream& stream) {
  stream.whole_ = true;
  head_open_ = false;
  timer_.end_phase();
}

void ServerConnection::on_end(SessionStream& of_stream) {
  ServerStream& stream = of(of_stream);
  stream.incoming_.end();
  stream.signal_.tell();
}

void ServerConnection::on_malformed(SessionStream& of_stream) {
  ServerStream& stream = of(of_stream);
  if (stream.whole_) {
    stream.incoming_.fail(errors::kMalformed);
    return;
  }
  stream.malformed_ = true;
  end_head(stream);
}

void ServerConnection::on_closed(SessionStream& of_stream, uint32_t) {
  ServerStream& stream = of(of_stream);
  stream.closed_ = true;
  if (stream.begun_ || stream.malformed_) {  // what was malformed is answered by its reset, and logged
    stream.lose(io::CancelReason::kClientGone);
    return;
  }
  if (!stream.whole_) head_open_ = false;
  delete &stream;
  if (streams_.empty()) time_idle();
}

void ServerConnection::on_window(SessionStream* stream) {
  if (stream)
    of(*stream).more_window();
  else
    streams_.for_each([](ServerStream& each) { each.more_window(); });
}

/// The first SETTINGS complete the client's preface; later ones may change the windows of all streams (RFC
/// 9113, section 6.9.2).
void ServerConnection::on_settings() {
  if (head_open_ && new_streams_.empty()) {
    head_open_ = false;
    time_idle();
  }
  on_window(nullptr);
}

void ServerConnection::on_ping_answered() {
  if (notice_) notice_->cancel(io::CancelReason::kDrain);
}

}  // namespace sluice::http::h2
