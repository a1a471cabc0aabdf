// From the document's `tls`, `certificates` and `trust` to contexts; those that have not changed are used
// again.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>

#include "config/diagnostics.h"
#include "config/document.h"
#include "gateway/snapshot.h"
#include "tls/client_context.h"
#include "tls/server_context.h"

namespace sluice::gateway {

/// Not thread-safe: belongs to the compiler. What it made lives as long as a snapshot or connection uses it.
class TlsCompiler {
 public:
  /// `challenges`: what listeners show a CA that looks whether a name is ours.
  explicit TlsCompiler(std::shared_ptr<const tls::ChallengeCertificates> challenges)
      : challenges_(std::move(challenges)) {}

  /// In a document's certificates those that are known take the place of their equals, so that what was
  /// fetched for one stays stapled after a reload.
  void recall(config::Document& document);
  /// `own_keys`: of session tickets, where a listener names none. Null, after an error in `diagnostics`.
  std::shared_ptr<const tls::ServerContext> listener(const config::Document& document,
                                                     const config::Listener& listener,
                                                     const std::shared_ptr<const tls::TicketKeys>& own_keys,
                                                     config::Diagnostics& diagnostics);
  /// How the `https://` targets of an upstream are spoken to. `digest`: of it and of all that it is made
  /// from.
  std::shared_ptr<const tls::ClientContext> upstream(const config::Document& document,
                                                     const config::Upstream& upstream, ContentDigest& digest,
                                                     config::Diagnostics& diagnostics);

 private:
  std::shared_ptr<const tls::Certificate> self_signed(WallTime now);
  /// Of an entry of the document; for one that its CA has not given yet one that the gateway has signed
  /// itself. Null: it could not be loaded, which was an error.
  std::shared_ptr<const tls::Certificate> certificate(const config::Document& document,
                                                      const std::string& name);

  template <class T>
  using Known = std::unordered_map<ContentDigest, std::weak_ptr<const T>, ContentDigest::Hash>;
  Known<tls::ServerContext> known_listeners_;
  Known<tls::ClientContext> known_upstreams_;
  Known<tls::Certificate> known_certificates_;
  std::shared_ptr<const tls::Certificate> self_signed_;
  std::map<std::string, std::shared_ptr<const tls::Certificate>> stand_ins_;  // by name
  const std::shared_ptr<const tls::ChallengeCertificates> challenges_;
};

}  // namespace sluice::gateway
