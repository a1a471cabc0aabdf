// `sluice_sim`: runs seeds, reports, and says how to repeat what failed.
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstring>

#include "bench.h"
#include "regressions.h"
#include "report.h"
#include "run.h"
#include "telemetry/process_log.h"

namespace sluice::sim {

namespace {

/// For the handler of signals: which seed runs.
volatile uint64_t running_seed = 0;

void on_crash(int number) {
  char text[256];
  int size = std::snprintf(text, sizeof text,
                           "\nseed %llu: FAILED\n  crashed: %s (an assertion of the code, or a fault)\n"
                           "  repeat: ./dev sim --seed %llu --trace\n",
                           static_cast<unsigned long long>(running_seed), strsignal(number),
                           static_cast<unsigned long long>(running_seed));
  std::ignore = write(STDOUT_FILENO, text, static_cast<size_t>(size));
  _exit(1);
}

struct Arguments {
  uint64_t seeds = 200;
  uint64_t first = 1;
  bool one = false;
  bool trace = false;
  bool json = false;
  bool twice = false;
  bool hash = false;
  bool bench = false;
};

/// Every so many seeds is run twice when not all are.
constexpr uint64_t kTwiceEvery = 16;

RunResult run_checked(const Arguments& arguments, uint64_t seed) {
  running_seed = seed;
  RunOptions options{.seed = seed, .trace = arguments.trace};
  RunResult result = run_seed(options);
  bool again = arguments.twice || seed % kTwiceEvery == 0;
  if (!again || !result.violations.empty()) return result;
  RunResult second = run_seed(options);
  if (second.hash != result.hash)
    result.violations.push_back({Invariant::kRepeatable, fmt::format("two runs differ: {:016x} and {:016x}",
                                                                     result.hash, second.hash)});
  return result;
}

int run_all(const Arguments& arguments) {
  Report report(arguments.json, arguments.trace);
  uint64_t count = arguments.one ? 1 : arguments.seeds;
  auto run = [&](uint64_t seed) {
    RunResult result = run_checked(arguments, seed);
    report.add(result);
    if (arguments.hash) fmt::print("{} {:016x}\n", result.seed, result.hash);
    return result.violations.empty();
  };
  bool sound = true;
  for (uint64_t i = 0; i < count && sound; ++i) sound = run(arguments.first + i);
  if (!arguments.one)
    for (const Regression& regression : kRegressions) sound = sound && run(regression.seed);
  return report.finish() ? 0 : 1;
}

}  // namespace

}  // namespace sluice::sim

int main(int argc, char** argv) {
  using namespace sluice::sim;
  Arguments arguments;
  CLI::App app("Simulated worlds, one a seed.");
  app.add_option("--seeds", arguments.seeds, "how many");
  CLI::Option* seed = app.add_option("--seed", arguments.first, "the first, or the only one without --seeds");
  app.add_flag("--trace", arguments.trace, "print what happened");
  app.add_flag("--json", arguments.json, "the report as JSON");
  app.add_flag("--twice", arguments.twice, "run every seed twice and compare");
  app.add_flag("--hash", arguments.hash, "print the hash of each seed's events");
  app.add_flag("--bench", arguments.bench, "how many plain requests a second");
  CLI11_PARSE(app, argc, argv);
  arguments.one = seed->count() > 0 && app.get_option("--seeds")->count() == 0;
  for (int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(number, on_crash);
  sluice::telemetry::log::configure({.level = sluice::telemetry::log::Level::kOff});
  if (arguments.bench) return run_bench(3.0);
  return run_all(arguments);
}
