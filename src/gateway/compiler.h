// From a validated document to a Snapshot, using again every part of the one before that has not changed.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/diagnostics.h"
#include "config/document.h"
#include "gateway/handler_types.h"
#include "gateway/policy_types.h"
#include "gateway/services.h"
#include "gateway/snapshot.h"
#include "gateway/stream/stream_compiler.h"
#include "gateway/tls_compiler.h"
#include "gateway/upstream.h"
#include "gateway/upstream_compiler.h"

namespace sluice::gateway {

/// The consumers of a document, as the credential table takes them.
struct CompiledCredentials {
  std::vector<store::Consumer> consumers;
  std::vector<store::CredentialTable::Entry> entries;
};

CompiledCredentials compile_credentials(const config::Document& document, const store::KeyedHasher& hasher);

struct Compiled {
  SnapshotChange change;
  CompiledCredentials credentials;
  bool needs_state = false;  // something in it is kept across restarts
  std::string state;         // where: `gateway.state`
};

/// One at a time, on any thread that is no worker's. Keeps what it needs to compile the next document faster.
class Compiler {
 public:
  Compiler(Services& services, const PolicyTypes& policies, const HandlerTypes& handlers);

  /// Problems that only compiling finds (ambiguous routes, bad patterns, a policy's own) go to `diagnostics`;
  /// with an error among them the result is null and nothing has changed. `previous` may be null.
  std::unique_ptr<Compiled> compile(config::Document& document, std::shared_ptr<const Snapshot> previous,
                                    config::Diagnostics& diagnostics);

  TargetRegistry& targets() { return targets_; }

 private:
  friend class Compilation;
  Services& services_;
  const PolicyTypes& policies_;
  const HandlerTypes& handlers_;
  TargetRegistry targets_;
  TlsCompiler tls_;
  UpstreamCompiler upstreams_;
  std::shared_ptr<tls::TicketKeys> ticket_keys_;  // for the process's life, once a listener has TLS
  StreamCompiler streams_;
  TrafficShifts shifts_;
  uint64_t revision_ = 0;
  std::vector<std::string> listener_names_;  // by number; a listener keeps its number for the process's life
  // Alive as long as a snapshot uses them; by digest.
  std::unordered_map<ContentDigest, std::weak_ptr<const Policy>, ContentDigest::Hash> known_policies_;
  std::unordered_map<ContentDigest, std::weak_ptr<const Chain>, ContentDigest::Hash> known_chains_;
};

}  // namespace sluice::gateway
