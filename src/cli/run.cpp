// `sluice run`: serves a configuration until it is told to stop.
#include "cli/commands.h"
#include "cli/demo.h"
#include "gateway/runtime.h"
#include "handlers/registry.h"
#include "policies/registry.h"

namespace sluice::cli {

int run(const RunOptions& options) {
  policies::Registry policies;
  handlers::Registry handlers;
  gateway::RuntimeOptions runtime_options;
  runtime_options.watch = options.watch;
  std::optional<DemoBackends> backends;
  if (options.demo) {
    runtime_options.inputs.push_back(demo_input());
    runtime_options.on_ready = print_demo_summary;
    // The process's signals are for the runtime alone: threads inherit what is blocked now.
    gateway::Runtime::block_signals();
    auto started = backends.emplace().start();
    if (!started) {
      std::fprintf(stderr, "sluice: %s\n", started.error().c_str());
      return kExitFailed;
    }
  } else {
    runtime_options.inputs.push_back({options.file, std::nullopt});
    runtime_options.command = options.command;
  }
  gateway::Runtime runtime(policies, handlers, std::move(runtime_options));
  return runtime.run();
}

}  // namespace sluice::cli
