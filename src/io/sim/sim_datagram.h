// Datagrams in a SimWorld: sockets, and what is on its way between them. What the network's moods delay may
// be overtaken; what finds nobody is refused or lost, as with UDP over loopback.
#pragma once

#include <cerrno>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "io/datagram.h"
#include "io/sim/sim_loop.h"
#include "io/sim/sim_queue.h"

namespace sluice::io {

class SimDatagrams;

class SimDatagramSocket final : public DatagramSocket, private SimTarget {
 public:
  /// What may lie unread unless the options say otherwise; more is lost.
  static constexpr uint32_t kWaitingBytes = 256 * 1024;

  ~SimDatagramSocket() override;

  static Result<std::unique_ptr<DatagramSocket>> open(SimLoop& loop, const Address& local,
                                                      const DatagramOptions& options);
  size_t send(std::span<const Datagram> datagrams) override;
  Address address() const override { return address_; }
  Result<int> duplicate() const override { return fail(ErrorCode::kOther, ENOTSUP); }

 private:
  friend class SimDatagrams;
  struct Waiting {
    Address peer;
    Address local;
    std::string bytes;
  };

  SimDatagramSocket(SimLoop& loop, const DatagramOptions& options) : loop_(loop), options_(options) {}
  bool try_receive(Result<Received>& result) override;
  void wait_receive(std::coroutine_handle<> waiter, Result<Received>* result) override;
  void on_events(uint32_t events) override;
  void on_cancel() override;
  void arrive(Waiting datagram);
  void refuse();

  SimLoop& loop_;
  DatagramOptions options_;
  Address address_;
  std::deque<Waiting> waiting_;
  size_t waiting_bytes_ = 0;
  bool refused_ = false;  // and nobody was told yet
  std::vector<Waiting> lent_;
  std::vector<Datagram> views_;  // of `lent_`
  std::coroutine_handle<> receiver_;
  Result<Received>* result_ = nullptr;
};

/// Of one world.
class SimDatagrams final : private SimDue {
 public:
  explicit SimDatagrams(SimWorld& world) : world_(world) {}

  Result<Address> add(SimDatagramSocket& socket, const Address& local);
  void remove(SimDatagramSocket& socket) { std::erase(sockets_, &socket); }
  /// Into a bounded buffer on the way; false: it is full.
  bool send(const SimDatagramSocket& from, const Address& source, const Address& to, std::string_view bytes);

 private:
  /// On their way at once, in all.
  static constexpr size_t kOnTheWay = 65'536;
  struct Flight {
    Address from;
    Address to;
    std::string bytes;
  };
  void on_due(uint32_t what) override;
  SimDatagramSocket* find(const Address& from, const Address& to);

  SimWorld& world_;
  std::vector<SimDatagramSocket*> sockets_;
  std::map<uint32_t, Flight> flights_;
  uint32_t next_ = 0;
};

}  // namespace sluice::io
