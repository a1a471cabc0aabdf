// The reference pages in docs/reference, made from the field lists so that they cannot disagree with the
// code.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/policy_entry.h"
#include "config/struct_type.h"

namespace sluice::config {

/// A Markdown table of a struct's fields: name, type, default, meaning.
std::string docs_table(const StructBase& type);
/// A section for the struct and one for every struct below it. `level` is that of the headings.
std::string docs_section(const StructBase& type, int level = 2);

/// All pages, by file name: `configuration.md`, and one `policy-NAME.md` for each policy of the catalog.
std::vector<std::pair<std::string, std::string>> reference_pages(const PolicyCatalog& catalog);

}  // namespace sluice::config
