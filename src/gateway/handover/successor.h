// Starts a process that is to take over the gateway's sockets, and waits until it serves.
#pragma once

#include <sys/types.h>

#include <expected>
#include <string>
#include <vector>

#include "base/time.h"
#include "io/cancel.h"
#include "io/loop.h"
#include "io/task.h"

namespace sluice::gateway::handover {

/// How long a successor has to read its configuration, resolve its names and listen.
inline constexpr Duration kStartTime = std::chrono::seconds(60);

/// Runs `command` (a name without a slash is looked up in PATH) with `sockets`, which are closed here either
/// way, as InheritedSockets expects them. Its process once it serves; otherwise why it does not, and it has
/// ended then. When `token` is cancelled it is told to end.
io::Task<std::expected<pid_t, std::string>> start_successor(io::Loop& loop, std::vector<std::string> command,
                                                            std::vector<int> sockets, Duration limit,
                                                            io::CancelToken& token);

}  // namespace sluice::gateway::handover
