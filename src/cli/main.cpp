// The command line: names the subcommands and their options, and hands over to one file each.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "cli/commands.h"

namespace {

using namespace sluice::cli;

/// CLI11 has exit codes of its own; the contract has one for all misuse.
int usage_error(const CLI::App& app, const CLI::ParseError& error) {
  int code = app.exit(error);
  return code == 0 ? kExitFine : kExitUsage;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Sluice: API gateway and AI gateway", "sluice");
  app.set_version_flag("--version", "sluice " SLUICE_VERSION);
  app.require_subcommand(1);

  RunOptions run_options;
  run_options.command.assign(argv, argv + argc);
  CLI::App* run_command = app.add_subcommand("run", "Serve a configuration");
  auto* file = run_command->add_option("FILE", run_options.file, "The configuration");
  auto* demo = run_command->add_flag("--demo", run_options.demo,
                                     "The quick start: sample backends and a ready configuration");
  run_command->add_flag("--watch", run_options.watch, "Reload when a file of the configuration changes");
  demo->excludes(file);

  CheckOptions check_options;
  CLI::App* check_command = app.add_subcommand("check", "Validate configuration files");
  check_command->add_option("FILE", check_options.files, "The files; they are merged")->required();
  check_command->add_option("--format", check_options.format, "How problems are shown: text, json or sarif")
      ->check(CLI::IsMember({"text", "json", "sarif"}));

  SchemaOptions schema_options;
  CLI::App* schema_command = app.add_subcommand("schema", "Print the configuration's JSON Schema (draft-07)");
  schema_command->add_option("--docs", schema_options.docs_folder,
                             "Write the reference's Markdown pages into this folder instead");

  ExplainOptions explain_options;
  CLI::App* explain_command = app.add_subcommand("explain", "Say which route a request would take, and why");
  explain_command->add_option("FILE", explain_options.file, "The configuration")->required();
  explain_command->add_option("METHOD", explain_options.method, "The request's method")->required();
  explain_command->add_option("URL", explain_options.url, "Its URL: http://host/path?query, or only the path")
      ->required();
  explain_command->add_option("-H,--header", explain_options.headers, "A header field, `name: value`");
  auto* body = explain_command->add_option("-d,--data", explain_options.body, "The request's body");
  explain_command->add_option("--listener", explain_options.listener,
                              "The listener that it comes in by; default: the first");
  explain_command->add_flag("--json", explain_options.json, "As JSON");

  CLI::App* doctor_command =
      app.add_subcommand("doctor", "Look at what the system offers, and say what to do");
  bool doctor_json = false;
  doctor_command->add_flag("--json", doctor_json, "As JSON");

  try {
    app.parse(argc, argv);
    if (run_command->parsed() && !run_options.demo && run_options.file.empty())
      throw CLI::RequiredError("FILE or --demo");
  } catch (const CLI::ParseError& error) {
    return usage_error(app, error);
  }
  try {
    if (run_command->parsed()) return run(run_options);
    if (check_command->parsed()) return check(check_options);
    if (schema_command->parsed()) return schema(schema_options);
    if (doctor_command->parsed()) return doctor(doctor_json);
    explain_options.has_body = body->count() > 0;
    return explain(explain_options);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "sluice: %s\n", failure.what());
    return kExitFailed;
  }
}
