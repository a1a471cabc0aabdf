// For tests: frames made by hand, also such as no client would send, and a client that reads what comes back.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/h1/server_fixture.h"
#include "http/serve.h"

namespace sluice::http::h2::testing {

using namespace std::chrono_literals;

// RFC 9113, section 6
enum Type : uint8_t {
  kData,
  kHeaders,
  kPriority,
  kRstStream,
  kSettings,
  kPushPromise,
  kPing,
  kGoaway,
  kWindowUpdate,
  kContinuation,
};
inline constexpr uint8_t kEndStream = 0x1;
inline constexpr uint8_t kAck = 0x1;
inline constexpr uint8_t kEndHeaders = 0x4;
inline constexpr uint32_t kNoCode = UINT32_MAX;

using FieldList = std::vector<std::pair<std::string, std::string>>;

std::string number(uint64_t value, size_t bytes);
std::string frame(uint8_t type, uint8_t flags, int32_t stream, std::string_view payload = {});
/// A field block of literals (RFC 7541, section 6.2.2), so that anything can be said.
std::string block(const FieldList& fields);
inline constexpr std::string_view kMagic = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// With empty settings, and their acknowledgement of the server's.
std::string preface();
FieldList get_fields(std::string_view path);
std::string headers(int32_t stream, const FieldList& fields, bool end = true);
std::string get(int32_t stream, std::string_view path);
std::string post(int32_t stream, std::string_view path);
std::string data(int32_t stream, std::string_view bytes, bool end = false);
std::string window(int32_t stream, uint32_t bytes);
std::string reset(int32_t stream, uint32_t code = 8);

/// What has come on one stream.
struct Answer {
  std::string status;  // of the last head; of a request empty
  std::vector<std::string> interim;
  std::map<std::string, std::string> fields;
  std::map<std::string, std::string> trailers;
  std::string body;
  bool ended = false;
  uint32_t reset = kNoCode;
};

/// Understands the frames in a text that grows.
class FrameReader {
 public:
  /// `received` lives as long as this; its first bytes are no frames.
  explicit FrameReader(const std::string& received, size_t skip = 0);
  ~FrameReader();

  /// Takes in what has come since.
  void look();
  /// What has come on that stream: of a client's, its request.
  Answer& answer(int32_t stream) {
    look();
    return answers_[stream];
  }
  /// The highest stream on which a head has come.
  int32_t last_stream() {
    look();
    return last_stream_;
  }
  /// The code of the last GOAWAY, or kNoCode.
  uint32_t goaway();
  int32_t goaway_last = -1;
  size_t count(uint8_t type) {
    look();
    return counts_[type];
  }
  /// What a stream's window was raised by; 0: the connection's.
  uint64_t raised(int32_t stream) {
    look();
    return raised_[stream];
  }
  std::map<uint16_t, uint32_t> settings;

 private:
  struct Inflater;
  void take(uint8_t type, uint8_t flags, int32_t stream, std::string_view payload);
  void take_head(Answer& answer, std::string_view block, bool end);

  const std::string& received_;
  std::unique_ptr<Inflater> inflater_;
  int32_t last_stream_ = 0;
  size_t taken_ = 0;
  uint32_t goaway_ = kNoCode;
  std::map<int32_t, Answer> answers_;
  std::map<int32_t, uint64_t> raised_;
  std::map<uint8_t, size_t> counts_;
};

/// Sends what it is told; acknowledges nothing and gives no window of its own accord.
class FrameClient : private h1::testing::RawClient, public FrameReader {
 public:
  FrameClient(io::SimWorld& world, io::SimLoop& loop, io::Address to, bool reads = true)
      : RawClient(world, loop, to, reads), FrameReader(RawClient::received) {}

  using RawClient::send;
  h1::testing::RawClient& raw() { return *this; }
  bool open() const { return state == State::kOpen; }
};

/// The handler of HTTP/1's tests, which also notes which limits were hit.
class Handler final : public RequestHandler {
 public:
  h1::testing::PathHandler paths;
  std::vector<std::string> limits_hit;

  const Limits& limits() const override { return paths.bounds; }
  const ServerTimeouts& timeouts() const override { return paths.times; }
  std::string_view date() override { return paths.date(); }
  void count_connections(uint16_t listener, int open, int active) override {
    paths.count_connections(listener, open, active);
  }
  void count_limit(std::string_view limit) override { limits_hit.emplace_back(limit); }
  void release(const io::Address&) override { ++released; }
  io::Task<void> handle(ServerExchange& exchange) override {
    queued.push_back(exchange.queued);
    if (exchange.request.path == "/rest") exchange.rest = 500ms;
    return paths.handle(exchange);
  }
  bool measures_queue() override { return true; }
  int released = 0;
  std::vector<std::optional<Duration>> queued;  // of each request
};

/// A listener whose connections are served, and room for clients.
class ServerTest : public ::testing::Test {
 protected:
  explicit ServerTest(io::SimOptions options = {}, Codec codec = Codec::kEither);
  ~ServerTest() override;

  io::SimWorld world;
  io::SimLoop& loop = world.add_loop();
  io::SimLoop& client_loop = world.add_loop();
  io::Address address = io::Address::loopback(80);
  Handler handler;
  Connections connections;
  std::vector<std::string>& log = handler.paths.log;

 private:
  io::Task<> accept_all();

  Codec codec_;
  io::Result<std::unique_ptr<io::Listener>> listener_ = loop.listen(address, {});
  io::CancelToken accepting_;
  io::TaskScope scope_;
};

}  // namespace sluice::http::h2::testing
