#include "gateway/names.h"

#include <gtest/gtest.h>

#include <deque>

#include "io/sleep.h"

namespace sluice::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A loop whose time passes when the test says so.
class ManualLoop final : public io::Loop {
 public:
  ManualLoop() : Loop(1) { set_time(Instant(seconds(100)), {}); }
  io::Result<std::unique_ptr<io::Listener>> listen(const io::Address&, io::ListenOptions) override {
    return io::fail(io::ErrorCode::kOther);
  }
  io::Task<io::Result<std::unique_ptr<io::Stream>>> connect(io::Address, io::CancelToken&) override {
    co_return io::fail(io::ErrorCode::kOther);
  }
  io::Result<std::unique_ptr<io::DatagramSocket>> open_datagrams(const io::Address&,
                                                                 const io::DatagramOptions&) override {
    return io::fail(io::ErrorCode::kOther);
  }
  void settle() {
    while (has_ready()) run_ready();
  }
  void pass(Duration duration) {
    for (Instant end = now() + duration; now() < end;) {
      set_time(std::min(end, now() + milliseconds(10)), {});
      timers().advance(now());
      settle();
    }
  }

 private:
  void wake() override {}
};

/// Answers what the test has prepared; without that it stays silent until it is cancelled.
class FakeResolver final : public io::Resolver {
 public:
  explicit FakeResolver(io::Loop& loop) : loop_(loop) {}
  io::Task<io::Result<io::Resolution>> resolve(std::string name, io::CancelToken& token) override {
    asked.push_back(name);
    if (answers.empty()) {
      auto slept = co_await io::sleep_until(loop_, kNever, token);
      std::ignore = slept;
      co_return io::fail(io::ErrorCode::kCancelled);
    }
    auto answer = answers.front();
    if (answers.size() > 1) answers.pop_front();
    co_return answer;
  }
  io::Task<io::Result<io::ServiceRecords>> resolve_service(std::string, io::CancelToken&) override {
    co_return io::fail(io::ErrorCode::kUnresolved);
  }
  std::deque<io::Result<io::Resolution>> answers;  // the last one stays
  std::vector<std::string> asked;

 private:
  io::Loop& loop_;
};

io::Result<io::Resolution> addresses(std::initializer_list<std::string_view> texts, Duration ttl) {
  io::Resolution resolution{.addresses = {}, .ttl = ttl};
  for (std::string_view text : texts) resolution.addresses.push_back(*io::Address::parse_ip(text));
  return resolution;
}

config::TargetUrl url(std::string host, uint16_t port) {
  config::TargetUrl out;
  out.host = std::move(host);
  out.port = port;
  return out;
}

std::vector<std::string> published(const TargetIdentity& target) {
  std::vector<std::string> out;
  if (target.addresses())
    for (const io::Address& address : *target.addresses()) out.push_back(address.text());
  return out;
}

io::Task<> note_end(Names& names, Duration limit, bool& ended) {
  co_await names.first_answers(limit);
  ended = true;
}

io::Task<> join(Names& names) { co_await names.join(); }

class NamesTest : public ::testing::Test {
 protected:
  ~NamesTest() override {
    names_.stop();
    loop_.settle();
    EXPECT_EQ(names_.size(), 0u);
  }
  using Texts = std::vector<std::string>;

  ManualLoop loop_;
  io::CurrentLoop current_{loop_};
  FakeResolver resolver_{loop_};
  TargetRegistry registry_;
  store::EpochDomain epochs_;
  io::TaskScope scope_;
  Names names_{loop_, resolver_, registry_, epochs_};
};

TEST_F(NamesTest, PublishesTheAddressesWithTheTargetsPort) {
  auto target = registry_.find_or_make("one", url("service.test", 8080));
  auto literal = registry_.find_or_make("one", url("192.0.2.9", 80));
  resolver_.answers = {addresses({"2001:db8::1", "192.0.2.1"}, seconds(60))};
  names_.refresh();
  EXPECT_EQ(published(*target), (Texts{"192.0.2.1:8080", "[2001:db8::1]:8080"}));
  EXPECT_EQ(published(*literal), (Texts{"192.0.2.9:80"}));
  EXPECT_EQ(resolver_.asked, (Texts{"service.test"}));
}

TEST_F(NamesTest, OneQuestionForAllTargetsOfAName) {
  auto a = registry_.find_or_make("one", url("service.test", 81));
  auto b = registry_.find_or_make("two", url("service.test", 82));
  resolver_.answers = {addresses({"192.0.2.1"}, seconds(60))};
  names_.refresh();
  EXPECT_EQ(published(*a), (Texts{"192.0.2.1:81"}));
  EXPECT_EQ(published(*b), (Texts{"192.0.2.1:82"}));
  EXPECT_EQ(resolver_.asked.size(), 1u);
}

TEST_F(NamesTest, NewTargetOfAKnownNameHasItsAddressesAtOnce) {
  auto a = registry_.find_or_make("one", url("service.test", 81));
  resolver_.answers = {addresses({"192.0.2.1"}, seconds(60))};
  names_.refresh();
  auto b = registry_.find_or_make("two", url("service.test", 82));
  names_.refresh();
  EXPECT_EQ(published(*b), (Texts{"192.0.2.1:82"}));
  EXPECT_EQ(resolver_.asked.size(), 1u);
}

TEST_F(NamesTest, AsksAgainWhenTheTtlHasRunOutWithinItsBounds) {
  struct Case {
    Duration ttl, before, after;
  };
  for (const Case& c : {Case{seconds(0), milliseconds(900), milliseconds(200)},
                        Case{seconds(20), milliseconds(19'900), milliseconds(200)},
                        Case{seconds(86'400), milliseconds(299'900), milliseconds(200)}}) {
    auto target = registry_.find_or_make("one", url("service.test", 80));
    Names names(loop_, resolver_, registry_, epochs_);
    resolver_.asked.clear();
    resolver_.answers = {addresses({"192.0.2.1"}, c.ttl), addresses({"192.0.2.2"}, c.ttl)};
    names.refresh();
    loop_.pass(c.before);
    EXPECT_EQ(resolver_.asked.size(), 1u);
    EXPECT_EQ(published(*target), (Texts{"192.0.2.1:80"}));
    loop_.pass(c.after);
    EXPECT_EQ(resolver_.asked.size(), 2u);
    EXPECT_EQ(published(*target), (Texts{"192.0.2.2:80"}));
    names.stop();
    loop_.settle();
  }
}

TEST_F(NamesTest, AnotherOrderIsNoChange) {
  auto target = registry_.find_or_make("one", url("service.test", 80));
  resolver_.answers = {addresses({"192.0.2.1", "192.0.2.2"}, seconds(1)),
                       addresses({"192.0.2.2", "192.0.2.1"}, seconds(1))};
  names_.refresh();
  const auto* before = target->addresses();
  loop_.pass(seconds(3));
  EXPECT_EQ(target->addresses(), before);
}

TEST_F(NamesTest, FailureKeepsTheAddressesAndBacksOff) {
  auto target = registry_.find_or_make("one", url("service.test", 80));
  resolver_.answers = {addresses({"192.0.2.1"}, seconds(1)), io::fail(io::ErrorCode::kTimedOut)};
  names_.refresh();
  while (resolver_.asked.size() < 2) loop_.pass(milliseconds(10));  // the first failure
  for (int wait : {1, 2, 4, 8, 16, 30, 30}) {
    size_t asked = resolver_.asked.size();
    loop_.pass(seconds(wait) - milliseconds(100));
    EXPECT_EQ(resolver_.asked.size(), asked) << wait;
    for (int i = 0; i < 20 && resolver_.asked.size() == asked; ++i) loop_.pass(milliseconds(10));
    EXPECT_EQ(resolver_.asked.size(), asked + 1) << wait;
    EXPECT_EQ(published(*target), (Texts{"192.0.2.1:80"}));
  }
}

TEST_F(NamesTest, ReplacedListLivesWhileAReaderMaySeeIt) {
  auto target = registry_.find_or_make("one", url("service.test", 80));
  resolver_.answers = {addresses({"192.0.2.1"}, seconds(1)), addresses({"192.0.2.2"}, seconds(60))};
  names_.refresh();
  store::EpochReader reader(epochs_);
  {
    store::EpochGuard guard(reader);
    const TargetIdentity::Addresses* seen = target->addresses();
    loop_.pass(seconds(2));
    names_.collect();
    EXPECT_EQ(seen->front().text(), "192.0.2.1:80");  // the address sanitizer watches
  }
  names_.collect();
  EXPECT_EQ(published(*target), (Texts{"192.0.2.2:80"}));
}

TEST_F(NamesTest, NameThatNobodyUsesIsNotAskedForAgain) {
  auto target = registry_.find_or_make("one", url("service.test", 80));
  resolver_.answers = {addresses({"192.0.2.1"}, seconds(1))};
  names_.refresh();
  target.reset();
  loop_.pass(seconds(3));
  EXPECT_EQ(resolver_.asked.size(), 1u);
  EXPECT_EQ(names_.size(), 0u);
}

TEST_F(NamesTest, FirstAnswersEndWithTheLastAnswerGoodOrBad) {
  auto target = registry_.find_or_make("one", url("service.test", 80));
  resolver_.answers = {io::fail(io::ErrorCode::kUnresolved)};
  names_.refresh();
  bool ended = false;
  scope_.spawn(note_end(names_, seconds(2), ended));
  EXPECT_TRUE(ended);
}

TEST_F(NamesTest, FirstAnswersEndAtTheLimit) {
  auto target = registry_.find_or_make("one", url("silent.test", 80));
  names_.refresh();
  bool ended = false;
  scope_.spawn(note_end(names_, seconds(2), ended));
  loop_.pass(milliseconds(1900));
  EXPECT_FALSE(ended);
  loop_.pass(milliseconds(200));
  EXPECT_TRUE(ended);
}

TEST_F(NamesTest, StopEndsQuestionsAndWaits) {
  auto target = registry_.find_or_make("one", url("silent.test", 80));
  names_.refresh();
  bool ended = false;
  scope_.spawn(note_end(names_, seconds(2), ended));
  names_.stop();
  scope_.spawn(join(names_));
  loop_.settle();
  EXPECT_TRUE(ended);
  EXPECT_EQ(scope_.active(), 0u);
}

}  // namespace
}  // namespace sluice::gateway
