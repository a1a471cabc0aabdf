// What a process has inherited from its predecessor: the sockets that clients know, with connections that
// wait in them, and a pipe to say by that it serves. Sockets are told apart by what they are, not by what is
// said of them: kind and address are the socket's own.
#pragma once

#include <expected>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "io/address.h"

namespace sluice::gateway::handover {

/// How many sockets there are; the pipe is descriptor kFirstDescriptor, the sockets follow it.
inline constexpr const char* kVariable = "SLUICE_HANDOVER";
inline constexpr int kFirstDescriptor = 3;
inline constexpr size_t kMostSockets = 65'536;
/// What a process writes into the pipe once it serves.
inline constexpr char kReady = 'R';

enum class SocketKind : uint8_t {
  kShared,     // TCP; each worker has one of its own at the same address
  kAlone,      // TCP; the only one at its address
  kDatagrams,  // UDP; one a worker
};

/// Empty in a process that was started afresh. Workers take from it, each on its own thread.
class InheritedSockets {
 public:
  InheritedSockets() = default;
  InheritedSockets(const InheritedSockets&) = delete;
  InheritedSockets& operator=(const InheritedSockets&) = delete;
  ~InheritedSockets();

  /// Takes what a predecessor has left, and removes it from the environment; nothing there is no error. What
  /// does not look like it is refused, for a socket left out would be closed with connections in it.
  std::expected<void, std::string> take_from_environment();
  /// The same with `count` sockets from `first` + 1 on. They are ours also when this fails.
  std::expected<void, std::string> adopt(int first, size_t count);

  /// A predecessor serves until we say that we do.
  bool any() const { return pipe_ >= 0; }
  /// How many workers share them. Before any of these takes its part.
  void divide_among(size_t workers) { workers_ = workers; }
  /// The part of worker `number`, which owns it: of those at an address each has its turn, so that none is
  /// left whatever the number of workers was before. Once.
  std::vector<int> take(SocketKind kind, const io::Address& address, size_t number);
  /// We serve. Closes what nobody has taken, for the predecessor to look after what waits there, and tells
  /// it.
  void report_ready();

 private:
  struct Socket {
    SocketKind kind;
    io::Address address;
    int descriptor;  // below zero: taken
  };
  void close_rest();

  std::mutex mutex_;  // workers take at the start alone
  std::vector<Socket> sockets_;
  size_t workers_ = 1;
  int pipe_ = -1;
};

/// The variable's value as a number of sockets.
std::expected<size_t, std::string> parse_socket_count(std::string_view text);

}  // namespace sluice::gateway::handover
