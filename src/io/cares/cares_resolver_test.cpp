#include "io/cares/cares_resolver.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "io/scope.h"
#include "io/sleep.h"
#include "io/socket_address.h"

namespace sluice::io {
namespace {

constexpr uint16_t kTypeA = 1;         // RFC 1035, section 3.2.2
constexpr uint16_t kTypeAaaa = 28;     // RFC 3596, section 2.1
constexpr uint16_t kTypeService = 33;  // RFC 2782
constexpr uint8_t kNoError = 0;        // RFC 1035, section 4.1.1
constexpr uint8_t kNameError = 3;      // ditto

struct Record {
  uint16_t type;
  uint32_t ttl;
  std::string data;
};
struct Answer {
  uint8_t code = kNoError;
  std::vector<Record> records = {};
  bool truncated = false;  // ask again by TCP
};

/// A name server on the loop under test: answers each question as the test says.
class Server final : private EpollTarget {
 public:
  using Answers = std::function<std::optional<Answer>(uint16_t type)>;  // nothing: stays silent

  Server(EpollLoop& loop, Answers answers) : loop_(loop), answers_(std::move(answers)) {
    // A port that is free for both transports: what the system gives for UDP may be somebody's for TCP.
    for (int tries = 0; !listener_ && tries < 32; ++tries) {
      if (socket_ >= 0) close(socket_);
      socket_ = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      SocketAddress any(Address::loopback(0));
      EXPECT_EQ(bind(socket_, any.get(), any.size()), 0);
      SocketAddress bound;
      EXPECT_EQ(getsockname(socket_, bound.get(), bound.size_pointer()), 0);
      port_ = bound.address().port;
      auto listener = loop_.listen(Address::loopback(port_), {});
      if (listener) listener_ = std::move(*listener);
    }
    EXPECT_TRUE(listener_);
    EXPECT_TRUE(loop_.watch(socket_, *this, EPOLLIN));
  }
  ~Server() {
    loop_.forget(socket_, *this);
    close(socket_);
  }
  CaresResolver::Options options() const {
    return {.servers = Address::loopback(port_).text(), .first_timeout = std::chrono::milliseconds(100)};
  }
  int questions() const { return questions_; }
  /// Answers what was left unanswered.
  void answer_late(const Answer& answer) {
    for (auto& [asker, question] : silent_) send(asker, question, answer);
  }

  /// One connection, on the same port: each answer behind its length, RFC 1035, section 4.2.2.
  Task<> serve_tcp(Answers answers, CancelToken& token) {
    listener_->bind(token);
    auto stream = co_await listener_->accept();
    if (!stream) co_return;
    (*stream)->bind(token);
    std::string received;
    for (;;) {
      auto lease = co_await (*stream)->read();
      if (!lease || lease->empty()) co_return;
      received += lease->bytes();
      while (received.size() > 2) {
        size_t size =
            static_cast<size_t>(static_cast<uint8_t>(received[0]) << 8) + static_cast<uint8_t>(received[1]);
        if (received.size() < 2 + size) break;
        std::string question = received.substr(2, size);
        received.erase(0, 2 + size);
        uint16_t type = type_of(question);
        auto answer = answers(type);
        std::string reply = reply_to(question, *answer);
        reply = number(static_cast<uint32_t>(reply.size()), 2) + reply;
        iovec piece{.iov_base = reply.data(), .iov_len = reply.size()};
        auto written = co_await (*stream)->write(std::span(&piece, 1));
        if (!written) co_return;
      }
    }
  }

 private:
  static uint16_t type_of(std::string& question) {
    size_t end = question.find('\0', 12) + 1;  // of the name
    question.resize(end + 4);
    return static_cast<uint16_t>(static_cast<uint8_t>(question[end]) << 8 |
                                 static_cast<uint8_t>(question[end + 1]));
  }
  static std::string number(uint32_t value, int bytes) {
    std::string out;
    for (int i = bytes - 1; i >= 0; --i) out.push_back(static_cast<char>(value >> (8 * i)));
    return out;
  }
  void on_events(uint32_t) override {
    for (;;) {
      char packet[512];
      SocketAddress asker;
      ssize_t size = recvfrom(socket_, packet, sizeof packet, 0, asker.get(), asker.size_pointer());
      if (size < 16) return;
      ++questions_;
      std::string question(packet, static_cast<size_t>(size));
      uint16_t type = type_of(question);
      auto answer = answers_(type);
      if (answer)
        send(asker, question, *answer);
      else
        silent_.emplace_back(asker, question);
    }
  }
  static std::string reply_to(const std::string& question, const Answer& answer) {
    std::string reply = question.substr(0, 2) +
                        number(0x8180u | (answer.truncated ? 0x0200u : 0u) | answer.code, 2) + number(1, 2) +
                        number(static_cast<uint32_t>(answer.records.size()), 2) + number(0, 4) +
                        question.substr(12);
    for (const Record& record : answer.records)
      reply += number(0xC00C, 2) + number(record.type, 2) + number(1, 2) + number(record.ttl, 4) +
               number(static_cast<uint32_t>(record.data.size()), 2) + record.data;
    return reply;
  }
  void send(SocketAddress asker, const std::string& question, const Answer& answer) {
    std::string reply = reply_to(question, answer);
    sendto(socket_, reply.data(), reply.size(), 0, asker.get(), asker.size());
  }

  EpollLoop& loop_;
  Answers answers_;
  std::unique_ptr<Listener> listener_;
  int socket_ = -1;
  uint16_t port_ = 0;
  int questions_ = 0;
  std::vector<std::pair<SocketAddress, std::string>> silent_;
};

Task<> resolve_into(Resolver& resolver, std::string name, CancelToken& token, Result<Resolution>& out,
                    EpollLoop& loop) {
  out = co_await resolver.resolve(name, token);
  loop.stop();
}

Task<> resolve_service_into(Resolver& resolver, std::string name, CancelToken& token,
                            Result<ServiceRecords>& out, EpollLoop& loop) {
  out = co_await resolver.resolve_service(name, token);
  loop.stop();
}

class CaresResolverTest : public ::testing::Test {
 protected:
  Result<Resolution> resolve(Resolver& resolver, std::string name) {
    Result<Resolution> out = fail(ErrorCode::kOther);
    CurrentLoop current(loop_);
    scope_.spawn(resolve_into(resolver, std::move(name), token_, out, loop_));
    if (scope_.active() > 0) loop_.run();
    return out;
  }

  Result<ServiceRecords> resolve_service(Resolver& resolver, std::string name) {
    Result<ServiceRecords> out = fail(ErrorCode::kOther);
    CurrentLoop current(loop_);
    scope_.spawn(resolve_service_into(resolver, std::move(name), token_, out, loop_));
    if (scope_.active() > 0) loop_.run();
    return out;
  }

  EpollLoop loop_{1};
  CancelToken token_;
  TaskScope scope_;
};

std::string record_a(std::initializer_list<int> bytes) {
  std::string out;
  for (int byte : bytes) out.push_back(static_cast<char>(byte));
  return out;
}
std::string record_aaaa(const char* text) {
  std::string out(16, '\0');
  inet_pton(AF_INET6, text, out.data());
  return out;
}
std::vector<std::string> texts(const Resolution& resolution) {
  std::vector<std::string> out;
  for (const Address& address : resolution.addresses) out.push_back(address.ip_text());
  std::ranges::sort(out);
  return out;
}

TEST_F(CaresResolverTest, LocalhostComesFromHostsWithItsOwnTtl) {
  Server server(loop_, [](uint16_t) { return Answer{.code = kNameError}; });
  CaresResolver resolver(loop_, server.options());
  auto found = resolve(resolver, "localhost");
  ASSERT_TRUE(found);
  auto addresses = texts(*found);
  EXPECT_NE(std::ranges::find(addresses, "127.0.0.1"), addresses.end());
  EXPECT_EQ(found->ttl, CaresResolver::kHostsTtl);
  EXPECT_EQ(server.questions(), 0);
}

TEST_F(CaresResolverTest, BothFamiliesWithTheShortestTtl) {
  Server server(loop_, [](uint16_t type) -> Answer {
    if (type == kTypeAaaa) return {.records = {{kTypeAaaa, 300, record_aaaa("2001:db8::1")}}};
    return {.records = {{kTypeA, 60, record_a({192, 0, 2, 1})}, {kTypeA, 17, record_a({192, 0, 2, 2})}}};
  });
  CaresResolver resolver(loop_, server.options());
  auto found = resolve(resolver, "service.test");
  ASSERT_TRUE(found);
  EXPECT_EQ(texts(*found), (std::vector<std::string>{"192.0.2.1", "192.0.2.2", "2001:db8::1"}));
  EXPECT_EQ(found->ttl, std::chrono::seconds(17));
}

TEST_F(CaresResolverTest, OneFamilySuffices) {
  Server server(loop_, [](uint16_t type) -> Answer {
    if (type == kTypeAaaa) return {};
    return {.records = {{kTypeA, 0, record_a({192, 0, 2, 1})}}};
  });
  CaresResolver resolver(loop_, server.options());
  auto found = resolve(resolver, "service.test");
  ASSERT_TRUE(found);
  EXPECT_EQ(texts(*found), (std::vector<std::string>{"192.0.2.1"}));
  EXPECT_EQ(found->ttl, Duration::zero());
}

TEST_F(CaresResolverTest, EachAddressIsThereOnce) {
  Server server(loop_, [](uint16_t type) -> Answer {
    Answer answer;
    if (type == kTypeA)
      for (int i = 0; i < 20; ++i) answer.records.push_back({kTypeA, 60, record_a({192, 0, 2, i % 10})});
    return answer;
  });
  CaresResolver resolver(loop_, server.options());
  auto found = resolve(resolver, "service.test");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->addresses.size(), 10u);
}

TEST_F(CaresResolverTest, TruncatedAnswerComesByTcpAndAddressesAreBounded) {
  Server server(loop_, [](uint16_t) { return Answer{.truncated = true}; });
  auto answers = [](uint16_t type) -> Answer {
    Answer answer;
    if (type == kTypeA)
      for (int i = 0; i < 200; ++i) answer.records.push_back({kTypeA, 60, record_a({192, 0, 2, i})});
    return answer;
  };
  CancelToken serving;
  TaskScope servers;
  {
    CaresResolver resolver(loop_, server.options());
    {
      CurrentLoop current(loop_);
      servers.spawn(server.serve_tcp(answers, serving));
    }
    auto found = resolve(resolver, "large.test");
    EXPECT_TRUE(found);
    if (found) EXPECT_EQ(found->addresses.size(), CaresResolver::kMaxAddresses);
  }
  serving.cancel(CancelReason::kDrain);
  loop_.post([this] { loop_.stop(); });
  loop_.run();
  EXPECT_EQ(servers.active(), 0u);
}

TEST_F(CaresResolverTest, NameErrorIsUnresolved) {
  Server server(loop_, [](uint16_t) { return Answer{.code = kNameError}; });
  CaresResolver resolver(loop_, server.options());
  auto found = resolve(resolver, "absent.test");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kUnresolved);
}

TEST_F(CaresResolverTest, NoRecordsIsUnresolved) {
  Server server(loop_, [](uint16_t) { return Answer{}; });
  CaresResolver resolver(loop_, server.options());
  auto found = resolve(resolver, "empty.test");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kUnresolved);
}

TEST_F(CaresResolverTest, SilentServerTimesOut) {
  Server server(loop_, [](uint16_t) { return std::nullopt; });
  auto options = server.options();
  options.rounds = 2;
  CaresResolver resolver(loop_, options);
  auto found = resolve(resolver, "silent.test");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kTimedOut);
  EXPECT_EQ(server.questions(), 4);  // A and AAAA, twice
}

Task<> cancel_once_asked(EpollLoop& loop, Server& server, CancelToken& token) {
  while (server.questions() < 2) co_await loop.yield();
  token.cancel(CancelReason::kDrain);
}

TEST_F(CaresResolverTest, CancelledWaiterIsQueuedAndTheLateAnswerIsDropped) {
  Server server(loop_, [](uint16_t) { return std::nullopt; });
  auto options = server.options();
  options.first_timeout = std::chrono::seconds(60);
  CaresResolver resolver(loop_, options);
  {
    CurrentLoop current(loop_);
    scope_.spawn(cancel_once_asked(loop_, server, token_));
  }
  auto cancelled = resolve(resolver, "slow.test");
  ASSERT_FALSE(cancelled);
  EXPECT_EQ(cancelled.error().code, ErrorCode::kCancelled);

  // The answer comes when nobody waits; the next question still has its own.
  server.answer_late({.records = {{kTypeA, 60, record_a({192, 0, 2, 1})}}});
  token_.reset();
  auto next = resolve(resolver, "localhost");
  EXPECT_TRUE(next);
  CurrentLoop current(loop_);
  loop_.post([this] { loop_.stop(); });
  loop_.run();
}

TEST_F(CaresResolverTest, CancelledTokenAsksNobody) {
  Server server(loop_, [](uint16_t) { return Answer{}; });
  CaresResolver resolver(loop_, server.options());
  token_.cancel(CancelReason::kDeadline);
  auto found = resolve(resolver, "service.test");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::kCancelled);
  EXPECT_EQ(server.questions(), 0);
}

TEST_F(CaresResolverTest, DestroyedWhileAQuestionIsOpen) {
  Server server(loop_, [](uint16_t) { return std::nullopt; });
  {
    CaresResolver resolver(loop_, server.options());
    {
      CurrentLoop current(loop_);
      scope_.spawn(cancel_once_asked(loop_, server, token_));
    }
    auto cancelled = resolve(resolver, "slow.test");
    EXPECT_FALSE(cancelled);
  }
  EXPECT_EQ(scope_.active(), 0u);
}

TEST_F(CaresResolverTest, AServiceHasServersWithPortsAndATtl) {
  std::vector<uint16_t> asked;
  Server server(loop_, [&](uint16_t type) -> Answer {
    asked.push_back(type);
    std::string data{0, 10, 0, 5, 0x1F, static_cast<char>(0x90)};  // priority, weight, port
    return {.records = {{kTypeService, 23, data + "\1a\4test" + '\0'}}};
  });
  CaresResolver resolver(loop_, server.options());
  auto found = resolve_service(resolver, "_users._tcp.test");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->records, (std::vector<ServiceRecord>{{10, "a.test", 8080, 5}}));
  EXPECT_EQ(found->ttl, std::chrono::seconds(23));
  EXPECT_EQ(asked, std::vector{kTypeService});
}

TEST_F(CaresResolverTest, AServiceWithoutServersIsUnresolved) {
  for (const Answer& answer :
       {Answer{.code = kNameError}, Answer{}, Answer{.records = {{kTypeService, 1, "x"}}}}) {
    Server server(loop_, [&](uint16_t) { return answer; });
    CaresResolver resolver(loop_, server.options());
    auto found = resolve_service(resolver, "_users._tcp.test");
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, ErrorCode::kUnresolved);
  }
}

TEST_F(CaresResolverTest, BadServersAreRefused) {
  EXPECT_THROW(CaresResolver(loop_, {.servers = "not an address"}), std::runtime_error);
}

}  // namespace
}  // namespace sluice::io
