// http_fetch: one request of the gateway's own over HTTP/1.1, in the clear or over TLS, on a connection of
// its own: for what the main loop asks others now and then (OCSP responders, certificate authorities).
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "io/cancel.h"
#include "io/dns.h"
#include "io/loop.h"
#include "io/task.h"
#include "tls/client_context.h"

namespace sluice::gateway {

struct FetchRequest {
  std::string method = "GET";
  std::string url;  // http or https
  std::string content_type = {};
  std::string accept = {};
  std::string body = {};
  std::shared_ptr<const tls::ClientContext> tls = nullptr;  // for https
  Duration timeout = std::chrono::seconds(10);              // of all of it
  size_t most_bytes = 64 * 1024;                            // of the answer's body
};

struct FetchAnswer {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
  std::string body;

  /// The first one's value; empty: there is none.
  std::string_view field(std::string_view name) const;
};

/// The error is a clause about the other side, "it ...", for the log.
using Fetched = std::expected<FetchAnswer, std::string>;
io::Task<Fetched> http_fetch(io::Loop& loop, io::Resolver& resolver, FetchRequest request,
                             io::CancelToken& all);

}  // namespace sluice::gateway
