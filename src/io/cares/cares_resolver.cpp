#include "io/cares/cares_resolver.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <unordered_map>

#include "io/cares/service_answer.h"

namespace sluice::io {

namespace {

/// c-ares asks for a time to wait of zero when it is late already; a timer of zero would spin.
constexpr Duration kShortestWait = std::chrono::milliseconds(1);
/// Answers that one socket may deliver in one turn.
constexpr int kMaxReads = 64;

void require(int status, const char* what) {
  if (status != ARES_SUCCESS) throw std::runtime_error(std::string(what) + ": " + ares_strerror(status));
}

std::optional<Address> address_of(const ares_addrinfo_node& node) {
  Address address;
  if (node.ai_family == AF_INET) {
    sockaddr_in v4;
    std::memcpy(&v4, node.ai_addr, sizeof v4);
    std::memcpy(address.bytes.data(), &v4.sin_addr, 4);
  } else if (node.ai_family == AF_INET6) {
    sockaddr_in6 v6;
    std::memcpy(&v6, node.ai_addr, sizeof v6);
    address.ipv6 = true;
    std::memcpy(address.bytes.data(), &v6.sin6_addr, 16);
  } else {
    return std::nullopt;
  }
  return address;
}

/// What a whole answer holds: it is good as long as the shortest of its records, aliases among them.
Resolution resolution_of(const ares_addrinfo& found) {
  Resolution resolution;
  int ttl = std::numeric_limits<int>::max();
  for (const ares_addrinfo_cname* alias = found.cnames; alias; alias = alias->next)
    ttl = std::min(ttl, alias->ttl);
  for (const ares_addrinfo_node* node = found.nodes; node; node = node->ai_next) {
    ttl = std::min(ttl, node->ai_ttl);
    auto address = address_of(*node);
    if (!address || resolution.addresses.size() == CaresResolver::kMaxAddresses) continue;
    if (std::ranges::find(resolution.addresses, *address) == resolution.addresses.end())
      resolution.addresses.push_back(*address);
  }
  // RFC 2181, section 8: a TTL with the highest bit set is zero.
  resolution.ttl = std::chrono::seconds(std::max(ttl, 0));
  return resolution;
}

ErrorCode code_of(int status) {
  switch (status) {
    case ARES_ETIMEOUT:
      return ErrorCode::kTimedOut;
    case ARES_ECANCELLED:
    case ARES_EDESTRUCTION:
      return ErrorCode::kCancelled;
    case ARES_ENOMEM:
      return ErrorCode::kOther;
    default:
      return ErrorCode::kUnresolved;
  }
}

}  // namespace

/// The c-ares channel, its sockets in the loop, and its next timeout as a timer.
class CaresResolver::Channel final : private Timer {
 public:
  Channel(EpollLoop& loop, const Options& options) : loop_(loop) {
    static const int initialised = ares_library_init(ARES_LIB_INIT_ALL);
    require(initialised, "ares_library_init");
    ares_options wanted{};
    wanted.timeout = static_cast<int>(options.first_timeout / std::chrono::milliseconds(1));
    wanted.tries = options.rounds;
    wanted.sock_state_cb = [](void* self, ares_socket_t descriptor, int readable, int writable) {
      static_cast<Channel*>(self)->on_socket(descriptor, readable || writable);
    };
    wanted.sock_state_cb_data = this;
    char lookups[] = "fb";  // files, then the name servers: see Lookup::on_found
    wanted.lookups = lookups;
    require(
        ares_init_options(&ares_, &wanted,
                          ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB | ARES_OPT_LOOKUPS),
        "ares_init_options");
    if (options.servers.empty()) return;
    int status = ares_set_servers_ports_csv(ares_, options.servers.c_str());
    if (status != ARES_SUCCESS) ares_destroy(ares_);
    require(status, "ares_set_servers_ports_csv");
  }
  ~Channel() {
    ares_destroy(ares_);
    disarm();
  }

  EpollLoop& loop() { return loop_; }

  void ask_addresses(const std::string& name, ares_addrinfo_callback callback, void* argument) {
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_flags = ARES_AI_NOSORT;  // whoever connects takes turns over all addresses
    ares_getaddrinfo(ares_, name.c_str(), nullptr, &hints, callback, argument);
    arm_timer();
  }
  void ask_service(const std::string& name, ares_callback callback, void* argument) {
    ares_search(ares_, name.c_str(), ns_c_in, ns_t_srv, callback, argument);
    arm_timer();
  }

 private:
  struct Socket final : EpollTarget {
    Socket(Channel& owner, ares_socket_t number) : channel(owner), descriptor(number) {}
    ~Socket() { channel.loop_.forget(descriptor, *this); }
    void on_events(uint32_t) override { channel.process(descriptor); }
    Channel& channel;
    ares_socket_t descriptor;
  };

  /// c-ares opened a socket, changed its mind about one, or is about to close it.
  void on_socket(ares_socket_t descriptor, bool open) {
    if (!open) {
      sockets_.erase(descriptor);
      return;
    }
    auto [at, added] = sockets_.try_emplace(descriptor);
    if (!added) return;
    at->second = std::make_unique<Socket>(*this, descriptor);
    // When this fails, the question runs into its timeout.
    auto watched = loop_.watch(descriptor, *at->second, EPOLLIN | EPOLLOUT);
    std::ignore = watched;
  }

  /// May destroy the Socket that called. An edge comes once, and c-ares reads a TCP answer piece by piece.
  void process(ares_socket_t descriptor) {
    for (int i = 0; i < kMaxReads; ++i) {
      ares_process_fd(ares_, descriptor, descriptor);
      if (!sockets_.contains(descriptor)) break;
      pollfd readable{.fd = descriptor, .events = POLLIN, .revents = 0};
      if (poll(&readable, 1, 0) <= 0) break;
    }
    arm_timer();
  }

  void arm_timer() {
    timeval wait{};
    if (!ares_timeout(ares_, nullptr, &wait)) {
      disarm();
      return;
    }
    Duration duration = std::chrono::seconds(wait.tv_sec) + std::chrono::microseconds(wait.tv_usec);
    loop_.timers().arm(*this, loop_.now() + std::max(duration, kShortestWait));
  }

  void on_timer() override {
    ares_process_fd(ares_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm_timer();
  }

  EpollLoop& loop_;
  ares_channel ares_ = nullptr;
  std::unordered_map<ares_socket_t, std::unique_ptr<Socket>> sockets_;
};

/// One question, and the wait for its answer. c-ares cannot give up a single question, so that its part lives
/// on until it is answered, without a waiter.
template <class Found>
class CaresResolver::Lookup final : private Cancellable {
 public:
  Lookup(Channel& channel, const std::string& name, CancelToken& token) : channel_(channel) {
    if (token.cancelled()) return;
    question_ = new Question{.waiting = this};
    if constexpr (std::is_same_v<Found, Resolution>)
      channel_.ask_addresses(name, &on_addresses, question_);
    else
      channel_.ask_service(name, &on_service, question_);
    immediate_ = question_ == nullptr;
    if (!immediate_) bind(token);
  }
  ~Lookup() {
    if (question_) question_->waiting = nullptr;
  }

  bool await_ready() const { return !question_; }
  void await_suspend(std::coroutine_handle<> waiter) { waiter_ = waiter; }
  Result<Found> await_resume() { return std::move(result_); }
  /// No name server has been asked.
  bool immediate() const { return immediate_; }

 private:
  struct Question {
    Lookup* waiting;
  };

  static void on_addresses(void* argument, int status, int, ares_addrinfo* found) {
    std::unique_ptr<Question> question(static_cast<Question*>(argument));
    std::unique_ptr<ares_addrinfo, decltype(&ares_freeaddrinfo)> owned(found, &ares_freeaddrinfo);
    if (!question->waiting) return;
    Result<Found> result = fail(code_of(status));
    if (status == ARES_SUCCESS && found) result = resolution_of(*found);
    if (result && result->addresses.empty()) result = fail(ErrorCode::kUnresolved);
    question->waiting->finish(std::move(result));
  }
  static void on_service(void* argument, int status, int, unsigned char* message, int size) {
    std::unique_ptr<Question> question(static_cast<Question*>(argument));
    if (!question->waiting) return;
    Result<Found> result = fail(code_of(status));
    if (status == ARES_SUCCESS && message) {
      auto records = parse_service_answer({message, static_cast<size_t>(std::max(size, 0))});
      if (records && !records->records.empty()) result = std::move(*records);
    }
    question->waiting->finish(std::move(result));
  }
  void finish(Result<Found> result) {
    question_ = nullptr;
    unbind();
    result_ = std::move(result);
    resume();
  }
  void on_cancel() override {
    question_->waiting = nullptr;
    question_ = nullptr;
    unbind();
    resume();
  }
  void resume() {
    if (waiter_) channel_.loop().ready(waiter_);
  }

  Channel& channel_;
  Question* question_ = nullptr;  // null: over; c-ares owns it
  bool immediate_ = false;
  std::coroutine_handle<> waiter_;
  Result<Found> result_ = fail(ErrorCode::kCancelled);
};

CaresResolver::CaresResolver(EpollLoop& loop, const Options& options)
    : channel_(std::make_unique<Channel>(loop, options)) {}

CaresResolver::~CaresResolver() = default;

Task<Result<Resolution>> CaresResolver::resolve(std::string name, CancelToken& token) {
  Lookup<Resolution> lookup(*channel_, name, token);
  auto found = co_await lookup;
  // The name servers never answer within the call: this came from a file.
  if (found && lookup.immediate()) found->ttl = kHostsTtl;
  co_return found;
}

Task<Result<ServiceRecords>> CaresResolver::resolve_service(std::string name, CancelToken& token) {
  Lookup<ServiceRecords> lookup(*channel_, name, token);
  auto found = co_await lookup;
  co_return found;
}

}  // namespace sluice::io
