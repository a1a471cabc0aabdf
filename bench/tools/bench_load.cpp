// The load generator. Closed loop: each of C connections sends its next request when the answer to the last
// has come. Open loop (--rate): request i is due at start + i/R, and its latency counts from that moment even
// when no connection was free to send it, so that a stall of the server is seen by everything that would have
// arrived meanwhile (no coordinated omission). --hold opens C connections, makes one request on each and
// keeps them idle until its standard input ends. No pipelining. --tls: all of it over TLS 1.3. The result is
// one line of JSON.
#include <algorithm>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "cpu_time.h"
#include "histogram.h"
#include "load_options.h"
#include "net.h"
#include "response_reader.h"
#include "tls_client.h"

namespace bench {
namespace {

constexpr size_t kReadBuffer = 256 * 1024;
constexpr uint64_t kSecond = 1'000'000'000;
/// How long after the end answers of an open loop may still come.
constexpr uint64_t kDrain = 2 * kSecond;

volatile std::sig_atomic_t stop_asked = 0;

uint64_t now_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * kSecond + static_cast<uint64_t>(t.tv_nsec);
}

struct Connection {
  Channel channel;
  bool busy = false;
  uint64_t started = 0;  // closed loop: sent; open loop: due
  uint64_t sent = 0;     // kept with --deadline-ms
  ResponseReader reader;
};

struct Counts {
  uint64_t by_class[6] = {};  // [2]: 2xx
  uint64_t failed = 0;        // no whole answer: reset, closed early, unreadable
  uint64_t wrong_length = 0;
  uint64_t good = 0;    // 2xx in time
  uint64_t closed = 0;  // connections that the server closed, whether idle or not
  uint64_t body_bytes = 0;
  uint64_t answered() const { return by_class[1] + by_class[2] + by_class[3] + by_class[4] + by_class[5]; }
};

class Load {
 public:
  explicit Load(LoadOptions options)
      : options_(std::move(options)),
        texts_(options_.request_texts()),
        poll_(epoll_create1(EPOLL_CLOEXEC)),
        connections_(options_.connections) {}

  void run() {
    for (Connection& connection : connections_) {
      if (!open(connection)) die_errno("connect");
      idle_.push_back(&connection);
    }
    const uint64_t start = now_ns();
    window_start_ = start + static_cast<uint64_t>(options_.warmup * kSecond);
    window_end_ =
        options_.seconds > 0 ? window_start_ + static_cast<uint64_t>(options_.seconds * kSecond) : UINT64_MAX;
    if (options_.warmup <= 0) begin_window(start);
    if (options_.rate > 0) {
      run_open(start);
    } else {
      run_closed();
    }
    report();
  }

  void hold() {
    // One at a time, so that the server's pool of upstream connections does not grow with us.
    for (Connection& connection : connections_) {
      if (!open(connection)) die_errno("connect");
      connection.busy = true;
      send_request(connection);
      while (connection.busy) turn(now_ns() + 10 * kSecond);
    }
    std::printf("{\"held\": %zu, \"2xx\": %llu, \"failed\": %llu}\n", connections_.size(),
                static_cast<unsigned long long>(counts_.by_class[2]),
                static_cast<unsigned long long>(counts_.failed));
    std::fflush(stdout);
    char ignored[64];
    while (read(STDIN_FILENO, ignored, sizeof ignored) > 0) {
    }
  }

 private:
  bool open(Connection& connection) {
    in_addr_t source = 0;
    if (options_.sources > 1) source = htonl(INADDR_LOOPBACK + opened_++ % options_.sources);
    connection.channel.fd = connect_to(options_.address, source);
    if (connection.channel.fd < 0) return false;
    if (options_.tls && !connection.channel.handshake(tls_)) die("TLS handshake failed");
    connection.reader.reset();
    watch(poll_, connection.channel.fd, &connection);
    return true;
  }

  void run_closed() {
    while (!idle_.empty()) start_next(now_ns());
    while (!finished()) {
      turn(std::min(window_open_ ? window_end_ : window_start_, now_ns() + kSecond));
      while (!idle_.empty() && !finished()) start_next(now_ns());
    }
    end_window();
  }

  void run_open(uint64_t start) {
    const double step = static_cast<double>(kSecond) / options_.rate;
    const uint64_t tick = options_.tick_us * 1000;
    uint64_t index = 0;
    // With a tick all requests of one tick are due together: fewer timers, which are dear in a virtual
    // machine.
    const auto due = [&] {
      const auto exact = static_cast<uint64_t>(static_cast<double>(index) * step);
      return start + (tick == 0 ? exact : exact / tick * tick);
    };
    const auto send_due = [&](uint64_t now) {
      while (due() <= now && due() < window_end_ && !idle_.empty()) {
        start_next(due());
        ++index;
      }
    };
    while (!finished()) {
      const bool was_free = !idle_.empty();
      turn(was_free ? std::min(due(), window_end_) : window_end_);
      const uint64_t now = now_ns();
      // A connection was free before we slept, so being late now is our own doing, never the server's.
      if (was_free && window_open_ && now > due()) own_delay_ = std::max(own_delay_, now - due());
      send_due(now);
    }
    send_due(window_end_);
    end_window();
    const uint64_t give_up = now_ns() + kDrain;
    draining_ = true;
    while (idle_.size() < connections_.size() && now_ns() < give_up) turn(give_up);
    // What was never sent or answered has waited until now at least. Left out, an overloaded server would
    // look fast.
    const uint64_t now = now_ns();
    for (; due() < window_end_; ++index, ++unanswered_) latency_->record(now - due());
    for (const Connection& connection : connections_) {
      if (connection.busy && connection.started >= window_start_) {
        latency_->record(now - connection.started);
        ++unanswered_;
      }
    }
  }

  bool finished() {
    const uint64_t now = now_ns();
    if (!window_open_ && now >= window_start_) begin_window(now);
    if (stop_asked != 0) return true;
    return now >= window_end_ || (options_.requests > 0 && counts_.answered() >= options_.requests);
  }

  void begin_window(uint64_t now) {
    window_open_ = true;
    window_start_ = now;
    counts_ = {};
    latency_ = std::make_unique<Histogram>();
    cpu_before_ = CpuTime::of(options_.pids);
  }

  void end_window() {
    const CpuTime after = CpuTime::of(options_.pids);
    window_seconds_ = static_cast<double>(now_ns() - window_start_) / kSecond;
    in_window_ = counts_.answered();
    good_in_window_ = counts_.good;
    cpu_ns_ = after.total_ns - cpu_before_.total_ns;
    user_ticks_ = after.user_ticks - cpu_before_.user_ticks;
    system_ticks_ = after.system_ticks - cpu_before_.system_ticks;
  }

  void start_next(uint64_t started) {
    Connection& connection = *idle_.front();
    idle_.pop_front();
    connection.started = started;
    connection.busy = true;
    if (options_.deadline_ms > 0) connection.sent = now_ns();
    send_request(connection);
  }

  void send_request(Connection& connection) {
    const std::string& text = texts_[next_text_];
    if (++next_text_ == texts_.size()) next_text_ = 0;
    // A connection that was shut between two requests shows as an event; a full buffer cannot happen with one
    // request.
    if (connection.channel.transmit(text) != static_cast<ssize_t>(text.size())) lost(connection);
  }

  void turn(uint64_t until) {
    const uint64_t now = now_ns();
    const uint64_t wait = until > now ? until - now : 0;
    const timespec timeout{.tv_sec = static_cast<time_t>(wait / kSecond),
                           .tv_nsec = static_cast<long>(wait % kSecond)};
    const int count =
        epoll_pwait2(poll_, events_.data(), static_cast<int>(events_.size()), &timeout, nullptr);
    for (int i = 0; i < count; ++i) {
      const epoll_event& event = events_[static_cast<size_t>(i)];
      const bool hangup = (event.events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
      if ((event.events & EPOLLIN) != 0 || hangup) receive(*static_cast<Connection*>(event.data.ptr), hangup);
    }
  }

  void receive(Connection& connection, bool hangup) {
    for (;;) {
      const ssize_t got = connection.channel.receive(buffer_.get(), kReadBuffer);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (got <= 0) return lost(connection);
      const auto result = connection.reader.take({buffer_.get(), static_cast<size_t>(got)});
      if (result == ResponseReader::Result::kBroken || !connection.busy) return lost(connection);
      if (result == ResponseReader::Result::kDone) {
        answered(connection);
        if (connection.reader.close()) return lost(connection);
      }
      // A short read saw all there was; of TLS it is one record.
      if (static_cast<size_t>(got) < kReadBuffer && !hangup && !options_.tls) return;
    }
  }

  void answered(Connection& connection) {
    const int status = connection.reader.status();
    ++counts_.by_class[std::clamp(status / 100, 1, 5)];
    counts_.body_bytes += connection.reader.body_bytes();
    if (status / 100 == 2 && options_.expect_bytes >= 0 &&
        connection.reader.body_bytes() != static_cast<uint64_t>(options_.expect_bytes)) {
      ++counts_.wrong_length;
    }
    if (status / 100 == 2 && options_.deadline_ms > 0 &&
        now_ns() - connection.sent <= options_.deadline_ms * 1'000'000) {
      ++counts_.good;
    }
    if (connection.started >= window_start_) latency_->record(now_ns() - connection.started);
    connection.busy = false;
    if (!options_.hold) idle_.push_back(&connection);
  }

  /// The server closed the connection (or sent what cannot be read): counted, and a new one takes its place.
  void lost(Connection& connection) {
    ++counts_.closed;
    if (connection.busy) {
      ++counts_.failed;
      connection.busy = false;
      if (!options_.hold) idle_.push_back(&connection);
    }
    connection.channel.shut();
    if (!draining_ && !open(connection)) die_errno("connect again");
  }

  void report() const {
    const auto us = [](uint64_t ns) { return static_cast<double>(ns) / 1000; };
    const auto big = [](uint64_t n) { return static_cast<unsigned long long>(n); };
    const uint64_t ticks = user_ticks_ + system_ticks_;
    std::printf("{\"requests\": %llu, \"seconds\": %.4f, \"rps\": %.1f, ", big(in_window_), window_seconds_,
                static_cast<double>(in_window_) / window_seconds_);
    std::printf("\"2xx\": %llu, \"3xx\": %llu, \"4xx\": %llu, \"5xx\": %llu, ", big(counts_.by_class[2]),
                big(counts_.by_class[3]), big(counts_.by_class[4]), big(counts_.by_class[5]));
    std::printf(
        "\"good\": %llu, \"failed\": %llu, \"wrong_length\": %llu, \"closed\": %llu, \"late\": %llu, "
        "\"body_bytes\": %llu, "
        "\"own_delay_us\": %.1f, ",
        big(good_in_window_), big(counts_.failed), big(counts_.wrong_length), big(counts_.closed),
        big(unanswered_), big(counts_.body_bytes), us(own_delay_));
    std::printf(
        "\"p50_us\": %.2f, \"p90_us\": %.2f, \"p99_us\": %.2f, \"p999_us\": %.2f, \"max_us\": %.2f, "
        "\"mean_us\": %.2f",
        us(latency_->quantile(0.5)), us(latency_->quantile(0.9)), us(latency_->quantile(0.99)),
        us(latency_->quantile(0.999)), us(latency_->max()), latency_->mean() / 1000);
    if (!options_.pids.empty()) {
      std::printf(", \"cpu_seconds\": %.6f, \"cpu_us\": %.4f, \"user_share\": %.3f",
                  static_cast<double>(cpu_ns_) / 1e9,
                  in_window_ == 0 ? 0 : us(cpu_ns_) / static_cast<double>(in_window_),
                  ticks == 0 ? 0 : static_cast<double>(user_ticks_) / static_cast<double>(ticks));
    }
    std::printf("}\n");
  }

  LoadOptions options_;
  std::vector<std::string> texts_;
  size_t next_text_ = 0;
  int poll_;
  TlsClient tls_;
  std::vector<Connection> connections_;
  std::deque<Connection*> idle_;
  std::vector<epoll_event> events_ = std::vector<epoll_event>(512);
  std::unique_ptr<char[]> buffer_ = std::make_unique<char[]>(kReadBuffer);
  unsigned opened_ = 0;

  bool window_open_ = false;
  bool draining_ = false;
  uint64_t window_start_ = 0;
  uint64_t window_end_ = 0;
  double window_seconds_ = 0;
  uint64_t in_window_ = 0;  // answers
  uint64_t good_in_window_ = 0;
  uint64_t unanswered_ = 0;  // open loop: due in the window, but not sent or not answered
  uint64_t own_delay_ = 0;   // open loop: the longest this generator itself overslept, ns
  Counts counts_;
  std::unique_ptr<Histogram> latency_ = std::make_unique<Histogram>();
  CpuTime cpu_before_;
  uint64_t cpu_ns_ = 0;
  uint64_t user_ticks_ = 0;
  uint64_t system_ticks_ = 0;
};

int run(int argc, char** argv) {
  end_with_parent();
  prctl(PR_SET_TIMERSLACK, 1);  // the open loop's due times are microseconds apart
  std::signal(SIGTERM, [](int) { stop_asked = 1; });
  LoadOptions options = LoadOptions::parse(argc, argv);
  const bool hold = options.hold;
  Load load(std::move(options));
  if (hold) {
    load.hold();
  } else {
    load.run();
  }
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) { return bench::run(argc, argv); }
