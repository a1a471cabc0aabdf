#include <algorithm>

#include "base/hash.h"
#include "gateway/router/host_pattern.h"
#include "gateway/router/path_pattern.h"
#include "gateway/router/root_router.h"

namespace sluice::gateway {

class RootRouterBuilder {
 public:
  explicit RootRouterBuilder(std::span<const ApiEntry> apis) : entries_(apis) {}
  RootRouter::Built build();

 private:
  struct Placed {
    uint32_t node;
    uint32_t api;
    auto operator<=>(const Placed&) const = default;
  };

  void add_api(uint32_t api);
  uint32_t host_node(const HostPattern& host);
  uint32_t child(uint32_t node, std::string_view text, uint64_t hash);
  void settle_owners();
  bool share_listener(uint32_t a, uint32_t b) const;
  void add_tie(uint32_t first, uint32_t second);
  void fail(BuildError::Kind kind, uint32_t api, std::string_view what, std::string_view text,
            std::string_view problem);

  std::span<const ApiEntry> entries_;
  std::shared_ptr<RootRouter> router_ = std::make_shared<RootRouter>();
  std::vector<Placed> placed_;
  std::vector<BuildError> errors_;
};

RootRouter::Built RootRouter::build(std::span<const ApiEntry> apis) {
  return RootRouterBuilder(apis).build();
}

RootRouter::Built RootRouterBuilder::build() {
  router_->nodes_.resize(RootRouter::kAnyHost + 1);
  for (uint32_t api = 0; api < entries_.size(); ++api) add_api(api);
  settle_owners();
  if (!errors_.empty()) return std::unexpected(std::move(errors_));
  return router_;
}

void RootRouterBuilder::add_api(uint32_t api) {
  const ApiSpec& spec = entries_[api].spec;
  RootRouter::Api compiled;
  compiled.router = entries_[api].router;
  compiled.listeners = static_cast<uint32_t>(router_->listeners_.size());
  compiled.listener_count = static_cast<uint32_t>(spec.listeners.size());
  router_->listeners_.insert(router_->listeners_.end(), spec.listeners.begin(), spec.listeners.end());
  router_->apis_.push_back(std::move(compiled));

  auto pattern = parse_path_pattern(spec.path, false);
  if (!pattern) return fail(BuildError::Kind::kPath, api, "path", spec.path, pattern.error());
  if (std::ranges::any_of(*pattern, [](auto& s) { return s.kind != PatternSegment::Kind::kLiteral; }))
    return fail(BuildError::Kind::kPath, api, "path", spec.path, "has a parameter; those belong to routes");
  if (pattern->back().text.empty()) pattern->pop_back();

  std::vector<uint32_t> roots;
  for (const std::string& text : spec.hosts) {
    auto host = parse_host_pattern(text);
    if (!host) return fail(BuildError::Kind::kHost, api, "host", text, host.error());
    roots.push_back(host_node(*host));
  }
  if (roots.empty()) roots.push_back(RootRouter::kAnyHost);
  for (uint32_t node : roots) {
    for (const PatternSegment& segment : *pattern)
      node = child(node, segment.text, scan_segment(segment.text).hash);
    placed_.push_back({node, api});
  }
}

uint32_t RootRouterBuilder::host_node(const HostPattern& host) {
  if (host.wildcard) router_->longest_suffix_ = std::max(router_->longest_suffix_, host.name.size());
  return child(host.wildcard ? RootRouter::kSuffixes : RootRouter::kExactHosts, host.name, hash64(host.name));
}

uint32_t RootRouterBuilder::child(uint32_t parent, std::string_view text, uint64_t hash) {
  auto& nodes = router_->nodes_;
  uint32_t known = router_->edges_.find(parent, hash, [&](uint32_t node) {
    return std::string_view(router_->texts_).substr(nodes[node].text, nodes[node].text_size) == text;
  });
  if (known != RootRouter::kNone) return known;
  RootRouter::Node node;
  node.text = static_cast<uint32_t>(router_->texts_.size());
  node.text_size = static_cast<uint32_t>(text.size());
  router_->texts_ += text;
  auto index = static_cast<uint32_t>(nodes.size());
  nodes.push_back(node);
  nodes[parent].has_children = true;
  router_->edges_.insert(parent, hash, index);
  return index;
}

void RootRouterBuilder::settle_owners() {
  std::ranges::sort(placed_);
  // An API that gives one host twice is still one owner.
  auto repeated = std::ranges::unique(placed_);
  placed_.erase(repeated.begin(), repeated.end());
  for (size_t i = 0; i < placed_.size(); ++i) {
    bool first = i == 0 || placed_[i - 1].node != placed_[i].node;
    bool last = i + 1 == placed_.size() || placed_[i + 1].node != placed_[i].node;
    if (first) router_->nodes_[placed_[i].node].owner = static_cast<uint32_t>(i);
    router_->owners_.push_back({placed_[i].api, last});
    for (size_t j = i + 1; j < placed_.size() && placed_[j].node == placed_[i].node; ++j) {
      if (errors_.size() == kMaxBuildErrors) return;
      if (share_listener(placed_[i].api, placed_[j].api)) add_tie(placed_[i].api, placed_[j].api);
    }
  }
}

bool RootRouterBuilder::share_listener(uint32_t a, uint32_t b) const {
  const auto& left = entries_[a].spec.listeners;
  const auto& right = entries_[b].spec.listeners;
  return left.empty() || right.empty() || std::ranges::find_first_of(left, right) != left.end();
}

void RootRouterBuilder::add_tie(uint32_t first, uint32_t second) {
  auto known = [&](const BuildError& error) {
    return error.kind == BuildError::Kind::kTie && error.first == first && error.second == second;
  };
  if (std::ranges::any_of(errors_, known)) return;
  errors_.push_back({BuildError::Kind::kTie, first, second,
                     "APIs `" + entries_[first].spec.name + "` and `" + entries_[second].spec.name +
                         "` own the same path on the same host and listener"});
}

void RootRouterBuilder::fail(BuildError::Kind kind, uint32_t api, std::string_view what,
                             std::string_view text, std::string_view problem) {
  if (errors_.size() == kMaxBuildErrors) return;
  std::string message = "API `" + entries_[api].spec.name + "`: ";
  message.append(what).append(" `").append(text).append("` ").append(problem);
  errors_.push_back({kind, api, api, std::move(message)});
}

}  // namespace sluice::gateway
