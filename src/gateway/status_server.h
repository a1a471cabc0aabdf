// The data plane's status listener: /livez, /readyz, /metrics, /upstreams. Runs on the main loop, so that it
// answers while workers are busy.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/intrusive_list.h"
#include "http/date.h"
#include "http/plain_acceptor.h"
#include "http/server.h"
#include "io/loop.h"
#include "io/scope.h"
#include "telemetry/registry.h"

namespace sluice::gateway {

class StatusServer final : public http::RequestHandler {
 public:
  /// What it shows; asked on the loop's thread.
  struct Source {
    std::function<bool()> ready;
    std::function<uint64_t()> revision;
    std::function<std::string()> metrics;
    std::function<std::string()> upstreams;
    std::function<void(std::string_view limit)> limit_hit;
  };

  StatusServer(io::Loop& loop, Source source) : loop_(loop), source_(std::move(source)) {}

  /// Takes the address; `inherited`: by a socket of a predecessor's, or below zero by a new one. Nothing is
  /// answered before `serve`.
  io::Result<> listen(const io::Address& address, int inherited = -1);
  void serve();
  io::Address address() const { return listener_->address(); }
  io::Result<int> duplicate_socket() const { return listener_->duplicate(); }
  void stop();
  io::Task<> join();

  const http::Limits& limits() const override { return limits_; }
  const http::ServerTimeouts& timeouts() const override { return timeouts_; }
  std::string_view date() override { return date_.at(loop_.wall_now()); }
  io::Task<> handle(http::ServerExchange& exchange) override;
  bool admit(const io::Address&) override;
  void count_connections(uint16_t, int open, int) override { open_ += open; }
  bool draining() const override { return token_.cancelled(); }

 private:
  io::Loop& loop_;
  Source source_;
  int open_ = 0;
  http::Limits limits_;
  http::ServerTimeouts timeouts_;
  http::DateCache date_;
  std::unique_ptr<io::Listener> listener_;
  io::CancelToken token_;
  http::Connections connections_;
  io::TaskScope scope_;
  http::PlainAcceptor acceptor_{loop_, *this, 0, connections_, scope_, http::Codec::kHttp1};
};

}  // namespace sluice::gateway
