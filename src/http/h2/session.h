// The server side of an HTTP/2 session: nghttp2 behind a small face. It knows frames, HPACK, windows and what
// RFC 9113 says of all that; what a request means is its owner's matter.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "http/fields.h"
#include "http/h2/frame_budget.h"
#include "http/h2/frame_scanner.h"
#include "http/h2/output_batch.h"

struct nghttp2_session;

namespace sluice::http::h2 {

class ServerStream;

/// Error codes (RFC 9113, section 7) that are ours to choose.
enum class ErrorCode : uint32_t {
  kNoError = 0x0,
  kProtocolError = 0x1,
  kInternalError = 0x2,
  kStreamClosed = 0x5,
  kEnhanceYourCalm = 0xb,
};

/// What of a stream's body goes into its next DATA frame.
struct Portion {
  size_t bytes = 0;
  bool end = false;                  // the last one
  const Fields* trailers = nullptr;  // with `end`
};

/// Not thread-safe. Its calls may be made at any time but from within `receive` and `send`; from there the
/// ones that submit something may.
class Session {
 public:
  /// Who owns it: told what comes, asked for what goes. All calls come from within `receive` and `send`.
  class Owner {
   public:
    /// A request begins.
    virtual ServerStream& on_begin(int32_t id) = 0;
    /// A field of its head or of its trailers. False: the session ends.
    virtual bool on_field(ServerStream& stream, bool trailer, std::string_view name,
                          std::string_view value) = 0;
    virtual void on_head(ServerStream& stream) = 0;
    virtual void on_data(ServerStream& stream, std::string_view bytes) = 0;
    /// The request is whole.
    virtual void on_end(ServerStream& stream) = 0;
    /// The client takes its request back; `on_closed` follows.
    virtual void on_reset(ServerStream& stream) = 0;
    /// What came breaks RFC 9113, section 8.1.1: the stream is being reset.
    virtual void on_malformed(ServerStream& stream) = 0;
    /// Nothing more comes or goes; `stream` is forgotten.
    virtual void on_closed(ServerStream& stream) = 0;
    /// More may be sent: on this stream, or (null) on any.
    virtual void on_window(ServerStream* stream) = 0;
    virtual void on_settings() = 0;
    /// A bound was passed, and that has its consequences already.
    virtual void on_limit(std::string_view limit) = 0;
    virtual void on_ping_answered() = 0;
    /// The next piece of its body, at most `most` bytes. None and no end: later, after `resume`.
    virtual Portion next_portion(ServerStream& stream, size_t most) = 0;
    /// False: it was taken back meanwhile.
    virtual bool has_portion(const ServerStream& stream, size_t bytes) const = 0;
    /// So much of it is put into `batch`, behind its frame header.
    virtual void put_portion(ServerStream& stream, size_t bytes, OutputBatch& batch) = 0;
    /// A head, an interim one or trailers of it are in the batch.
    virtual void on_head_sent(ServerStream& stream, size_t bytes, bool end) = 0;
    virtual Instant now() const = 0;

   protected:
    ~Owner() = default;
  };

  struct Settings {
    uint32_t head_bytes;  // SETTINGS_MAX_HEADER_LIST_SIZE
    bool extended_connect;
  };

  Session(Owner& owner, const Settings& settings);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  /// False: the session has ended with an error; what is to be said about that is at hand for `send`.
  bool receive(std::string_view bytes);
  /// Fills the batch with what may go now.
  bool send(OutputBatch& batch);
  bool wants_read() const;
  bool wants_write() const;
  /// Frames that wait to be sent, without DATA.
  size_t queued() const;

  /// `fields` without connection-specific ones. Without a body the head is the end.
  void submit_head(int32_t id, uint16_t status, std::span<const Field> fields, bool body);
  void submit_interim(int32_t id, uint16_t status, std::span<const Field> fields);
  void resume(int32_t id);
  void reset(int32_t id, ErrorCode code);
  /// Nobody is told about that stream any more.
  void forget(int32_t id);
  /// So much of what came on that stream has been used; more may come.
  void consume(int32_t id, size_t bytes);
  /// The same for the other streams alone: no more is wanted on this one.
  void drop(size_t bytes);
  /// Whether a DATA frame could be sent now, as far as the client's windows go.
  bool has_window(int32_t id) const;

  /// GOAWAY, in two steps (RFC 9113, section 6.8): that the end is near, with a PING to see that it is known;
  /// and which requests are still answered.
  void submit_notice();
  void submit_goaway();
  /// Ends everything, with what is in hand unanswered.
  void terminate(ErrorCode code);

  /// One more request was answered whole: that earns what else the client may do.
  void request_answered();

 private:
  friend struct Callbacks;
  struct Resets;
  /// False: one too many.
  bool spend(FrameBudget& budget, const Allowance& allowance, std::string_view limit);
  bool feed(std::string_view bytes);
  bool count_frame(const FrameHead& frame);
  bool may_be_closed(const FrameHead& frame);
  bool is_open(int32_t id) const;
  void remember_reset(int32_t id);
  void count_own_reset(uint32_t code);
  void data_moved();
  void submit_response(int32_t id, uint16_t status, std::span<const Field> fields, bool body, bool interim);

  Owner& owner_;
  nghttp2_session* session_ = nullptr;
  OutputBatch* batch_ = nullptr;  // while `send` runs
  FrameBudget resets_;
  FrameBudget settings_;
  FrameBudget pings_;
  FrameBudget priorities_;
  FrameBudget window_updates_;
  FrameBudget empty_frames_;
  uint32_t continuations_ = 0;     // of the head that is being read
  uint32_t streams_ = 0;           // that the owner knows
  int32_t last_id_ = 0;            // the highest that the client has used
  int32_t goaway_id_ = INT32_MAX;  // higher ones are ignored
  FrameScanner scanner_;
  std::unique_ptr<Resets> own_resets_;  // once there is one
};

}  // namespace sluice::http::h2
