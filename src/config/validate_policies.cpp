#include <set>

#include "config/validate.h"

namespace sluice::config {

namespace {

constexpr size_t kMaxPoliciesInList = 1000;

/// The value of a list's item that has one key, as policies have.
const Node& policy_value(const Node& list, size_t number) {
  const Node& item = item_or(list, number);
  return item.is_mapping() && item.count == 1 ? item.value(0) : item;
}
class ChainExpander {
 public:
  ChainExpander(Document& document, const WrittenNodes& nodes, Diagnostics& diagnostics)
      : chains_(document.chains), nodes_(nodes.chains), diagnostics_(diagnostics), states_(chains_.size()) {
    for (size_t i = 0; i < chains_.size(); ++i) {
      names_.push_back(chains_[i].first);
      numbers_.emplace(chains_[i].first, i);
    }
  }

  void expand_all_chains() {
    for (size_t i = 0; i < chains_.size(); ++i) expand_chain(i);
  }

  void expand(PolicyList& list, const Node& node) {
    if (std::ranges::none_of(list, [](const PolicyEntry& entry) { return !entry.use.empty(); })) return;
    PolicyList out;
    for (size_t i = 0; i < list.size(); ++i) {
      if (list[i].use.empty()) {
        out.push_back(std::move(list[i]));
        continue;
      }
      const PolicyList* chain = find(list[i].use, policy_value(node, i));
      if (!chain) continue;
      if (out.size() + chain->size() > kMaxPoliciesInList) {
        diagnostics_.error(
            policy_value(node, i), "too-many-policies",
            "with this chain the list has more than " + std::to_string(kMaxPoliciesInList) + " policies");
        break;
      }
      out.insert(out.end(), chain->begin(), chain->end());
    }
    list = std::move(out);
  }

 private:
  enum class State : uint8_t { kUntouched, kExpanding, kDone };

  const PolicyList* find(const std::string& name, const Node& at) {
    auto found = numbers_.find(name);
    if (found == numbers_.end()) {
      diagnostics_.error(at, "unknown-chain", "there is no chain `" + name + "`" + suggest(name, names_));
      return nullptr;
    }
    if (states_[found->second] == State::kExpanding) {
      diagnostics_.error(at, "chain-cycle", "the chain `" + name + "` uses itself");
      return nullptr;
    }
    expand_chain(found->second);
    return &chains_[found->second].second;
  }

  // Recursion is as deep as chains use each other; a document with more than this is refused.
  void expand_chain(size_t number) {
    if (states_[number] == State::kDone) return;
    constexpr size_t kMaxNesting = 100;
    if (nesting_ >= kMaxNesting) {
      diagnostics_.error(*nodes_[number], "chain-cycle", "chains use each other more than 100 deep");
      states_[number] = State::kDone;
      return;
    }
    states_[number] = State::kExpanding;
    ++nesting_;
    expand(chains_[number].second, *nodes_[number]);
    --nesting_;
    states_[number] = State::kDone;
  }

  Map<PolicyList>& chains_;
  const std::vector<const Node*>& nodes_;
  Diagnostics& diagnostics_;
  std::vector<State> states_;
  std::vector<std::string_view> names_;
  std::unordered_map<std::string_view, size_t> numbers_;
  size_t nesting_ = 0;
};

std::string title(const PolicyEntry& entry) {
  return entry.id == entry.type ? "`" + entry.type + "`"
                                : "`" + entry.type + "` with the id `" + entry.id + "`";
}

/// Entries with an empty type were refused when they were read, so they are nobody's duplicates.
class PolicyValidator {
 public:
  explicit PolicyValidator(Diagnostics& diagnostics) : diagnostics_(diagnostics) {}

  void one_level(const PolicyList& list) {
    std::map<std::pair<std::string_view, std::string_view>, const PolicyEntry*> seen;
    for (const PolicyEntry& entry : list) {
      if (entry.type.empty()) continue;
      if (auto [first, added] =
              seen.emplace(std::pair<std::string_view, std::string_view>(entry.type, entry.id), &entry);
          !added)
        report(entry, "duplicate-policy",
               title(entry) + " stands twice at this level, first at " + place(first->second->origin) +
                   "; give one an `id` of its own");
    }
  }

  /// An inner level against one outside of it.
  void against(const PolicyList& inner, const PolicyList& outer, PolicyLevel level) {
    for (const PolicyEntry& entry : inner)
      for (const PolicyEntry& other : outer)
        if (other.locked && other.type == entry.type && other.id == entry.id)
          report(entry, "locked-policy",
                 title(entry) + " is locked by the " + std::string(level_text(level)) + " at " +
                     place(other.origin));
  }

 private:
  // A chain is used in many places: the same entry at fault is said once.
  void report(const PolicyEntry& entry, std::string_view rule, std::string message) {
    if (reported_.emplace(entry.origin.file, entry.origin.line, entry.origin.column, rule).second)
      diagnostics_.error(entry.origin, rule, std::move(message));
  }
  std::string place(const Origin& origin) const { return diagnostics_.sources().describe(origin); }

  Diagnostics& diagnostics_;
  std::set<std::tuple<uint32_t, uint32_t, uint32_t, std::string_view>> reported_;
};

}  // namespace

const Node& member_or(const Node& node, std::string_view name) {
  const Node* found = node.find(name);
  return found ? *found : node;
}

const Node& item_or(const Node& node, size_t number) {
  return number < node.items().size() ? node.items()[number] : node;
}

void expand_chains(Document& document, const WrittenNodes& nodes, Diagnostics& diagnostics) {
  ChainExpander expander(document, nodes, diagnostics);
  expander.expand_all_chains();
  if (nodes.policies) expander.expand(document.policies, *nodes.policies);
  for (size_t i = 0; i < document.apis.size(); ++i) {
    Api& api = document.apis[i].second;
    const Node& node = *nodes.apis[i];
    expander.expand(api.policies, member_or(node, "policies"));
    const Node& routes = member_or(node, "routes");
    for (size_t j = 0; j < api.routes.size(); ++j)
      expander.expand(api.routes[j].policies, member_or(item_or(routes, j), "policies"));
  }
}

void validate_policies(const Document& document, Diagnostics& diagnostics) {
  PolicyValidator validator(diagnostics);
  validator.one_level(document.policies);
  for (const auto& [name, api] : document.apis) {
    validator.one_level(api.policies);
    validator.against(api.policies, document.policies, PolicyLevel::kGateway);
    for (const Route& route : api.routes) {
      validator.one_level(route.policies);
      validator.against(route.policies, document.policies, PolicyLevel::kGateway);
      validator.against(route.policies, api.policies, PolicyLevel::kApi);
    }
  }
}

}  // namespace sluice::config
