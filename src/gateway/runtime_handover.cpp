// SIGUSR2: a successor is started with every socket that is listened on. Once it serves, this process drains
// and ends; until then, and if it never does, this one goes on.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include "gateway/handover/service_manager.h"
#include "gateway/handover/successor.h"
#include "gateway/runtime.h"
#include "telemetry/process_log.h"

namespace sluice::gateway {

namespace {
namespace log = telemetry::log;
}  // namespace

void Runtime::begin_handover() {
  if (handing_over_ || plane_->stopping()) return log::warning("SIGUSR2: a handover or a drain is under way");
  if (!plane_->ready()) return log::warning("SIGUSR2: not yet ready, so there is nothing to hand over");
  if (options_.command.empty()) return log::error("SIGUSR2: the demo cannot be handed over");
  // A container, or a machine, ends with it.
  if (getpid() == 1) return log::error("SIGUSR2: process 1 cannot be replaced while it runs");
  log::info("SIGUSR2: starting a successor");
  handing_over_ = true;
  handover_scope_.spawn(hand_over());
}

io::Task<> Runtime::hand_over() {
  std::expected<pid_t, std::string> successor;
  auto sockets = co_await plane_->duplicate_sockets();
  if (sockets) {
    auto command = options_.command;
    successor = co_await handover::start_successor(loop_, std::move(command), std::move(*sockets),
                                                   handover::kStartTime, handover_token_);
  } else {
    successor = std::unexpected(std::move(sockets.error()));
  }
  handing_over_ = false;
  after_handover(successor);
  handover_ended_.tell();
}

void Runtime::after_handover(const std::expected<pid_t, std::string>& successor) {
  bool reload = std::exchange(reload_after_handover_, false);
  if (!successor) {
    log::error("the successor does not take over, this process goes on: {}", successor.error());
    if (reload) request_reload();
    return;
  }
  log::info("process {} has taken over: draining", *successor);
  handover::tell_service_manager(fmt::format("MAINPID={}", *successor));
  // It may have read the file before it changed.
  if (reload) kill(*successor, SIGHUP);
  begin_shutdown(true);
}

}  // namespace sluice::gateway
