// `sluice schema`: the JSON Schema for editors, or the reference's pages.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "cli/commands.h"
#include "config/docs_table.h"
#include "config/json_schema.h"
#include "policies/registry.h"

namespace sluice::cli {

int schema(const SchemaOptions& options) {
  policies::Registry policies;
  if (options.docs_folder.empty()) {
    std::puts(config::document_schema(&policies).c_str());
    return kExitFine;
  }
  std::filesystem::create_directories(options.docs_folder);
  for (const auto& [name, text] : config::reference_pages(policies)) {
    std::ofstream page(std::filesystem::path(options.docs_folder) / name);
    page << text;
    if (!page.flush()) {
      std::fprintf(stderr, "sluice: cannot write %s/%s\n", options.docs_folder.c_str(), name.c_str());
      return kExitFailed;
    }
  }
  return kExitFine;
}

}  // namespace sluice::cli
