// What one struct alone cannot know: names that refer to others, things that exclude each other, duplicates.
#pragma once

#include <string_view>
#include <vector>

#include "config/diagnostics.h"
#include "config/document.h"
#include "config/node.h"
#include "config/references.h"

namespace sluice::config {

/// Where the parts of a merged document were written: for carets under the very value. The lists run parallel
/// to the maps of the document; nullptr: not written.
struct WrittenNodes {
  const Node* gateway = nullptr;
  const Node* policies = nullptr;
  std::vector<const Node*> trust;
  std::vector<const Node*> certificates;
  std::vector<const Node*> upstreams;
  std::vector<const Node*> streams;
  std::vector<const Node*> chains;
  std::vector<const Node*> apis;
  std::vector<const Node*> plans;
  std::vector<const Node*> redis;
  std::vector<const Node*> consumers;
};

/// The member of a node, or the node itself when there is none: always somewhere to point at.
const Node& member_or(const Node& node, std::string_view name);
/// The same for an item of a list.
const Node& item_or(const Node& node, size_t number);

/// Puts the chains in place of every `use`, in all lists. Unknown chains, cycles and what grows too long are
/// errors.
void expand_chains(Document& document, const WrittenNodes& nodes, Diagnostics& diagnostics);

/// Policies: one type and id only once a level, nothing against a locked one.
void validate_policies(const Document& document, Diagnostics& diagnostics);

/// Reads the files of `certificates` and `trust` and looks at what is in them. All that were tried are added
/// to `files`. What is expired is an error when `strict`, else a warning, as is what ends within kExpirySoon.
void load_certificates(Document& document, const WrittenNodes& nodes, const Environment& environment,
                       bool strict, Diagnostics& diagnostics, std::vector<std::string>& files);
inline constexpr Duration kExpirySoon = std::chrono::days(30);
/// A name in lower case, `*.suffix`, or an IP address; without a port.
bool is_host_pattern(std::string_view text);

/// What streams and HTTP may not share, and what the PROXY protocol needs. Server names become lower case.
void validate_streams(Document& document, const WrittenNodes& nodes, Diagnostics& diagnostics);

/// Everything else. Host names become lower case, an API's path loses its slash at the end.
void validate_document(Document& document, const WrittenNodes& nodes, Diagnostics& diagnostics);

}  // namespace sluice::config
