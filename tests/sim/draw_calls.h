// Draws the calls of a run, each with what must become of it.
#pragma once

#include <functional>

#include "base/random.h"
#include "call.h"
#include "document.h"

namespace sluice::sim {

/// Which kinds of trouble a run has.
struct Profile {
  bool faults = false;          // of the network and the machine
  bool client_deeds = false;    // clients that leave, stall, send nonsense
  bool upstream_deeds = false;  // upstreams that break off, lie, are silent
  bool slow_peers = false;      // who waits for less than a timeout
  bool reloads = false;
  Duration latency{};        // of the network, one way
  bool early_drain = false;  // in the middle of the traffic
};

class CallDrawer {
 public:
  CallDrawer(Random& random, const Document& document, const Profile& profile)
      : random_(random), document_(document), profile_(profile) {}

  /// The next call of a client that comes from kClientIps[client]. `last`: it may end its connection.
  void draw(Call& call, size_t client, bool last);
  /// Of a client that connects to kSidePort.
  void aside(bool side) { side_ = side; }
  void over_tls(bool tls) { tls_ = tls; }
  /// All calls are of one kind from now on; nothing: each is drawn.
  void theme(std::optional<uint64_t> kind) { theme_ = kind; }
  static constexpr uint64_t kKinds = 42;

 private:
  bool chance(uint64_t one_in) { return random_.below(one_in) == 0; }
  size_t draw_size();
  std::string json(size_t pad_bytes) const;
  static bool carries(std::string_view method) {
    return method == "POST" || method == "PUT" || method == "PATCH";
  }
  void draw_method(bool with_body);
  void draw_kind(bool last);
  void draw_body();
  void break_chunks();
  void draw_extras(size_t client);
  void draw_deed();
  void proxied(std::string upstream);
  void both(const std::function<void(Expected&)>& change);
  void refuse(int status, std::string code);
  void keys(std::string_view in);
  void owners();
  void finish_head();
  void malformed();
  void keep(std::string_view name, std::string_view value);
  void expect_forwarded(std::string_view name, std::string_view value);
  void from_proxy(std::string_view name, std::string_view value);
  void draw_addresses(std::string_view peer);
  void draw_request_id();
  void draw_hops();
  void made(int status, std::string_view body);
  void refuse_method(std::string_view allow);
  void twisted();
  void conditions();
  void places();
  static void edited(Expected& each);
  void chains();
  void shifting();
  void oddities();

  Random& random_;
  const Document& document_;
  const Profile& profile_;
  Call* call_ = nullptr;
  std::string host_;       // as the gateway sees it
  std::string wire_host_;  // as the client writes it
  bool told_host_ = false;
  std::string options_;  // of `Connection`
  char minor_ = '1';
  bool side_ = false;
  bool tls_ = false;
  std::optional<uint64_t> theme_;
  std::string target_;
  std::string client_address_;
  Fields sent_;
  bool trusted_ = false;
  /// How a JSON body says its kind.
  enum class JsonForm : uint8_t { kFirst, kLast, kEscaped, kTwice, kNested };
  std::string json_kind_;
  JsonForm json_form_ = JsonForm::kFirst;
  std::string via_;
};

}  // namespace sluice::sim
