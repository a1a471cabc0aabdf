#include "http/h2/session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>
#include <vector>

namespace sluice::http::h2 {

namespace {

/// Window updates that one DATA frame of ours may bring forth: clients that read in pieces of 4 KiB give each
/// back on the stream and on the connection.
constexpr uint32_t kUpdatesPerData = 8;

std::string_view text_of(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}
uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
}

/// Values that differ from one answer to the next would only drive others out of HPACK's table.
bool is_unique(FieldName id) {
  return id == FieldName::kXRequestId || id == FieldName::kRateLimit || id == FieldName::kTraceparent;
}

nghttp2_nv pair_of(std::string_view name, std::string_view value, uint8_t flags = NGHTTP2_NV_FLAG_NONE) {
  return {bytes_of(name), bytes_of(value), name.size(), value.size(), flags};
}

/// Names and values as nghttp2 takes them; it copies them and writes names in lower case.
class Pairs {
 public:
  explicit Pairs(size_t count) {
    if (count > few_.size()) many_.resize(count);
  }
  void add(const nghttp2_nv& pair) { data()[count_++] = pair; }
  void add(const Field& field) {
    add(pair_of(field.name, field.value,
                is_unique(field.id) ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE));
  }
  nghttp2_nv* data() { return many_.empty() ? few_.data() : many_.data(); }
  size_t size() const { return count_; }

 private:
  std::array<nghttp2_nv, 32> few_;
  std::vector<nghttp2_nv> many_;
  size_t count_ = 0;
};

}  // namespace

/// What nghttp2 calls; `user_data` is the Session, a stream's user data its SessionStream.
struct Callbacks {
  using Frame = nghttp2_frame;

  static Session& session_of(void* user_data) { return *static_cast<Session*>(user_data); }
  static SessionStream* stream_of(nghttp2_session* session, int32_t id) {
    return id == 0 ? nullptr : static_cast<SessionStream*>(nghttp2_session_get_stream_user_data(session, id));
  }
  static bool is_trailer(const Frame* frame) { return frame->headers.cat == NGHTTP2_HCAT_HEADERS; }

  static int on_begin_headers(nghttp2_session* session, const Frame* frame, void* user_data) {
    Session& self = session_of(user_data);
    if (self.role_ == Role::kClient || is_trailer(frame)) return 0;
    SessionStream& stream = self.owner_.on_begin(frame->hd.stream_id);
    ++self.streams_;
    return nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, &stream);
  }
  static int on_header(nghttp2_session* session, const Frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t, void* user_data) {
    SessionStream* stream = stream_of(session, frame->hd.stream_id);
    if (!stream) return 0;
    bool taken = session_of(user_data).owner_.on_field(*stream, is_trailer(frame), text_of(name, name_size),
                                                       text_of(value, value_size));
    return taken ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
  }
  /// What nghttp2 would ignore otherwise: an invalid name or value makes a message malformed (RFC 9113,
  /// section 8.2.1).
  static int on_invalid_header(nghttp2_session*, const Frame*, const uint8_t*, size_t, const uint8_t*, size_t,
                               uint8_t, void*) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  static int on_frame_recv(nghttp2_session* session, const Frame* frame, void* user_data) {
    Session& self = session_of(user_data);
    Session::Owner& owner = self.owner_;
    SessionStream* stream = stream_of(session, frame->hd.stream_id);
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        if (stream) owner.on_fields_end(*stream, is_trailer(frame), end);
        if (stream && end) owner.on_end(*stream);
        break;
      case NGHTTP2_DATA:
        if (stream && end) owner.on_end(*stream);
        break;
      case NGHTTP2_WINDOW_UPDATE:
        if (stream || frame->hd.stream_id == 0) owner.on_window(stream);
        break;
      case NGHTTP2_SETTINGS:
        if (!(frame->hd.flags & NGHTTP2_FLAG_ACK)) owner.on_settings();
        break;
      case NGHTTP2_GOAWAY:
        owner.on_goaway();
        break;
      case NGHTTP2_PING:
        if (frame->hd.flags & NGHTTP2_FLAG_ACK) owner.on_ping_answered();
        break;
      default:
        break;
    }
    return 0;
  }
  static int on_invalid_frame_recv(nghttp2_session* session, const Frame* frame, int error, void* user_data) {
    Session& self = session_of(user_data);
    if (self.role_ == Role::kServer && error == NGHTTP2_ERR_REFUSED_STREAM)
      self.remember_reset(frame->hd.stream_id);
    if (SessionStream* stream = stream_of(session, frame->hd.stream_id)) {
      self.owner_.on_malformed(*stream);
    } else if (frame->hd.type == NGHTTP2_HEADERS &&
               (error == NGHTTP2_ERR_REFUSED_STREAM || self.streams_ >= kMostStreams)) {
      self.owner_.on_limit("http2_streams");
    }
    return 0;
  }
  static int on_data_chunk_recv(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* bytes,
                                size_t size, void* user_data) {
    Session& self = session_of(user_data);
    if (SessionStream* stream = stream_of(session, id))
      self.owner_.on_data(*stream, text_of(bytes, size));
    else
      self.consume(id, size);
    return 0;
  }
  static int on_stream_close(nghttp2_session* session, int32_t id, uint32_t code, void* user_data) {
    Session& self = session_of(user_data);
    SessionStream* stream = stream_of(session, id);
    if (!stream) return 0;
    --self.streams_;
    self.owner_.on_closed(*stream, code);
    return 0;
  }

  static ssize_t on_send(nghttp2_session*, const uint8_t* bytes, size_t size, int, void* user_data) {
    OutputBatch& batch = *session_of(user_data).batch_;
    if (!batch.has_room(size)) return NGHTTP2_ERR_WOULDBLOCK;
    batch.copy(text_of(bytes, size));
    return static_cast<ssize_t>(size);
  }
  static ssize_t on_read(nghttp2_session* session, int32_t id, uint8_t*, size_t most, uint32_t* flags,
                         nghttp2_data_source*, void* user_data) {
    SessionStream* stream = stream_of(session, id);
    if (!stream) return NGHTTP2_ERR_DEFERRED;  // its reset is on the way
    Portion portion = session_of(user_data).owner_.next_portion(*stream, most);
    if (portion.bytes == 0 && !portion.end) return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (portion.end) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (portion.trailers) {
      Pairs pairs(portion.trailers->size());
      for (const Field& field : *portion.trailers) pairs.add(field);
      if (nghttp2_submit_trailer(session, id, pairs.data(), pairs.size()) == 0)
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    return static_cast<ssize_t>(portion.bytes);
  }
  static int on_send_data(nghttp2_session* session, Frame* frame, const uint8_t* head, size_t size,
                          nghttp2_data_source*, void* user_data) {
    Session& self = session_of(user_data);
    SessionStream* stream = stream_of(session, frame->hd.stream_id);
    if (!stream || !self.owner_.has_portion(*stream, size)) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t copied = FrameHead::kBytes + (size <= OutputBatch::kCopiedBytes ? size : 0);
    if (!self.batch_->has_room(copied)) return NGHTTP2_ERR_WOULDBLOCK;
    self.batch_->copy(text_of(head, FrameHead::kBytes));
    self.owner_.put_portion(*stream, size, *self.batch_);
    self.data_moved();
    return 0;
  }
  static int on_frame_send(nghttp2_session* session, const Frame* frame, void* user_data) {
    Session& self = session_of(user_data);
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
      self.count_own_reset(frame->rst_stream.error_code);
      if (self.role_ == Role::kServer) self.remember_reset(frame->hd.stream_id);
    } else if (frame->hd.type == NGHTTP2_GOAWAY) {
      self.terminated_ |= frame->goaway.error_code != NGHTTP2_NO_ERROR;
    } else if (frame->hd.type == NGHTTP2_HEADERS) {
      if (SessionStream* stream = stream_of(session, frame->hd.stream_id))
        self.owner_.on_head_sent(*stream, FrameHead::kBytes + frame->hd.length,
                                 frame->hd.flags & NGHTTP2_FLAG_END_STREAM);
    }
    return 0;
  }
};

namespace {

/// What all sessions share, made once.
struct Setup {
  Setup() {
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Callbacks::on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, Callbacks::on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, Callbacks::on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Callbacks::on_frame_recv);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, Callbacks::on_invalid_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Callbacks::on_data_chunk_recv);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Callbacks::on_stream_close);
    nghttp2_session_callbacks_set_send_callback(callbacks, Callbacks::on_send);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, Callbacks::on_send_data);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, Callbacks::on_frame_send);

    nghttp2_option_new(&options);
    // A window is given back as the body is used.
    nghttp2_option_set_no_auto_window_update(options, 1);
    nghttp2_option_set_no_closed_streams(options, 1);
    nghttp2_option_set_server_fallback_rfc7540_priorities(options, 1);
    nghttp2_option_set_max_settings(options, kMostSettings);
    nghttp2_option_set_max_outbound_ack(options, kMostQueuedFrames);
    // Ours are counted in metrics; nghttp2's stand behind them.
    nghttp2_option_set_max_continuations(options, kMostContinuations + 1);
    nghttp2_option_set_stream_reset_rate_limit(options, uint64_t{kResets.burst} * 100,
                                               uint64_t{kResets.per_second} * 1000);
  }
  Setup(const Setup&) = delete;
  Setup& operator=(const Setup&) = delete;
  ~Setup() {
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
  }
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* options = nullptr;
};

const Setup& setup() {
  static const Setup setup;
  return setup;
}

}  // namespace

/// A ring of the last ones; older ones are forgotten, and then all below them are taken for reset.
struct Session::Resets {
  std::array<int32_t, kRememberedResets> ids{};
  size_t next = 0;
  int32_t forgotten = 0;

  void add(int32_t id) {
    forgotten = std::max(forgotten, ids[next]);
    ids[next] = id;
    next = (next + 1) % ids.size();
  }
  bool has(int32_t id) const { return id <= forgotten || std::find(ids.begin(), ids.end(), id) != ids.end(); }
};

Session::Session(Role role, Owner& owner, const Settings& settings)
    : role_(role),
      owner_(owner),
      scanner_(role == Role::kServer ? FrameScanner::kPrefaceBytes : 0),
      resets_(kResets, owner.now()),
      settings_(kSettingsFrames, owner.now()),
      pings_(kPings, owner.now()),
      priorities_(kPriorities, owner.now()),
      window_updates_(kWindowUpdates, owner.now()),
      empty_frames_(kEmptyFrames, owner.now()) {
  bool server = role == Role::kServer;
  int made = server ? nghttp2_session_server_new2(&session_, setup().callbacks, this, setup().options)
                    : nghttp2_session_client_new2(&session_, setup().callbacks, this, setup().options);
  if (made != 0) throw std::bad_alloc();
  std::array<nghttp2_settings_entry, 5> entries{{
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, server ? kMostStreams : 0},  // of the peer's: no pushes
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, kStreamWindow},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, settings.head_bytes},
      {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
      {server ? NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL : NGHTTP2_SETTINGS_ENABLE_PUSH, server ? 1u : 0u},
  }};
  size_t count = server && !settings.extended_connect ? entries.size() - 1 : entries.size();
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries.data(), count);
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        server ? kConnectionWindow : kClientConnectionWindow);
}

Session::~Session() { nghttp2_session_del(session_); }

bool Session::receive(std::string_view bytes) {
  size_t fed = 0;
  for (size_t at = 0; auto frame = scanner_.next(bytes, at);) {
    if (!count_frame(*frame)) {
      terminate(ErrorCode::kEnhanceYourCalm);
      return false;
    }
    if (!may_be_closed(*frame)) continue;
    // What came before decides whether it is.
    size_t before = std::max(fed, at - std::min(at, FrameHead::kBytes));
    if (!feed(bytes.substr(fed, before - fed))) return false;
    fed = before;
    if (is_open(frame->stream)) continue;
    terminate(ErrorCode::kStreamClosed);
    return false;
  }
  return feed(bytes.substr(fed));
}

bool Session::feed(std::string_view bytes) {
  ssize_t used = nghttp2_session_mem_recv(session_, bytes_of(bytes), bytes.size());
  if (used >= 0) return true;
  switch (used) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
      terminate(ErrorCode::kProtocolError);
      break;
    case NGHTTP2_ERR_NOMEM:
      terminate(ErrorCode::kInternalError);
      break;
    default:  // a bound of ours or of nghttp2's was passed
      terminate(ErrorCode::kEnhanceYourCalm);
      break;
  }
  return false;
}

bool Session::send(OutputBatch& batch) {
  batch_ = &batch;
  int result = nghttp2_session_send(session_);
  batch_ = nullptr;
  return result == 0;
}

bool Session::wants_read() const { return nghttp2_session_want_read(session_) != 0; }
bool Session::wants_write() const { return nghttp2_session_want_write(session_) != 0; }
size_t Session::queued() const { return nghttp2_session_get_outbound_queue_size(session_); }

int32_t Session::submit_request(const RequestLine& line, std::span<const Field> fields, bool body,
                                SessionStream& stream) {
  Pairs pairs(fields.size() + 5);
  pairs.add(pair_of(":method", line.method));
  pairs.add(pair_of(":scheme", line.scheme));
  pairs.add(pair_of(":authority", line.authority));
  pairs.add(pair_of(":path", line.path));
  if (!line.protocol.empty()) pairs.add(pair_of(":protocol", line.protocol));
  for (const Field& field : fields) pairs.add(field);
  nghttp2_data_provider provider{.source = {.ptr = nullptr}, .read_callback = Callbacks::on_read};
  int32_t id = nghttp2_submit_request(session_, nullptr, pairs.data(), pairs.size(),
                                      body ? &provider : nullptr, &stream);
  if (id < 0) return -1;
  ++streams_;
  return id;
}

void Session::submit_response(int32_t id, uint16_t status, std::span<const Field> fields, bool body,
                              bool interim) {
  Pairs pairs(fields.size() + 1);
  std::array<char, 8> digits;
  char* end = std::to_chars(digits.data(), digits.data() + digits.size(), status).ptr;
  pairs.add(pair_of(":status", {digits.data(), static_cast<size_t>(end - digits.data())}));
  for (const Field& field : fields) pairs.add(field);
  if (interim) {
    nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, id, nullptr, pairs.data(), pairs.size(), nullptr);
    return;
  }
  nghttp2_data_provider provider{.source = {.ptr = nullptr}, .read_callback = Callbacks::on_read};
  nghttp2_submit_response(session_, id, pairs.data(), pairs.size(), body ? &provider : nullptr);
}

void Session::submit_head(int32_t id, uint16_t status, std::span<const Field> fields, bool body) {
  submit_response(id, status, fields, body, false);
}
void Session::submit_interim(int32_t id, uint16_t status, std::span<const Field> fields) {
  submit_response(id, status, fields, false, true);
}

void Session::resume(int32_t id) { nghttp2_session_resume_data(session_, id); }
void Session::reset(int32_t id, ErrorCode code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, static_cast<uint32_t>(code));
}
void Session::forget(int32_t id) {
  if (nghttp2_session_set_stream_user_data(session_, id, nullptr) == 0) --streams_;
}
void Session::consume(int32_t id, size_t bytes) { nghttp2_session_consume(session_, id, bytes); }
void Session::drop(size_t bytes) { nghttp2_session_consume_connection(session_, bytes); }
bool Session::has_window(int32_t id) const {
  return nghttp2_session_get_stream_remote_window_size(session_, id) > 0 &&
         nghttp2_session_get_remote_window_size(session_) > 0;
}

uint32_t Session::most_requests() const {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
}
bool Session::offers_extended_connect() const {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

void Session::submit_notice() {
  nghttp2_submit_shutdown_notice(session_);
  submit_ping();
}
void Session::submit_ping() { nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr); }
void Session::submit_goaway() {
  goaway_id_ = nghttp2_session_get_last_proc_stream_id(session_);
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, goaway_id_, NGHTTP2_NO_ERROR, nullptr, 0);
}
void Session::terminate(ErrorCode code) {
  nghttp2_session_terminate_session(session_, static_cast<uint32_t>(code));
}

void Session::request_answered() {
  resets_.earn(kResets, 1);
  priorities_.earn(kPriorities, 2);
  window_updates_.earn(kWindowUpdates, 2);
  empty_frames_.earn(kEmptyFrames, 1);
}

/// Clients that measure the bandwidth (gRPC's do) ping with each round of data.
void Session::data_moved() {
  pings_.earn(kPings, 1);
  window_updates_.earn(kWindowUpdates, kUpdatesPerData);
}

bool Session::spend(FrameBudget& budget, const Allowance& allowance, std::string_view limit) {
  if (budget.spend(allowance, owner_.now())) return true;
  owner_.on_limit(limit);
  return false;
}

/// A client that makes us reset its requests, by breaking the protocol on them, is no better than one that
/// does it itself.
void Session::count_own_reset(uint32_t code) {
  if (role_ == Role::kClient || code == NGHTTP2_NO_ERROR || code == NGHTTP2_INTERNAL_ERROR) return;
  if (!spend(resets_, kResets, "http2_resets")) terminate(ErrorCode::kEnhanceYourCalm);
}

void Session::remember_reset(int32_t id) {
  if (!own_resets_) own_resets_ = std::make_unique<Resets>();
  own_resets_->add(id);
}

/// A client that goes on with a request that it has ended or taken back is not to be trusted (RFC 9113,
/// section 5.1: STREAM_CLOSED); nghttp2 forgets such streams and would let it pass. What we have reset it may
/// not know yet.
bool Session::is_open(int32_t id) const {
  nghttp2_stream* stream = nghttp2_session_find_stream(session_, id);
  nghttp2_stream_proto_state state = stream ? nghttp2_stream_get_state(stream) : NGHTTP2_STREAM_STATE_CLOSED;
  if (state != NGHTTP2_STREAM_STATE_CLOSED && state != NGHTTP2_STREAM_STATE_IDLE) return true;
  return id > goaway_id_ || (own_resets_ && own_resets_->has(id));
}

bool Session::may_be_closed(const FrameHead& frame) {
  if (role_ == Role::kClient || (frame.type != NGHTTP2_DATA && frame.type != NGHTTP2_HEADERS) ||
      frame.stream % 2 == 0)
    return false;
  if (frame.stream <= last_id_) return true;
  if (frame.type == NGHTTP2_HEADERS) last_id_ = frame.stream;
  return false;
}

bool Session::count_frame(const FrameHead& frame) {
  switch (frame.type) {
    case NGHTTP2_DATA:
      if (frame.length == 0 && !(frame.flags & NGHTTP2_FLAG_END_STREAM))
        return spend(empty_frames_, kEmptyFrames, "http2_empty_frames");
      if (frame.length != 0) pings_.earn(kPings, 1);
      return true;
    case NGHTTP2_HEADERS:
      continuations_ = 0;
      return true;
    case NGHTTP2_CONTINUATION:
      if (++continuations_ <= kMostContinuations) return true;
      owner_.on_limit("http2_continuations");
      return false;
    case NGHTTP2_RST_STREAM:  // a server that resets has been given a request each time
      return role_ == Role::kClient || spend(resets_, kResets, "http2_resets");
    case NGHTTP2_PUSH_PROMISE:  // our first SETTINGS have said that there are none
      terminate(ErrorCode::kProtocolError);
      return false;
    case NGHTTP2_SETTINGS:
      return frame.flags & NGHTTP2_FLAG_ACK || spend(settings_, kSettingsFrames, "http2_settings");
    case NGHTTP2_PING:
      return spend(pings_, kPings, "http2_pings");
    case NGHTTP2_PRIORITY:
      return spend(priorities_, kPriorities, "http2_priorities");
    case NGHTTP2_WINDOW_UPDATE:
      return spend(window_updates_, kWindowUpdates, "http2_window_updates");
    default:
      return spend(empty_frames_, kEmptyFrames, "http2_empty_frames");
  }
}

}  // namespace sluice::http::h2
