// A resolver on c-ares: /etc/hosts first, then the name servers of /etc/resolv.conf, without a thread.
#pragma once

#include <memory>
#include <string>

#include "io/dns.h"
#include "io/epoll/epoll_loop.h"

namespace sluice::io {

class CaresResolver final : public Resolver {
 public:
  struct Options {
    std::string servers = {};                          // "127.0.0.1:53,[::1]:53"; empty: those of the system
    Duration first_timeout = std::chrono::seconds(1);  // of one question to one server; doubles each round
    int rounds = 3;                                    // through all servers
  };

  static constexpr size_t kMaxAddresses = 64;  // of one name; more are ignored
  /// An entry of /etc/hosts has no TTL of its own.
  static constexpr Duration kHostsTtl = std::chrono::minutes(5);

  /// Throws std::runtime_error when c-ares does not start.
  CaresResolver(EpollLoop& loop, const Options& options);
  /// Nobody waits any more.
  ~CaresResolver() override;

  Task<Result<Resolution>> resolve(std::string name, CancelToken& token) override;
  Task<Result<ServiceRecords>> resolve_service(std::string name, CancelToken& token) override;

 private:
  class Channel;
  template <class Found>
  class Lookup;
  std::unique_ptr<Channel> channel_;
};

}  // namespace sluice::io
