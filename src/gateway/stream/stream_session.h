// A client's connection of a stream: to a target of the upstream, and bytes both ways until both sides have
// said all.
#pragma once

#include <memory>
#include <string>

#include "gateway/connection_pool.h"
#include "gateway/stream/stream_plan.h"
#include "http/connection.h"
#include "io/relay.h"
#include "io/stream.h"
#include "io/task.h"
#include "telemetry/access_log.h"

namespace sluice::gateway {

class Worker;

/// What was learned of a connection before it was known whose it is.
struct StreamOpening {
  uint16_t listener = 0;  // its number
  std::string server_name;
  io::Address destination;  // that a proxy named; port 0: none did
};

/// Until the connection has ended, in the worker's list meanwhile; counted, limited and logged.
io::Task<> serve_stream(Worker& worker, std::unique_ptr<io::Stream> client,
                        std::shared_ptr<const StreamPlan> plan, StreamOpening opening);

}  // namespace sluice::gateway
