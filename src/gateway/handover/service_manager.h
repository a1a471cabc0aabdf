// Tells a service manager how the process does, as sd_notify(3) of systemd says it: one datagram a message to
// the socket that NOTIFY_SOCKET names.
#pragma once

#include <string_view>

namespace sluice::gateway::handover {

/// `READY=1`, `MAINPID=12`. Without a service manager nothing happens; one that does not listen is its own
/// affair.
void tell_service_manager(std::string_view message);

}  // namespace sluice::gateway::handover
