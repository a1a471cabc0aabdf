// From the streams of a document to what its listeners serve them by.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "config/document.h"
#include "gateway/snapshot.h"

namespace sluice::gateway {

using UpstreamsByName = std::unordered_map<std::string_view, std::shared_ptr<const Upstream>>;

/// Keeps what outlives documents.
class StreamCompiler {
 public:
  /// Of a document without problems; fills in the listeners of `next`.
  void compile(const config::Document& document, const UpstreamsByName& upstreams,
               telemetry::Families& metrics, Snapshot& next);

 private:
  std::map<std::string, std::weak_ptr<StreamState>> states_;  // by the stream's name
};

}  // namespace sluice::gateway
