#include "gateway/router/root_router.h"

#include <algorithm>

#include "base/hash.h"
#include "gateway/router/host_pattern.h"

namespace sluice::gateway {
namespace {

/// Bytes of `unmerged` that become the first `merged_size` bytes when its repeated slashes are merged.
/// Slashes that repeat behind the prefix belong to the rest.
uint32_t unmerged_prefix_size(std::string_view unmerged, uint32_t merged_size) {
  size_t at = 0;
  for (uint32_t merged = 0; merged < merged_size && at < unmerged.size(); ++at)
    if (unmerged[at] != '/' || at + 1 == unmerged.size() || unmerged[at + 1] != '/') ++merged;
  return static_cast<uint32_t>(at);
}

bool wants_unmerged(const ApiRouter& api, const RequestView& request) {
  return api.keeps_repeated_slashes() && request.unmerged.size() > request.path.size();
}

RequestView as_unmerged(const RequestView& request) {
  RequestView view = request;
  view.path = request.unmerged;
  return view;
}

}  // namespace

bool RootRouter::listens(const Api& api, uint16_t listener) const {
  if (api.listener_count == 0) return true;
  auto listeners = std::span(listeners_).subspan(api.listeners, api.listener_count);
  return std::ranges::find(listeners, listener) != listeners.end();
}

uint32_t RootRouter::find_host(uint32_t table, std::string_view host) const {
  return edges_.find(table, hash64(host), [&](uint32_t node) {
    return std::string_view(texts_.data() + nodes_[node].text, nodes_[node].text_size) == host;
  });
}

std::optional<RootRouter::Selection> RootRouter::select(const RequestView& request) const {
  if (!request.path.starts_with('/')) return std::nullopt;
  std::optional<Selection> selection;
  std::string_view host = without_root_dot(request.host);
  if (nodes_[kExactHosts].has_children) {
    uint32_t found = find_host(kExactHosts, host);
    if (found != kNone) selection = select_below(found, request);
    if (selection) return selection;
  }
  // A name longer than any configured suffix is cut before it is hashed, so a host of many labels stays
  // cheap.
  for (size_t dot = host.find('.', 1); longest_suffix_ > 0 && dot < host.size();
       dot = host.find('.', dot + 1)) {
    std::string_view suffix = host.substr(dot + 1);
    if (suffix.size() > longest_suffix_) continue;
    uint32_t found = find_host(kSuffixes, suffix);
    if (found != kNone) selection = select_below(found, request);
    if (selection) return selection;
  }
  return select_below(kAnyHost, request);
}

std::optional<RootRouter::Selection> RootRouter::select_below(uint32_t host,
                                                              const RequestView& request) const {
  std::optional<Selection> best;
  std::string_view path = request.path;
  uint32_t node = host;
  for (size_t at = 0;;) {
    const Node& here = nodes_[node];
    if (here.owner != kNone) {
      for (const Owner* owner = &owners_[here.owner];; ++owner) {
        if (listens(apis_[owner->api], request.listener)) best = {owner->api, static_cast<uint32_t>(at)};
        if (owner->last) break;
      }
    }
    if (!here.has_children || at == path.size()) return best;
    Segment segment = scan_segment(path.substr(at + 1));
    std::string_view text = path.substr(at + 1, segment.size);
    node = edges_.find(node, segment.hash, [&](uint32_t child) {
      return std::string_view(texts_.data() + nodes_[child].text, nodes_[child].text_size) == text;
    });
    if (node == kNone) return best;
    at += 1 + segment.size;
  }
}

Match RootRouter::match(const RequestView& request, const BodyPrefix* body) const {
  Match match;
  auto selection = select(request);
  if (!selection) return match;
  match.api = selection->api;
  const ApiRouter& api = *apis_[selection->api].router;
  if (wants_unmerged(api, request)) {
    RequestView unmerged = as_unmerged(request);
    api.match(unmerged, unmerged_prefix_size(unmerged.path, selection->prefix_size), body, match);
  } else {
    api.match(request, selection->prefix_size, body, match);
  }
  return match;
}

std::string RootRouter::allow(const RequestView& request, const BodyPrefix* body) const {
  auto selection = select(request);
  if (!selection) return {};
  const ApiRouter& api = *apis_[selection->api].router;
  if (!wants_unmerged(api, request)) return api.allow(request, selection->prefix_size, body);
  RequestView unmerged = as_unmerged(request);
  return api.allow(unmerged, unmerged_prefix_size(unmerged.path, selection->prefix_size), body);
}

size_t RootRouter::memory_bytes() const {
  return apis_.capacity() * sizeof(Api) + listeners_.capacity() * sizeof(uint16_t) +
         nodes_.capacity() * sizeof(Node) + edges_.memory_bytes() + owners_.capacity() * sizeof(Owner) +
         texts_.capacity();
}

}  // namespace sluice::gateway
