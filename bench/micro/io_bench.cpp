// What the loop costs apart from the kernel: timers (the wheel beside a heap), frames, awaiting, changing
// over to another coroutine.
#include <benchmark/benchmark.h>
#include <malloc.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <memory>
#include <vector>

#include "base/random.h"
#include "http/h1/server_connection.h"
#include "io/epoll/epoll_stream.h"
#include "io/loop.h"
#include "io/scope.h"
#include "io/sim/sim_world.h"
#include "io/sleep.h"
#include "io/task.h"
#include "io/timer.h"

namespace sluice::io {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Noted final : Timer {
  void on_timer() override { fired->push_back(this); }
  std::vector<Noted*>* fired = nullptr;
};

/// What the wheel is measured against: a heap of four children a node, whose elements know their place, so
/// that they can be moved and taken out.
class TimerHeap {
 public:
  struct Entry {
    Instant deadline{};
    size_t place = SIZE_MAX;
    std::vector<Entry*>* fired = nullptr;
  };

  void arm(Entry& entry, Instant deadline) {
    Instant before = entry.deadline;
    entry.deadline = deadline;
    if (entry.place == SIZE_MAX) {
      entry.place = heap_.size();
      heap_.push_back(&entry);
      rise(entry.place);
    } else if (deadline < before) {
      rise(entry.place);
    } else {
      sink(entry.place);
    }
  }
  void advance(Instant now) {
    while (!heap_.empty() && heap_.front()->deadline <= now) {
      Entry* due = heap_.front();
      due->place = SIZE_MAX;
      Entry* last = heap_.back();
      heap_.pop_back();
      if (last != due) {
        put(0, last);
        sink(0);
      }
      due->fired->push_back(due);
    }
  }

 private:
  void put(size_t place, Entry* entry) {
    heap_[place] = entry;
    entry->place = place;
  }
  void rise(size_t place) {
    Entry* entry = heap_[place];
    while (place != 0 && entry->deadline < heap_[(place - 1) / 4]->deadline) {
      put(place, heap_[(place - 1) / 4]);
      place = (place - 1) / 4;
    }
    put(place, entry);
  }
  void sink(size_t place) {
    Entry* entry = heap_[place];
    for (;;) {
      size_t first = place * 4 + 1;
      if (first >= heap_.size()) break;
      size_t least = first;
      size_t end = std::min(first + 4, heap_.size());
      for (size_t child = first + 1; child < end; ++child)
        if (heap_[child]->deadline < heap_[least]->deadline) least = child;
      if (entry->deadline <= heap_[least]->deadline) break;
      put(place, heap_[least]);
      place = least;
    }
    put(place, entry);
  }
  std::vector<Entry*> heap_;
};

/// `count` timers, armed as those of idle connections are: some time within 75 s.
template <class Queue, class Entry>
struct Timers {
  explicit Timers(size_t count) : entries(std::make_unique<Entry[]>(count)), size(count) {
    queue.advance(now);
    for (size_t i = 0; i < count; ++i) {
      entries[i].fired = &fired;
      queue.arm(entries[i], now + Duration(static_cast<int64_t>(random.below(75'000'000'000))));
    }
  }
  Random random{1};
  Instant now{seconds(1000)};
  std::vector<Entry*> fired;
  std::unique_ptr<Entry[]> entries;
  size_t size;
  Queue queue;
};
using Wheel = Timers<TimerWheel, Noted>;
using Heap = Timers<TimerHeap, TimerHeap::Entry>;

/// A request's way: a timer is armed anew for another phase, while all others wait.
template <class T>
void timer_arm_anew(benchmark::State& state) {
  T timers(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    size_t which = timers.random.below(timers.size);
    timers.queue.arm(timers.entries[which], timers.now + seconds(10 + static_cast<int>(which % 65)));
  }
}
BENCHMARK(timer_arm_anew<Wheel>)->Arg(10'000)->Arg(100'000);
BENCHMARK(timer_arm_anew<Heap>)->Arg(10'000)->Arg(100'000);

/// A turn of the loop a millisecond later, in which what is due fires and is armed again; the figure is for
/// each timer that fired.
template <class T>
void timer_fire_and_arm(benchmark::State& state) {
  T timers(static_cast<size_t>(state.range(0)));
  uint64_t count = 0;
  for (auto _ : state) {
    timers.now += milliseconds(1);
    timers.queue.advance(timers.now);
    for (auto* entry : timers.fired)
      timers.queue.arm(*entry,
                       timers.now + Duration(static_cast<int64_t>(timers.random.below(75'000'000'000))));
    count += timers.fired.size();
    timers.fired.clear();
  }
  state.counters["fired_a_turn"] =
      benchmark::Counter(static_cast<double>(count), benchmark::Counter::kAvgIterations);
  state.counters["each"] = benchmark::Counter(static_cast<double>(count),
                                              benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}
BENCHMARK(timer_fire_and_arm<Wheel>)->Arg(10'000)->Arg(100'000);
BENCHMARK(timer_fire_and_arm<Heap>)->Arg(10'000)->Arg(100'000);

void wheel_next_due(benchmark::State& state) {
  Wheel timers(static_cast<size_t>(state.range(0)));
  for (auto _ : state) benchmark::DoNotOptimize(timers.queue.next_due());
}
BENCHMARK(wheel_next_due)->Arg(1)->Arg(100'000);

void frame_from_the_pool(benchmark::State& state) {
  SimWorld world;
  CurrentLoop current(world.add_loop());
  for (auto _ : state) {
    void* block = allocate_frame(300);
    benchmark::DoNotOptimize(block);
    release_frame(block, 300);
  }
}
BENCHMARK(frame_from_the_pool);

void frame_from_malloc(benchmark::State& state) {
  for (auto _ : state) {
    void* block = FramePool::allocate_from_system(300);
    benchmark::DoNotOptimize(block);
    FramePool::release_to_system(block);
  }
}
BENCHMARK(frame_from_malloc);

[[clang::noinline]] Task<int> answer(int value) { co_return value; }
Task<> await_tasks(int count) {
  for (int i = 0; i < count; ++i) {
    auto value = co_await answer(i);
    benchmark::DoNotOptimize(value);
  }
}
constexpr int kInARow = 1000;

/// Frame, call and return of one awaited task.
void task_await(benchmark::State& state) {
  SimWorld world;
  CurrentLoop current(world.add_loop());
  for (auto _ : state) {
    TaskScope scope;
    scope.spawn(await_tasks(kInARow));
  }
  state.SetItemsProcessed(state.iterations() * kInARow);
}
BENCHMARK(task_await);

Task<> yield_often(Loop& loop, int count) {
  for (int i = 0; i < count; ++i) co_await loop.yield();
}
/// Two coroutines that take turns by way of the loop's queue: the figure is for one change.
void change_over(benchmark::State& state) {
  SimWorld world;
  SimLoop& loop = world.add_loop();
  CurrentLoop current(loop);
  for (auto _ : state) {
    TaskScope scope;
    scope.spawn(yield_often(loop, kInARow / 2));
    scope.spawn(yield_often(loop, kInARow / 2));
    world.run();
  }
  state.SetItemsProcessed(state.iterations() * kInARow);
}
BENCHMARK(change_over);

/// Serves nothing: its connections idle.
class IdleHandler final : public http::RequestHandler {
 public:
  const http::Limits& limits() const override { return limits_; }
  const http::ServerTimeouts& timeouts() const override { return timeouts_; }
  std::string_view date() override { return {}; }
  Task<> handle(http::ServerExchange& exchange) override {
    exchange.abandon();
    co_return;
  }
  void count_connections(uint16_t, int, int) override {}

 private:
  http::Limits limits_;
  http::ServerTimeouts timeouts_;
};
Task<> stop_after(TaskScope& scope, EpollLoop& loop) {
  co_await scope.join();
  loop.stop();
}

/// Heap bytes of an idle HTTP/1.1 connection: stream, connection, timer and the frame that waits.
void idle_connection(benchmark::State& state) {
  constexpr size_t kConnections = 200;
  IdleHandler handler;
  for (auto _ : state) {
    EpollLoop loop(1);
    http::Connections connections;
    TaskScope scope;
    TaskScope stopping;
    std::array<int, kConnections> clients;
    CurrentLoop current(loop);
    size_t before = mallinfo2().uordblks;
    for (int& client : clients) {
      int ends[2];
      if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0)
        return state.SkipWithError("out of descriptors");
      client = ends[0];
      auto stream = EpollStream::adopt(loop, ends[1], Address::loopback(1));
      if (!stream) return state.SkipWithError("epoll refused a socket");
      scope.spawn(http::h1::serve_connection(loop, std::move(*stream), handler, 0, connections));
    }
    size_t bytes = mallinfo2().uordblks - before;
    state.counters["bytes"] = static_cast<double>(bytes) / kConnections;
    state.counters["target_bytes"] = 600;
    for (int client : clients) close(client);
    stopping.spawn(stop_after(scope, loop));
    loop.run();
  }
}
BENCHMARK(idle_connection)->Iterations(3);

}  // namespace
}  // namespace sluice::io
