// Accepts HTTP/1.x connections for as long as a listener lives, each served beside the others.
#pragma once

#include "base/intrusive_list.h"
#include "http/h1/server_connection.h"
#include "http/server.h"
#include "io/loop.h"
#include "io/scope.h"
#include "io/stream.h"

namespace sluice::http::h1 {

/// What accepted connections are served with.
struct AcceptTarget {
  io::Loop& loop;
  RequestHandler& handler;
  uint16_t listener;                             // its number, for the handler
  IntrusiveList<ServerConnection>& connections;  // those that are open
  io::TaskScope& scope;                          // in which they run
};

/// Until `token`, to which `listener` is bound, is cancelled. When descriptors have run out it pauses, so
/// that connections can end, and tells the handler of each one that was shed.
io::Task<> accept_connections(io::Listener& listener, AcceptTarget target, io::CancelToken& token);

}  // namespace sluice::http::h1
