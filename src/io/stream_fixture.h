// What tests of streams share: each back-end behind one face, and small coroutines over streams.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "io/epoll/epoll_loop.h"
#include "io/scope.h"
#include "io/sim/sim_world.h"
#include "io/sleep.h"
#include "io/uring/uring_loop.h"

namespace sluice::io::fixture {

template <class T>
Task<> store(Task<T> task, std::optional<T>& result) {
  auto value = co_await std::move(task);
  result.emplace(std::move(value));
}

/// Runs tasks in a simulated world with one loop.
struct SimBackend {
  SimWorld world;
  SimLoop& loop = world.add_loop();

  explicit SimBackend(const SimOptions& options = {}) : world(options) {}
  template <class T>
  T await(Task<T> task) {
    std::optional<T> result;
    TaskScope scope;
    loop.post([&] { scope.spawn(store(std::move(task), result)); });
    world.run();
    return std::move(*result);
  }
};

/// Runs tasks on a loop of the system's, over loopback.
template <class SystemLoop>
struct SystemBackend {
  SystemLoop loop{1};

  template <class T>
  T await(Task<T> task) {
    std::optional<T> result;
    TaskScope scope;
    loop.post([&] { scope.spawn(store_and_stop(std::move(task), result)); });
    loop.run();
    return std::move(*result);
  }

 private:
  template <class T>
  Task<> store_and_stop(Task<T> task, std::optional<T>& result) {
    auto value = co_await std::move(task);
    result.emplace(std::move(value));
    loop.stop();
  }
};
using EpollBackend = SystemBackend<EpollLoop>;
using UringBackend = SystemBackend<UringLoop>;

struct Pair {
  std::unique_ptr<Stream> client;
  std::unique_ptr<Stream> server;
};

/// What a test puts over each new connection, such as TLS; null: nothing.
inline Task<Pair> (*put_over)(Loop&, Pair) = nullptr;

/// Two ends of a new connection.
inline Task<Pair> connect_pair(Loop& loop) {
  auto listener = loop.listen(Address::loopback(0), {}).value();
  CancelToken token;
  auto client = co_await loop.connect(listener->address(), token);
  auto server = co_await listener->accept();
  Pair pair{std::move(client.value()), std::move(server.value())};
  if (put_over) pair = co_await put_over(loop, std::move(pair));
  co_return pair;
}

/// Until `holds()`, or long enough to say that it never will.
template <class Condition>
Task<bool> wait_until(Loop& loop, Condition holds) {
  CancelToken token;
  for (int i = 0; i < 5000 && !holds(); ++i) co_await sleep_for(loop, TimerWheel::kTick, token);
  co_return holds();
}

/// Long enough for whatever was sent to be at the other side.
inline Task<> settle(Loop& loop) {
  CancelToken token;
  co_await sleep_for(loop, std::chrono::milliseconds(50), token);
}

inline Task<Result<>> write_text(Stream& stream, std::string text) {
  iovec piece{text.data(), text.size()};
  auto written = co_await stream.write({&piece, 1});
  co_return written;
}

struct Received {
  std::string text;
  Result<> end;  // whether it was the end or an error that ended it
};

/// Everything until the end or an error.
inline Task<Received> read_all(Stream& stream) {
  Received received;
  for (;;) {
    auto lease = co_await stream.read();
    if (!lease) {
      received.end = std::unexpected(lease.error());
      co_return received;
    }
    if (lease->empty()) co_return received;
    received.text += lease->bytes();
  }
}

/// At least `count` bytes, or what there is before an end or an error.
inline Task<std::string> read_some(Stream& stream, size_t count) {
  std::string text;
  while (text.size() < count) {
    auto lease = co_await stream.read();
    if (!lease || lease->empty()) break;
    text += lease->bytes();
  }
  co_return text;
}

}  // namespace sluice::io::fixture
