// From the document's `upstreams` and `redis` to what workers use; those that have not changed are used
// again.
#pragma once

#include <memory>
#include <unordered_map>

#include "config/diagnostics.h"
#include "config/document.h"
#include "gateway/digest.h"
#include "gateway/redis/redis_store.h"
#include "gateway/services.h"
#include "gateway/tls_compiler.h"
#include "gateway/upstream.h"

namespace sluice::gateway {

/// Not thread-safe: belongs to the compiler.
class UpstreamCompiler {
 public:
  UpstreamCompiler(Services& services, TargetRegistry& targets, TlsCompiler& tls)
      : services_(services), targets_(targets), tls_(tls) {}

  /// `digest`: out, of all that it depends on.
  std::shared_ptr<const Upstream> upstream(const config::Document& document, const std::string& name,
                                           const config::Upstream& configured, ContentDigest& digest,
                                           config::Diagnostics& diagnostics);
  std::shared_ptr<const RedisStore> redis(const config::Document& document, const std::string& name,
                                          const config::RedisStore& configured, ContentDigest& digest,
                                          config::Diagnostics& diagnostics);
  void forget_unused();

 private:
  Services& services_;
  TargetRegistry& targets_;
  TlsCompiler& tls_;
  // Alive as long as a snapshot uses them.
  std::unordered_map<ContentDigest, std::weak_ptr<const Upstream>, ContentDigest::Hash> known_;
  std::unordered_map<ContentDigest, std::weak_ptr<const RedisStore>, ContentDigest::Hash> known_stores_;
};

}  // namespace sluice::gateway
