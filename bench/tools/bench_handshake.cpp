// New TLS connections as fast as they go: each of C clients connects, shakes hands, asks once (the server
// refuses for want of a key, which costs it next to nothing and proves that it is through with the
// handshake), closes, and begins again. --resume: with the last session its server gave. The result is one
// line of JSON; cpu_us is what the processes given by --pid used for each connection.
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "cpu_time.h"
#include "net.h"
#include "tls_client.h"

namespace bench {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr std::string_view kRequest = "GET /1k HTTP/1.1\r\nHost: bench.test\r\n\r\n";

uint64_t now_ns() {
  timespec t{};
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<uint64_t>(t.tv_sec) * kSecond + static_cast<uint64_t>(t.tv_nsec);
}

struct HandshakeOptions {
  sockaddr_in address{};
  size_t connections = 32;
  double seconds = 1;
  double warmup = 0;
  bool resume = false;
  std::vector<int> pids;

  static HandshakeOptions parse(int argc, char** argv) {
    HandshakeOptions o;
    for (Options options(argc, argv); options.next();) {
      if (options.name() == "--address")
        o.address = parse_address(options.value());
      else if (options.name() == "--connections")
        o.connections = parse_number<size_t>(options.value());
      else if (options.name() == "--seconds")
        o.seconds = parse_number<double>(options.value());
      else if (options.name() == "--warmup")
        o.warmup = parse_number<double>(options.value());
      else if (options.name() == "--resume")
        o.resume = true;
      else if (options.name() == "--pid")
        o.pids.push_back(parse_number<int>(options.value()));
      else
        options.unknown();
    }
    if (o.address.sin_family == 0) die("--address is needed");
    return o;
  }
};

struct Client {
  Channel channel;
  SSL_SESSION* session = nullptr;
  bool asked = false;
};

struct Counts {
  uint64_t done = 0;
  uint64_t resumed = 0;
  uint64_t failed = 0;
};

class Handshakes {
 public:
  explicit Handshakes(HandshakeOptions options)
      : options_(std::move(options)), poll_(epoll_create1(EPOLL_CLOEXEC)), clients_(options_.connections) {
    if (options_.resume) tls_.on_session(keep_session);
  }

  void run() {
    for (Client& client : clients_) begin(client);
    run_until(now_ns() + static_cast<uint64_t>(options_.warmup * kSecond));
    counts_ = {};
    const CpuTime before = CpuTime::of(options_.pids);
    const uint64_t start = now_ns();
    run_until(start + static_cast<uint64_t>(options_.seconds * kSecond));
    const double seconds = static_cast<double>(now_ns() - start) / kSecond;
    const CpuTime after = CpuTime::of(options_.pids);
    const double cpu_us = static_cast<double>(after.total_ns - before.total_ns) / 1000;
    const auto big = [](uint64_t n) { return static_cast<unsigned long long>(n); };
    std::printf(
        "{\"handshakes\": %llu, \"resumed\": %llu, \"failed\": %llu, \"seconds\": %.4f, \"rps\": %.1f, "
        "\"cpu_seconds\": %.6f, \"cpu_us\": %.3f}\n",
        big(counts_.done), big(counts_.resumed), big(counts_.failed), seconds,
        static_cast<double>(counts_.done) / seconds, cpu_us / 1e6,
        counts_.done == 0 ? 0 : cpu_us / static_cast<double>(counts_.done));
  }

 private:
  static int keep_session(SSL* ssl, SSL_SESSION* session) {
    auto* client = static_cast<Client*>(SSL_get_app_data(ssl));
    SSL_SESSION_free(client->session);
    client->session = session;
    return 1;
  }

  void begin(Client& client) {
    // Several sources: closed connections hold their ports for a minute.
    client.channel.fd = connect_to(options_.address, htonl(INADDR_LOOPBACK + opened_++ % 64));
    if (client.channel.fd < 0) die_errno("connect");
    client.channel.ssl = tls_.new_connection(client.channel.fd);
    SSL_set_app_data(client.channel.ssl, &client);
    if (client.session != nullptr) SSL_set_session(client.channel.ssl, client.session);
    client.asked = false;
    watch(poll_, client.channel.fd, &client);  // it can be written to at once, which begins the handshake
  }

  void run_until(uint64_t end) {
    for (uint64_t now = now_ns(); now < end; now = now_ns()) {
      const int wait_ms = static_cast<int>((end - now) / 1'000'000) + 1;
      const int count = epoll_wait(poll_, events_.data(), static_cast<int>(events_.size()), wait_ms);
      for (int i = 0; i < count; ++i) go_on(*static_cast<Client*>(events_[static_cast<size_t>(i)].data.ptr));
    }
  }

  void go_on(Client& client) {
    Channel& channel = client.channel;
    if (!client.asked) {
      if (tls_result(channel.ssl, SSL_do_handshake(channel.ssl)) <= 0) {
        if (errno != EAGAIN) finish(client, false);
        return;
      }
      client.asked = true;
      if (channel.transmit(kRequest) != static_cast<ssize_t>(kRequest.size())) return finish(client, false);
    }
    char answer[4096];
    const ssize_t got = channel.receive(answer, sizeof answer);
    if (got < 0 && errno == EAGAIN) return;
    finish(client, got > 0 && std::string_view(answer, static_cast<size_t>(got)).starts_with("HTTP/1.1 401"));
  }

  void finish(Client& client, bool good) {
    ++(good ? counts_.done : counts_.failed);
    if (good && SSL_session_reused(client.channel.ssl) == 1) ++counts_.resumed;
    if (good) SSL_shutdown(client.channel.ssl);
    client.channel.shut();
    begin(client);
  }

  HandshakeOptions options_;
  int poll_;
  TlsClient tls_;
  std::vector<Client> clients_;
  std::vector<epoll_event> events_ = std::vector<epoll_event>(256);
  Counts counts_;
  unsigned opened_ = 0;
};

int run(int argc, char** argv) {
  end_with_parent();
  Handshakes(HandshakeOptions::parse(argc, argv)).run();
  return 0;
}

}  // namespace
}  // namespace bench

int main(int argc, char** argv) { return bench::run(argc, argv); }
