// `sluice check`: everything that would keep a configuration from being served, at once.
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "cli/commands.h"
#include "config/loader.h"
#include "gateway/compiler.h"
#include "handlers/registry.h"
#include "policies/registry.h"

namespace sluice::cli {

int check(const CheckOptions& options) {
  policies::Registry policies;
  handlers::Registry handlers;
  config::LoadResult loaded =
      config::load_files(options.files, {.catalog = &policies, .strict_expiry = true});
  if (loaded.ok()) {
    // Compiling finds the rest: ambiguous routes, patterns, what only a policy knows. Nothing is served with
    // this key.
    std::array<std::byte, 32> secret{};
    gateway::Services services(secret, 0);
    gateway::Compiler compiler(services, policies, handlers);
    compiler.compile(loaded.document, nullptr, loaded.diagnostics);
  }
  loaded.diagnostics.sort();
  if (options.format == "json") {
    std::puts(loaded.diagnostics.render_json().c_str());
  } else if (options.format == "sarif") {
    std::puts(loaded.diagnostics.render_sarif().c_str());
  } else {
    bool colour = isatty(STDOUT_FILENO) && !std::getenv("NO_COLOR");
    std::fputs(loaded.diagnostics.render_text(colour).c_str(), stdout);
    if (loaded.ok()) std::puts("ok");
  }
  return loaded.ok() ? kExitFine : kExitFailed;
}

}  // namespace sluice::cli
