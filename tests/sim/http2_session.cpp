#include "http2_session.h"

#include <fmt/format.h>
#include <nghttp2/nghttp2.h>

#include <array>

namespace sluice::sim {

namespace {

constexpr size_t kPiece = 16'384;

std::vector<nghttp2_nv> pairs_of(const Fields& fields) {
  std::vector<nghttp2_nv> pairs;
  for (const Field& field : fields.all)
    pairs.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(field.name.data())),
                     reinterpret_cast<uint8_t*>(const_cast<char*>(field.value.data())), field.name.size(),
                     field.value.size(), NGHTTP2_NV_FLAG_NONE});
  return pairs;
}

std::string_view text_of(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

int Http2Stream::status() const {
  std::string_view text = head.value(":status");
  return text.size() == 3 ? std::stoi(std::string(text)) : 0;
}

struct Http2Callbacks {
  using Frame = nghttp2_frame;
  static Http2Session& self(void* user_data) { return *static_cast<Http2Session*>(user_data); }

  static int on_begin_headers(nghttp2_session*, const Frame* frame, void* user_data) {
    self(user_data).find_or_make(frame->hd.stream_id);
    return 0;
  }
  static int on_header(nghttp2_session*, const Frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t, void* user_data) {
    Http2Stream& stream = self(user_data).find_or_make(frame->hd.stream_id);
    Fields& fields = stream.headed ? stream.trailers : stream.head;
    fields.add(text_of(name, name_size), text_of(value, value_size));
    return 0;
  }
  static int on_frame_recv(nghttp2_session*, const Frame* frame, void* user_data) {
    Http2Session& session = self(user_data);
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      session.told_to_go_ = true;
      if (frame->goaway.error_code != NGHTTP2_NO_ERROR)
        session.broken_ = fmt::format("GOAWAY {}", frame->goaway.error_code);
      return 0;
    }
    if (frame->hd.stream_id == 0 || !session.streams_.contains(frame->hd.stream_id)) return 0;
    Http2Stream& stream = session.find_or_make(frame->hd.stream_id);
    bool head = frame->hd.type == NGHTTP2_HEADERS && !stream.headed;
    if (head && stream.status() / 100 == 1) {
      stream.interim.push_back(stream.status());
      stream.head = {};
    } else if (head) {
      stream.headed = true;
    }
    bool carries = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    if (carries && frame->hd.flags & NGHTTP2_FLAG_END_STREAM) stream.ended = true;
    bool served = session.owner_ && stream.id <= session.last_served_;
    if (head && stream.headed && served) session.owner_->on_request(stream);
    stream.signal.notify();
    return 0;
  }
  static int on_invalid_frame(nghttp2_session*, const Frame* frame, int error, void* user_data) {
    if (error == NGHTTP2_ERR_REFUSED_STREAM) return 0;  // sent before it knew how many are taken
    self(user_data).broken_ =
        fmt::format("{} in a frame of type {}", nghttp2_strerror(error), frame->hd.type);
    return 0;
  }
  static int on_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* bytes, size_t size,
                     void* user_data) {
    Http2Stream& stream = self(user_data).find_or_make(id);
    stream.body.append(text_of(bytes, size));
    stream.signal.notify();
    return 0;
  }
  static int on_close(nghttp2_session*, int32_t id, uint32_t code, void* user_data) {
    Http2Session& session = self(user_data);
    if (!session.streams_.contains(id)) return 0;
    Http2Stream& stream = session.find_or_make(id);
    stream.closed = true;
    stream.code = code;
    stream.signal.notify();
    return 0;
  }
  static ssize_t on_read(nghttp2_session* session, int32_t id, uint8_t* into, size_t most, uint32_t* flags,
                         nghttp2_data_source* source, void*) {
    Http2Stream& stream = *static_cast<Http2Stream*>(source->ptr);
    size_t here = std::min(stream.released, stream.out.size());
    size_t count = std::min(most, here - stream.out_sent);
    std::copy_n(stream.out.data() + stream.out_sent, count, into);
    stream.out_sent += count;
    bool end = stream.out_whole && stream.out_sent == stream.out.size();
    if (count == 0 && !end) return NGHTTP2_ERR_DEFERRED;
    if (end) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!stream.out_trailers.all.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        auto pairs = pairs_of(stream.out_trailers);
        nghttp2_submit_trailer(session, id, pairs.data(), pairs.size());
      }
    }
    return static_cast<ssize_t>(count);
  }
};

Http2Session::Http2Session(io::SimLoop& loop, std::unique_ptr<io::Stream> stream, Owner* owner,
                           const Settings& settings)
    : loop_(loop), stream_(std::move(stream)), owner_(owner) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, Http2Callbacks::on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, Http2Callbacks::on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, Http2Callbacks::on_frame_recv);
  nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, Http2Callbacks::on_invalid_frame);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, Http2Callbacks::on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, Http2Callbacks::on_close);
  if (owner)
    nghttp2_session_server_new(&session_, callbacks, this);
  else
    nghttp2_session_client_new(&session_, callbacks, this);
  nghttp2_session_callbacks_del(callbacks);
  std::vector<nghttp2_settings_entry> entries{{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, settings.window}};
  if (owner) {
    entries.push_back({NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, settings.most_streams});
    if (settings.extended_connect) entries.push_back({NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1});
  }
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, entries.data(), entries.size());
}

Http2Session::~Http2Session() { nghttp2_session_del(session_); }

uint32_t Http2Session::connection() const { return io::SimWorld::connection_number(*stream_); }

Http2Stream& Http2Session::find_or_make(int32_t id) {
  auto& stream = streams_[id];
  if (!stream) stream = std::make_unique<Http2Stream>();
  stream->id = id;
  return *stream;
}

io::Task<> Http2Session::run(io::CancelToken& token) {
  stream_->bind(token);
  kick();
  for (;;) {
    auto lease = co_await stream_->read();
    if (!lease || lease->empty()) break;
    std::string_view bytes = lease->bytes();
    ssize_t used =
        nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
    if (used < 0) {
      broken_ = nghttp2_strerror(static_cast<int>(used));
      break;
    }
    kick();
    if (!nghttp2_session_want_read(session_) && !nghttp2_session_want_write(session_)) break;
  }
  over_ = true;
  token.cancel(io::CancelReason::kShed);
  for (auto& [id, stream] : streams_) stream->signal.notify();
  co_await scope_.join();
}

void Http2Session::kick() {
  if (writing_ || over_ || !nghttp2_session_want_write(session_)) return;
  writing_ = true;
  scope_.spawn(flush());
}

io::Task<> Http2Session::flush() {
  co_await loop_.yield();
  for (;;) {
    std::string batch;
    while (batch.size() < kPiece) {
      const uint8_t* bytes = nullptr;
      ssize_t count = nghttp2_session_mem_send(session_, &bytes);
      if (count <= 0) break;
      batch.append(text_of(bytes, static_cast<size_t>(count)));
    }
    if (batch.empty()) break;
    iovec piece{batch.data(), batch.size()};
    auto written = co_await stream_->write({&piece, 1});
    if (!written) break;
  }
  writing_ = false;
}

Http2Stream* Http2Session::request(const Fields& head, std::string out, size_t released,
                                   const Fields& trailers, bool body) {
  if (over_ || told_to_go_) return nullptr;
  auto made = std::make_unique<Http2Stream>();
  made->out = std::move(out);
  made->released = released;
  made->out_trailers = trailers;
  made->out_whole = head.value(":method") != "CONNECT";
  nghttp2_data_provider provider{.source = {.ptr = made.get()}, .read_callback = Http2Callbacks::on_read};
  auto pairs = pairs_of(head);
  int32_t id = nghttp2_submit_request(session_, nullptr, pairs.data(), pairs.size(),
                                      body ? &provider : nullptr, nullptr);
  if (id < 0) return nullptr;
  made->id = id;
  Http2Stream* stream = made.get();
  streams_[id] = std::move(made);
  kick();
  return stream;
}

void Http2Session::interim(Http2Stream& stream, int status) {
  Fields head;
  head.add(":status", std::to_string(status));
  auto pairs = pairs_of(head);
  nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream.id, nullptr, pairs.data(), pairs.size(),
                         nullptr);
  kick();
}

void Http2Session::answer(Http2Stream& stream, const Fields& head, bool body) {
  nghttp2_data_provider provider{.source = {.ptr = &stream}, .read_callback = Http2Callbacks::on_read};
  auto pairs = pairs_of(head);
  nghttp2_submit_response(session_, stream.id, pairs.data(), pairs.size(), body ? &provider : nullptr);
  kick();
}

void Http2Session::release(Http2Stream& stream, size_t released) {
  stream.released = released;
  if (over_ || stream.closed) return;
  nghttp2_session_resume_data(session_, stream.id);
  kick();
}

void Http2Session::reset(Http2Stream& stream, uint32_t code) {
  if (over_ || stream.closed) return;
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream.id, code);
  kick();
}

void Http2Session::say_goodbye() {
  if (over_) return;
  int32_t last = last_served_ = nghttp2_session_get_last_proc_stream_id(session_);
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, last, NGHTTP2_NO_ERROR, nullptr, 0);
  kick();
}

void Http2Session::break_off() {
  if (!over_) stream_->abort();
}

}  // namespace sluice::sim
