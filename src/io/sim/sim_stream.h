// One end of a simulated connection. It waits, wakes and fails as an EpollStream does.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "io/sim/sim_loop.h"

namespace sluice::io {

class SimStream;

/// What lies between two ends.
struct SimConnection {
  struct Pipe {
    std::string bytes;     // written and not yet read
    bool ended = false;    // no more will be written
    bool starved = false;  // its writer waits for room
    Instant written{};     // when its last bytes were
  };
  std::array<Pipe, 2> pipes;         // by the end that writes
  std::array<SimStream*, 2> ends{};  // null when closed
  bool broken = false;
};

/// As TCP does it: closing an end that has unread bytes, or was told to abort, resets the connection, and so
/// does writing to an end that is closed. A reset loses what the other end has not read yet, for its TCP may
/// erase that (RFC 9112, section 9.6).
class SimStream final : public Stream, private SimTarget {
 public:
  ~SimStream() override;

  static std::unique_ptr<SimStream> start_connect(SimLoop& loop, const Address& source, const Address& to);

  struct ConnectedAwait {
    SimStream& stream;
    Result<> result = {};
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiter) { stream.wait_write(waiter, &result); }
    Result<> await_resume() { return result; }
  };
  /// After `start_connect`: until the connection stands or failed.
  ConnectedAwait connected() { return {*this}; }

  void shutdown_write() override;
  void abort() override { aborted_ = true; }
  bool dirty() override { return readable_ || hung_up_ || ended_ || !unread_.empty(); }
  Address peer() const override { return peer_; }
  Duration input_age() const override;

 private:
  SimStream(SimLoop& loop, std::shared_ptr<SimConnection> connection, size_t side, const Address& peer);

  SimConnection::Pipe& in() { return connection_->pipes[1 - side_]; }
  SimConnection::Pipe& out() { return connection_->pipes[side_]; }
  SimStream* other() { return connection_->ends[1 - side_]; }
  void break_connection();

  bool try_read(Result<Lease>& result) override;
  bool try_readable(Result<>& result) override;
  bool try_write(std::span<const iovec> pieces, Result<>& result) override;
  void wait_read(std::coroutine_handle<> waiter, Result<Lease>* result) override;
  void wait_readable(std::coroutine_handle<> waiter, Result<>* result) override;
  void wait_write(std::coroutine_handle<> waiter, Result<>* result) override;
  void on_events(uint32_t events) override;
  void on_cancel() override;
  void on_input();
  bool finish_output();
  bool send_pieces(Result<>& result);
  size_t share_of(size_t bytes);

  SimLoop& loop_;
  std::shared_ptr<SimConnection> connection_;
  size_t side_;
  bool readable_ = false;  // an event said so and there may be more
  bool hung_up_ = false;
  bool ended_ = false;  // the end was delivered
  bool aborted_ = false;
  bool connecting_ = false;
  bool refused_ = false;
  std::coroutine_handle<> reader_;
  std::coroutine_handle<> writer_;
  Result<Lease>* read_result_ = nullptr;  // of a waiting read
  Result<>* readable_result_ = nullptr;   // of a waiting readable
  Result<>* write_result_ = nullptr;
  std::span<const iovec> pieces_;  // of a waiting write
  size_t pieces_done_ = 0;         // bytes of `pieces_` that are out
  Address peer_;
};

}  // namespace sluice::io
