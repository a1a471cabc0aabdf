// Either side of an HTTP/2 session: nghttp2 behind a small face. It knows frames, HPACK, windows and what
// RFC 9113 says of all that; what a message means is its owner's matter.
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

enum class Role : uint8_t { kServer, kClient };

/// Error codes (RFC 9113, section 7) that we choose or tell apart.
enum class ErrorCode : uint32_t {
  kNoError = 0x0,
  kProtocolError = 0x1,
  kInternalError = 0x2,
  kStreamClosed = 0x5,
  kRefusedStream = 0x7,
  kCancel = 0x8,
  kEnhanceYourCalm = 0xb,
};

/// A stream as its session knows it: what the owner derives its own from.
class SessionStream {
 protected:
  SessionStream() = default;
  ~SessionStream() = default;
};

/// The pseudo-header fields of a request (RFC 9113, section 8.3.1).
struct RequestLine {
  std::string_view method;
  std::string_view scheme;
  std::string_view authority;
  std::string_view path;
  std::string_view protocol = {};  // of extended CONNECT (RFC 8441); empty: there is none
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
    /// Server: a request begins.
    virtual SessionStream& on_begin(int32_t id) = 0;
    /// A field of a head or of trailers. `trailer`: not of the first block; after an interim response that
    /// may still be a head. False: the session ends.
    virtual bool on_field(SessionStream& stream, bool trailer, std::string_view name,
                          std::string_view value) = 0;
    /// A block of fields is whole. `end`: the message with it; `on_end` follows.
    virtual void on_fields_end(SessionStream& stream, bool trailer, bool end) = 0;
    virtual void on_data(SessionStream& stream, std::string_view bytes) = 0;
    /// The peer's message is whole.
    virtual void on_end(SessionStream& stream) = 0;
    /// What came breaks RFC 9113, section 8.1.1: the stream is being reset.
    virtual void on_malformed(SessionStream& stream) = 0;
    /// Nothing more comes or goes; `stream` is forgotten. `code` says why.
    virtual void on_closed(SessionStream& stream, uint32_t code) = 0;
    /// More may be sent: on this stream, or (null) on any.
    virtual void on_window(SessionStream* stream) = 0;
    virtual void on_settings() = 0;
    /// Client: the server takes no more requests.
    virtual void on_goaway() {}
    /// A bound was passed, and that has its consequences already.
    virtual void on_limit(std::string_view limit) = 0;
    virtual void on_ping_answered() {}
    /// The next piece of its body, at most `most` bytes. None and no end: later, after `resume`.
    virtual Portion next_portion(SessionStream& stream, size_t most) = 0;
    /// False: it was taken back meanwhile.
    virtual bool has_portion(const SessionStream& stream, size_t bytes) const = 0;
    /// So much of it is put into `batch`, behind its frame header.
    virtual void put_portion(SessionStream& stream, size_t bytes, OutputBatch& batch) = 0;
    /// A head, an interim one or trailers of it are in the batch.
    virtual void on_head_sent(SessionStream& stream, size_t bytes, bool end) = 0;
    virtual Instant now() const = 0;

   protected:
    ~Owner() = default;
  };

  struct Settings {
    uint32_t head_bytes;            // SETTINGS_MAX_HEADER_LIST_SIZE
    bool extended_connect = false;  // server: RFC 8441 is spoken
  };

  Session(Role role, Owner& owner, const Settings& settings);
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session();

  /// False: the session has ended with an error; what is to be said about that is at hand for `send`.
  bool receive(std::string_view bytes);
  /// Fills the batch with what may go now.
  bool send(OutputBatch& batch);
  bool wants_read() const;
  bool wants_write() const;
  /// It has said why it ends (GOAWAY with an error): what still comes is ignored.
  bool terminated() const { return terminated_; }
  /// Frames that wait to be sent, without DATA.
  size_t queued() const;

  /// Client: a request; -1 when no stream is left for it. `fields` without connection-specific ones. Without
  /// a body the head is the end.
  int32_t submit_request(const RequestLine& line, std::span<const Field> fields, bool body,
                         SessionStream& stream);
  /// Server: likewise.
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
  /// Whether a DATA frame could be sent now, as far as the peer's windows go.
  bool has_window(int32_t id) const;
  /// Client: how many requests the server takes at once.
  uint32_t most_requests() const;
  /// Whether extended CONNECT was offered by the server (RFC 8441).
  bool offers_extended_connect() const;

  /// GOAWAY, in two steps (RFC 9113, section 6.8): that the end is near, with a PING to see that it is known;
  /// and which requests are still answered.
  void submit_notice();
  void submit_goaway();
  void submit_ping();
  /// Ends everything, with what is in hand unanswered.
  void terminate(ErrorCode code);

  /// One more request was answered whole: that earns what else the peer may do.
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

  const Role role_;
  Owner& owner_;
  FrameScanner scanner_;
  nghttp2_session* session_ = nullptr;
  OutputBatch* batch_ = nullptr;  // while `send` runs
  FrameBudget resets_;
  FrameBudget settings_;
  FrameBudget pings_;
  FrameBudget priorities_;
  FrameBudget window_updates_;
  FrameBudget empty_frames_;
  bool terminated_ = false;
  uint32_t continuations_ = 0;          // of the head that is being read
  uint32_t streams_ = 0;                // that the owner knows
  int32_t last_id_ = 0;                 // the highest that the client has used
  int32_t goaway_id_ = INT32_MAX;       // higher ones are ignored
  std::unique_ptr<Resets> own_resets_;  // once there is one
};

}  // namespace sluice::http::h2
