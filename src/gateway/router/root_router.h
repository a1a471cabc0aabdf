// The root of a configuration's router: listener, host and path prefix choose the API, which alone owns the
// request from there on (contract: "Matching"). Cheap to build over API routers that a new configuration
// shares with the old.
//
// Hosts are tried from the most specific: the exact one, `*.suffix` from the longest, then APIs without
// hosts; within one host the longest prefix of whole segments. A host whose APIs have no fitting prefix (or
// not on this listener) has no candidate, so the next host is tried; once an API is chosen no other one is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/router/api_router.h"
#include "gateway/router/match.h"
#include "gateway/router/request_view.h"
#include "gateway/router/route_spec.h"
#include "gateway/router/segment_table.h"

namespace sluice::gateway {

struct ApiEntry {
  ApiSpec spec;
  std::shared_ptr<const ApiRouter> router;
};

class RootRouter {
 public:
  using Built = std::expected<std::shared_ptr<const RootRouter>, std::vector<BuildError>>;
  static Built build(std::span<const ApiEntry> apis);

  /// The whole match. Answers kNeedBody only when `body` is null; then read the prefix (an absent body is an
  /// empty and complete one) and ask again. The API is chosen by `path`; an API that keeps repeated slashes
  /// then matches its routes against `unmerged`. Texts in the answer live in either.
  Match match(const RequestView& request, const BodyPrefix* body = nullptr) const;
  /// The value of `Allow` after kMethodNotAllowed; `body` as given to `match`.
  std::string allow(const RequestView& request, const BodyPrefix* body = nullptr) const;

  struct Selection {
    uint32_t api;
    uint32_t prefix_size;
  };
  /// Only which API owns the request, for what is decided per API before the path is final.
  std::optional<Selection> select(const RequestView& request) const;

  const std::shared_ptr<const ApiRouter>& api(uint32_t index) const { return apis_[index].router; }
  size_t api_count() const { return apis_.size(); }
  /// Bytes on the heap, without the API routers.
  size_t memory_bytes() const;

 private:
  friend class RootRouterBuilder;
  static constexpr uint32_t kNone = SegmentTable::kNone;
  // The first three nodes: parents of the hosts, and the root of APIs without hosts.
  static constexpr uint32_t kExactHosts = 0;
  static constexpr uint32_t kSuffixes = 1;
  static constexpr uint32_t kAnyHost = 2;

  struct Api {
    std::shared_ptr<const ApiRouter> router;
    uint32_t listeners = 0;  // in listeners_; meaningless when listener_count is 0: all
    uint32_t listener_count = 0;
  };
  struct Node {
    uint32_t text = 0;  // in texts_: the segment that leads here; for a host's root the host
    uint32_t text_size = 0;
    uint32_t owner = kNone;  // in owners_: the APIs whose prefix ends here
    bool has_children = false;
  };
  /// APIs of one host and path, on different listeners.
  struct Owner {
    uint32_t api = 0;
    bool last = false;
  };

  std::optional<Selection> select_below(uint32_t host, const RequestView& request) const;
  bool listens(const Api& api, uint16_t listener) const;
  uint32_t find_host(uint32_t table, std::string_view host) const;

  std::vector<Api> apis_;
  std::vector<uint16_t> listeners_;
  std::vector<Node> nodes_;
  SegmentTable edges_;
  std::vector<Owner> owners_;
  std::string texts_;
  size_t longest_suffix_ = 0;
};

}  // namespace sluice::gateway
