// The gRPC upstream of the benchmark: HTTP/2 without TLS. Every call, whatever its path, is answered with one
// message of 64 bytes and `grpc-status: 0`, once it has been read.
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "net.h"

namespace bench {
namespace {

constexpr size_t kReadBuffer = 256 * 1024;
constexpr size_t kMessage = 64;

nghttp2_nv field(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(),
          NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE};
}

ssize_t give_message(nghttp2_session* session, int32_t stream, uint8_t* to, size_t size, uint32_t* flags,
                     nghttp2_data_source* /*source*/, void* /*user*/) {
  // A frame holds it whole: the smallest window and frame that peers use are larger.
  if (size < 5 + kMessage) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  std::memset(to, 'x', 5 + kMessage);
  std::memset(to, 0, 4);  // not compressed; the length is big-endian
  to[4] = kMessage;
  *flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
  const nghttp2_nv trailer = field("grpc-status", "0");
  nghttp2_submit_trailer(session, stream, &trailer, 1);
  return 5 + kMessage;
}

int on_frame(nghttp2_session* session, const nghttp2_frame* frame, void* /*user*/) {
  const bool request = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
  if (!request || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
  const nghttp2_nv head[] = {field(":status", "200"), field("content-type", "application/grpc")};
  nghttp2_data_provider body{};
  body.read_callback = give_message;
  return nghttp2_submit_response(session, frame->hd.stream_id, head, 2, &body);
}

/// What all connections share.
class Protocol {
 public:
  Protocol() {
    nghttp2_session_callbacks_new(&callbacks_);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks_, on_frame);
    nghttp2_option_new(&option_);
    nghttp2_option_set_no_closed_streams(option_, 1);
  }
  Protocol(const Protocol&) = delete;
  Protocol& operator=(const Protocol&) = delete;
  ~Protocol() {
    nghttp2_session_callbacks_del(callbacks_);
    nghttp2_option_del(option_);
  }

  nghttp2_session* new_session() {
    nghttp2_session* session = nullptr;
    if (nghttp2_session_server_new2(&session, callbacks_, nullptr, option_) != 0) die("no HTTP/2 session");
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1000},
                                               {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1U << 20}};
    nghttp2_submit_settings(session, NGHTTP2_FLAG_NONE, settings, 2);
    nghttp2_session_set_local_window_size(session, NGHTTP2_FLAG_NONE, 0, 1 << 24);
    return session;
  }

 private:
  nghttp2_session_callbacks* callbacks_ = nullptr;
  nghttp2_option* option_ = nullptr;
};

struct Connection {
  int fd;
  nghttp2_session* session;
  std::string unsent;
};

class Server {
 public:
  explicit Server(int listener) : poll_(epoll_create1(EPOLL_CLOEXEC)), listener_(listener) {
    epoll_event event{.events = EPOLLIN, .data = {.ptr = nullptr}};
    if (epoll_ctl(poll_, EPOLL_CTL_ADD, listener_, &event) < 0) die_errno("epoll_ctl");
  }

  void run() {
    std::vector<epoll_event> events(512);
    for (;;) {
      const int count = epoll_wait(poll_, events.data(), static_cast<int>(events.size()), -1);
      for (int i = 0; i < count; ++i) {
        auto* connection = static_cast<Connection*>(events[static_cast<size_t>(i)].data.ptr);
        if (connection == nullptr) {
          accept_all();
        } else if (!receive(*connection) || !transmit(*connection)) {
          nghttp2_session_del(connection->session);
          close(connection->fd);
          delete connection;
        }
      }
    }
  }

 private:
  void accept_all() {
    for (;;) {
      const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      set_no_delay(fd);
      watch(poll_, fd, new Connection{.fd = fd, .session = protocol_.new_session(), .unsent = {}});
    }
  }

  bool receive(Connection& connection) {
    for (;;) {
      const ssize_t got = recv(connection.fd, buffer_.get(), kReadBuffer, 0);
      if (got == 0) return false;
      if (got < 0) return errno == EAGAIN || errno == EINTR;
      const auto* bytes = reinterpret_cast<const uint8_t*>(buffer_.get());
      if (nghttp2_session_mem_recv(connection.session, bytes, static_cast<size_t>(got)) < 0) return false;
    }
  }

  bool transmit(Connection& connection) {
    for (;;) {
      const uint8_t* bytes = nullptr;
      const ssize_t more = nghttp2_session_mem_send(connection.session, &bytes);
      if (more < 0) return false;
      if (more == 0) break;
      connection.unsent.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(more));
    }
    if (connection.unsent.empty()) return true;
    const ssize_t sent =
        send(connection.fd, connection.unsent.data(), connection.unsent.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    connection.unsent.erase(0, static_cast<size_t>(sent));
    return true;
  }

  Protocol protocol_;
  int poll_;
  int listener_;
  std::unique_ptr<char[]> buffer_ = std::make_unique<char[]>(kReadBuffer);
};

int run(int argc, char** argv) {
  end_with_parent();
  sockaddr_in address = parse_address("127.0.0.1:0");
  for (Options options(argc, argv); options.next();) {
    if (options.name() == "--listen")
      address = parse_address(options.value());
    else
      options.unknown();
  }
  Server(listen_on(address)).run();
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) { return bench::run(argc, argv); }
