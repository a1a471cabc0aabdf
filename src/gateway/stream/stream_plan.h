// A stream of the configuration, compiled: where connections or datagrams that are not HTTP go, and by which
// server name.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/time.h"
#include "gateway/upstream.h"
#include "telemetry/families.h"

namespace sluice::gateway {

/// What of a stream outlives configurations.
struct StreamState {
  std::atomic<uint32_t> open{0};  // connections or sessions, of all workers

  /// One more, unless there are `most`; 0: any number.
  bool enter(uint32_t most) {
    uint32_t now = open.load(std::memory_order_relaxed);
    do {
      if (most > 0 && now >= most) return false;
    } while (!open.compare_exchange_weak(now, now + 1, std::memory_order_relaxed));
    return true;
  }
  void leave() { open.fetch_sub(1, std::memory_order_relaxed); }
};

struct StreamPlan {
  std::string name;
  std::shared_ptr<const Upstream> upstream;
  std::shared_ptr<StreamState> state;
  telemetry::StreamMetrics metrics;
  bool tls = false;         // what comes must begin with a ClientHello
  bool terminates = false;  // TLS ends here
  Duration idle{};          // 0: none
  uint32_t most = 0;        // connections, or sessions of UDP; 0: any number
  uint32_t datagram = 0;    // the largest
  uint32_t responses = 0;   // 0: any number
  bool log = true;
};

/// The streams of one listener. A listener that has any carries no cleartext HTTP.
class StreamRoutes {
 public:
  /// `name` in lower case, or `*.suffix`; empty: what no name fits.
  void add(std::string_view name, std::shared_ptr<const StreamPlan> plan);

  /// For every connection alike: nobody need look at what it begins with. Null: see `find`.
  const std::shared_ptr<const StreamPlan>& without_look() const { return without_look_; }
  /// By the server name of a ClientHello, in lower case: the exact one, then the longest suffix, then the
  /// rest. Null: none.
  std::shared_ptr<const StreamPlan> find(std::string_view server_name) const;

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Names = std::unordered_map<std::string, std::shared_ptr<const StreamPlan>, Hash, std::equal_to<>>;

  Names exact_;
  Names suffixes_;  // without `*.`
  std::shared_ptr<const StreamPlan> rest_;
  std::shared_ptr<const StreamPlan> without_look_;
};

}  // namespace sluice::gateway
