// An HTTP/2 server that sends any bytes, in any pieces, to requests of three kinds: they end and give
// everything back.
#include <memory>
#include <string>
#include <tuple>

#include "check.h"
#include "http/h2/client_connection.h"
#include "io/sim/sim_world.h"
#include "io/sleep.h"

using namespace sluice;
using namespace sluice::http;
using namespace std::chrono_literals;

namespace {

class Owner final : public h2::ClientConnection::Owner {
 public:
  bool ended = false;
  bool closing = false;
  void on_load() override {}
  void on_closing() override { closing = true; }
  void on_limit(std::string_view) override {}
  void on_ended() override { ended = true; }
};

/// Its beginning is right: SETTINGS that offer extended CONNECT (RFC 8441).
constexpr std::string_view kBeginning("\0\0\6\4\0\0\0\0\0\0\10\0\0\0\1", 15);

io::Task<> play(io::Listener& listener, std::string_view bytes, size_t piece) {
  auto accepted = co_await listener.accept();
  if (!accepted) co_return;
  std::unique_ptr<io::Stream> stream = std::move(*accepted);
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

io::Task<> upload(io::Loop& loop, ClientExchange& exchange, std::string_view body) {
  std::ignore = loop;
  TransferWatch watch = exchange.watch({.interval = 1s, .source_idle = 10s, .sink_idle = 10s});
  auto written = co_await exchange.send_body(Body::of(body), watch);
  std::ignore = written;
}

io::Task<> use_tunnel(ClientTunnel& tunnel, io::CancelToken& token) {
  io::Stream& stream = tunnel.stream();
  stream.bind(token);
  std::string bytes(1000, 'x');
  iovec piece{bytes.data(), bytes.size()};
  auto written = co_await stream.write({&piece, 1});
  if (written) stream.shutdown_write();
  for (;;) {
    auto lease = co_await stream.read();
    if (!lease || lease->empty()) break;
  }
  stream.unbind();
  tunnel.end();
}

enum class Kind { kGet, kPost, kWebSocket };

io::Task<> ask(io::Loop& loop, h2::ClientConnection& connection, Kind kind, int& open) {
  io::CancelToken token;
  io::Deadline deadline(loop, loop.now() + 20s, token);
  auto arena = std::make_unique<Arena>();
  Request request(*arena);
  request.method = kind == Kind::kPost ? Method::kPost : Method::kGet;
  request.path = "/";
  std::string body(100'000, 'y');
  if (kind == Kind::kPost) request.body = BodyLength::known(body.size());
  RequestOptions options{.host = "a.test"};
  if (kind == Kind::kWebSocket) options.upgrade = "websocket";
  ++open;
  ExchangePlace place{token, *arena, {}};
  ClientExchange& exchange = connection.start(place);
  exchange.begin(request, options);
  io::TaskScope scope;
  if (kind == Kind::kPost) {
    scope.spawn(upload(loop, exchange, body));
  } else {
    auto sent = co_await exchange.send_head();
    std::ignore = sent;
  }
  Response response(*arena);
  bool heard = true;
  do {
    response = Response(*arena);
    auto head = co_await exchange.read_head(response);
    heard = head.has_value();
    SLUICE_FUZZ_CHECK(!heard || (response.status >= 100 && response.status < 600));
  } while (heard && response.status < 200 && response.status != 101);
  SLUICE_FUZZ_CHECK(!heard || response.status != 101 || kind == Kind::kWebSocket);
  if (heard && response.status == 101) {
    ClientTunnel& tunnel = exchange.become_tunnel();
    arena.reset();
    co_await use_tunnel(tunnel, token);
    --open;
    co_return;
  }
  BodyReader* reader = heard ? exchange.body() : nullptr;
  while (reader) {
    auto chunk = co_await reader->read();
    if (!chunk || chunk->end) break;
  }
  token.cancel(io::CancelReason::kShed);
  co_await scope.join();
  exchange.end(kind != Kind::kPost);
  --open;
}

io::Task<> connect(io::Loop& loop, io::Address to, Owner& owner, io::TaskScope& scope, int& open) {
  io::CancelToken token;
  auto stream = co_await loop.connect(to, token);
  if (!stream) {
    owner.ended = true;
    co_return;
  }
  auto* connection =
      new h2::ClientConnection(loop, std::move(*stream), {.scheme = "http", .head_bytes = 65536}, owner);
  for (Kind kind : {Kind::kGet, Kind::kPost, Kind::kWebSocket})
    if (connection->has_room()) scope.spawn(ask(loop, *connection, kind, open));
  connection->close();  // with the last of them
  co_await h2::ClientConnection::run(*connection);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  size_t piece = data[0] % 4 == 0 ? size + kBeginning.size() : data[0];
  std::string bytes(data[0] % 8 < 6 ? kBeginning : std::string_view());
  bytes.append(reinterpret_cast<const char*>(data) + 1, size - 1);

  io::SimWorld world;
  io::SimLoop& loop = world.add_loop();
  io::SimLoop& server_loop = world.add_loop();
  Owner owner;
  io::TaskScope scope;
  int open = 0;
  auto listener = server_loop.listen(io::Address::loopback(80), {});
  scope.spawn(play(**listener, bytes, piece));
  scope.spawn(connect(loop, io::Address::loopback(80), owner, scope, open));
  world.run();
  SLUICE_FUZZ_CHECK(scope.active() == 0);
  SLUICE_FUZZ_CHECK(owner.ended && open == 0);
  return 0;
}
