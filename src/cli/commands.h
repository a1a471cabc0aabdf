// The subcommands. Each returns the process's exit code: 0 fine, 1 invalid input or failed, 64 usage.
#pragma once

#include <string>
#include <vector>

namespace sluice::cli {

inline constexpr int kExitFine = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 64;

struct RunOptions {
  std::string file;
  bool demo = false;
  bool watch = false;
  std::vector<std::string> command;  // the whole command line
};
int run(const RunOptions& options);

struct CheckOptions {
  std::vector<std::string> files;
  std::string format = "text";  // text | json | sarif
};
int check(const CheckOptions& options);

struct SchemaOptions {
  std::string docs_folder;  // not empty: the reference's Markdown pages go there instead
};
int schema(const SchemaOptions& options);

struct ExplainOptions {
  std::string file;
  std::string method;
  std::string url;
  std::vector<std::string> headers;
  std::string body;
  bool has_body = false;
  std::string listener;
  bool json = false;
};
int explain(const ExplainOptions& options);

int doctor(bool json);

}  // namespace sluice::cli
