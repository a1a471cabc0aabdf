// Carries a WebSocket between a client and an upstream: bytes as they come, at the speed of the slower one.
// Of the frames it knows where they end, so that it can say goodbye between two of them.
#pragma once

#include <memory>
#include <optional>

#include "http/websocket/message_checker.h"
#include "http/websocket/relay_rules.h"
#include "io/linked_token.h"
#include "io/loop.h"
#include "io/scope.h"
#include "io/stream.h"
#include "io/timer.h"

namespace sluice::http::websocket {

/// What brought the end about.
enum class RelayEnd : uint8_t {
  kClient,    // it ended first, or broke off
  kUpstream,  // likewise
  kIdle,
  kMaxAge,
  kMessageSize,
  kMessageRate,
  kProtocol,  // a frame, or a text, that RFC 6455 forbids
  kUpstreamMessageSize,
  kUpstreamMessageRate,
  kUpstreamProtocol,
  kDrain,
  kCancelled,
};
std::string_view relay_end_text(RelayEnd end);

/// What was carried, for metrics and the log.
struct RelayCount {
  uint64_t received = 0;  // messages of the client's
  uint64_t sent = 0;      // likewise to the client
  uint16_t close_code = 0;
};

/// Both streams live until `run` has returned. It must be run once it exists.
class Relay final : private io::Timer {
 public:
  /// A side that was told to close, or has lost its partner, has so long to end.
  static constexpr Duration kCloseTime = std::chrono::seconds(5);
  /// A client that is refused gets what the upstream still has to say before, for so long.
  static constexpr Duration kLastWordsTime = std::chrono::milliseconds(500);

  Relay(io::Loop& loop, io::Stream& client, io::Stream& upstream, io::CancelToken& token,
        const RelayRules& rules);
  ~Relay() { disarm(); }

  io::Task<> run();
  /// Both are told to go (1001), each as soon as the frame that it is being sent is whole.
  void drain();
  RelayEnd end() const;
  /// What a dry run would have ended it for.
  const std::optional<RelayEnd>& observed() const { return observed_; }
  /// With the code that was said first, by either side or by us.
  RelayCount count() const;

 private:
  /// One direction.
  struct Way {
    Way(io::Stream& way_source, io::Stream& way_sink, bool to_upstream)
        : source(way_source), sink(way_sink), masks(to_upstream) {}

    io::Stream& source;
    io::Stream& sink;
    FrameReader reader;                        // of what is not checked, and of what is thrown away
    std::unique_ptr<MessageChecker> checker;   // null: nothing is checked
    std::unique_ptr<MessageChecker> observer;  // of a dry run
    std::optional<CloseReason> due;            // to be told to the sink
    uint64_t messages = 0;                     // of what is not checked
    uint16_t close_code = kNoStatus;           // likewise
    bool masks;                                // the sink is a server
    bool writing = false;
    bool stopped = false;     // nothing more is passed on
    bool close_sent = false;  // to the sink, by us
    bool close_seen = false;  // from the source
    bool ended = false;       // the source is

    bool at_boundary() const { return checker ? checker->at_boundary() : reader.at_boundary(); }
    uint64_t count() const { return checker ? checker->messages() : messages; }
    uint16_t said_code() const { return checker ? checker->close_code() : close_code; }
  };
  /// What is to be written of what was read.
  struct Pieces {
    iovec all[2];
    size_t count = 0;
    size_t used = 0;  // of what was read; less than all when the sink is told goodbye within it
    void add(std::string_view text) {
      if (!text.empty()) all[count++] = {const_cast<char*>(text.data()), text.size()};
    }
  };

  io::Task<> pump(Way& way);
  Pieces take(Way& way, std::string_view bytes);
  /// Goes over what is not passed on, for a goodbye in it.
  void overlook(Way& way, std::string_view bytes);
  size_t pass_frames(Way& way, std::string_view bytes, bool to_boundary);
  void note_head(Way& way);
  void note_close_code(Way& way);
  void observe(Way& way, std::string_view bytes);
  void note_close(Way& way);
  void source_ended(Way& way, bool broken);
  void violated(Way& way);
  void refuse_client(RelayEnd end, const CloseReason& violation);
  void close(RelayEnd end, const CloseReason& to_client, const CloseReason& to_upstream);
  void tell(Way& way, const CloseReason& reason);
  /// Tells the sink what is due, if a frame is not in the way.
  io::Task<> say_goodbye(Way& way);
  /// A side that has heard and said goodbye gets our end too.
  void finish(Way& to, Way& from);
  Way& other(Way& way) { return &way == &up_ ? down_ : up_; }
  void end_within(Duration time);
  uint64_t moved() const;
  void arm_timer();
  void on_timer() override;

  io::Loop& loop_;
  io::LinkedToken token_;
  io::TaskScope scope_;
  Way up_;
  Way down_;
  const Duration idle_;
  Instant age_ends_;
  Instant ends_by_ = kNever;
  Instant moved_at_;
  uint64_t moved_seen_ = 0;
  std::optional<RelayEnd> end_;
  std::optional<RelayEnd> observed_;
  std::optional<CloseReason> refusal_;  // to be told to the client behind the upstream's last words
  Instant refused_by_ = kNever;
  const Way* closed_by_ = nullptr;  // the first to say goodbye
  uint16_t our_code_ = 0;           // of our goodbye, when that was first
  bool running_ = false;
};

}  // namespace sluice::http::websocket
