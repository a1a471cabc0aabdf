// An HTTP/2 connection that gets any bytes, in any pieces: it ends and gives everything back.
#include <memory>
#include <string>
#include <tuple>

#include "check.h"
#include "http/serve.h"
#include "http/transfer_errors.h"
#include "io/sim/sim_world.h"

using namespace sluice;
using namespace sluice::http;
using namespace std::chrono_literals;

namespace {

/// Reads what body there is and answers with as many bytes, some of them as a stream.
class Handler final : public RequestHandler {
 public:
  int open = 0;
  int active = 0;
  int admitted = 0;
  int answered = 0;

  const Limits& limits() const override { return limits_; }
  const ServerTimeouts& timeouts() const override { return timeouts_; }
  std::string_view date() override { return "Thu, 01 Jan 2026 00:00:00 GMT"; }
  void count_connections(uint16_t, int opened, int activated) override {
    open += opened;
    active += activated;
  }
  void release(const io::Address&) override { --admitted; }
  io::Task<void> handle(ServerExchange& exchange) override {
    Response response(exchange.arena);
    std::string body;
    bool failed = exchange.refused != nullptr;
    if (failed) response.status = exchange.refused->status;
    while (!failed && exchange.request_body) {
      auto chunk = co_await exchange.request_body->read();
      if (!chunk) {
        failed = true;
        break;
      }
      body.append(chunk->bytes);
      if (chunk->end) break;
    }
    body += "ok";
    response.body = BodyLength::known(body.size());
    auto outcome = co_await exchange.send(response, Body::of(body), {.interval = 1s, .sink_idle = 10s});
    answered += outcome == SendOutcome::kComplete ? 1 : 0;
  }

 private:
  Limits limits_;
  ServerTimeouts timeouts_;
};

io::Task<> accept(io::Listener& listener, Serving serving) {
  auto stream = co_await listener.accept();
  if (stream) serve(serving, std::move(*stream), 0, Codec::kHttp2);
}

io::Task<> play(io::SimLoop& loop, io::Address to, std::string_view bytes, size_t piece,
                io::CancelToken& token) {
  auto connected = co_await loop.connect(to, token);
  if (!connected) co_return;
  std::unique_ptr<io::Stream> stream = std::move(*connected);
  stream->bind(token);
  while (!bytes.empty()) {
    iovec part{const_cast<char*>(bytes.data()), std::min(piece, bytes.size())};
    bytes.remove_prefix(part.iov_len);
    auto written = co_await stream->write({&part, 1});
    if (!written) co_return;
  }
  stream->shutdown_write();
  for (;;) {
    auto lease = co_await stream->read();
    if (!lease || lease->empty()) break;
  }
}

// The preface and empty SETTINGS.
constexpr std::string_view kBeginning("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 24 + 9);

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  size_t piece = data[0] % 4 == 0 ? size : data[0];
  std::string bytes(kBeginning);
  bytes.append(reinterpret_cast<const char*>(data) + 1, size - 1);

  io::SimWorld world;
  io::SimLoop& loop = world.add_loop();
  io::SimLoop& client_loop = world.add_loop();
  Handler handler;
  Connections connections;
  io::TaskScope scope;
  io::CancelToken token;
  auto listener = loop.listen(io::Address::loopback(80), {});
  (*listener)->bind(token);
  handler.admitted = 1;
  scope.spawn(accept(**listener, {loop, handler, connections, scope}));
  scope.spawn(play(client_loop, io::Address::loopback(80), bytes, piece, token));
  world.run();
  SLUICE_FUZZ_CHECK(scope.active() == 0);
  SLUICE_FUZZ_CHECK(handler.open == 0 && handler.active == 0 && handler.admitted == 0);
  return 0;
}
