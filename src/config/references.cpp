#include "config/references.h"

#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

namespace sluice::config {

namespace {

std::expected<std::string, std::string> read_system_file(const std::string& path, size_t limit) {
  // O_NONBLOCK: a FIFO must not hold up the start.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return std::unexpected(std::string(strerrordesc_np(errno)));
  std::expected<std::string, std::string> out;
  struct stat info{};
  if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode)) out = std::unexpected(std::string("Is a directory"));
  char buffer[64 * 1024];
  while (out) {
    const ssize_t count = read(fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) out = std::unexpected(std::string(strerrordesc_np(errno)));
    if (count <= 0) break;
    if (out->size() + static_cast<size_t>(count) > limit)
      out = std::unexpected("it is larger than " + std::to_string(limit) + " bytes");
    else
      out->append(buffer, static_cast<size_t>(count));
  }
  close(fd);
  return out;
}

std::vector<std::string> system_glob(const std::string& pattern) {
  std::vector<std::string> paths;
  glob_t found{};
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0)
    for (size_t i = 0; i < found.gl_pathc; ++i) paths.emplace_back(found.gl_pathv[i]);
  globfree(&found);
  return paths;
}

bool is_variable_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

class Resolver {
 public:
  Resolver(std::string_view folder, const Environment& environment, Arena& arena, Diagnostics& diagnostics,
           std::vector<std::string>& files, const ReferenceLimits& limits)
      : folder_(folder),
        environment_(environment),
        arena_(arena),
        diagnostics_(diagnostics),
        files_(files),
        limits_(limits) {}

  // The depth of a tree is bounded, see TreeLimits.
  void walk(Node& node) {
    if (node.is_scalar()) return resolve(node);
    const uint32_t step = node.is_mapping() ? 2 : 1;
    for (uint32_t i = step - 1; i < node.count * step; i += step) walk(node.children[i]);
  }

 private:
  void resolve(Node& node) {
    if (node.resolved || node.text.find("${") == node.text.npos) return;
    std::string out;
    std::string_view rest = node.text;
    for (auto at = rest.find("${"); at != rest.npos; at = rest.find("${")) {
      if (at > 0 && rest[at - 1] == '$') {
        out.append(rest.substr(0, at - 1)).append("${");
        rest.remove_prefix(at + 2);
        continue;
      }
      out.append(rest.substr(0, at));
      rest.remove_prefix(at + 2);
      const auto end = rest.find('}');
      if (end == rest.npos) {
        diagnostics_.error(node, "reference",
                           "a `${` without its `}`; write `$${` for the characters themselves");
        return;
      }
      auto value = lookup(node, rest.substr(0, end));
      if (!value) return;
      total_ += value->size();
      if (total_ > limits_.total_bytes) {
        diagnostics_.error(node, "reference",
                           "the references of this document come to more than " +
                               std::to_string(limits_.total_bytes) + " bytes");
        return;
      }
      out += *value;
      rest.remove_prefix(end + 1);
    }
    out += rest;
    node.text = arena_.copy(out);
    node.resolved = true;
  }

  std::optional<std::string> lookup(const Node& node, std::string_view reference) {
    if (reference.starts_with("env:")) return variable(node, reference.substr(4));
    if (reference.starts_with("file:")) return file(node, std::string(reference.substr(5)));
    diagnostics_.error(
        node, "reference",
        "a reference is `${env:NAME}`, `${env:NAME:-default}` or `${file:PATH}`; write `$${` for the "
        "characters themselves");
    return std::nullopt;
  }

  std::optional<std::string> variable(const Node& node, std::string_view text) {
    const auto separator = text.find(":-");
    const std::string name(text.substr(0, separator));
    if (!is_variable_name(name)) {
      diagnostics_.error(node, "reference", "`" + name + "` is not the name of an environment variable");
      return std::nullopt;
    }
    auto value = environment_.variable(name);
    if (separator != text.npos && (!value || value->empty())) return std::string(text.substr(separator + 2));
    if (!value)
      diagnostics_.error(node, "unset-reference",
                         "the environment variable `" + name + "` is not set; `${env:" + name +
                             ":-default}` gives it a default");
    return value;
  }

  std::optional<std::string> file(const Node& node, const std::string& name) {
    const std::string path = join_path(folder_, name);
    if (std::ranges::find(files_, path) == files_.end()) {
      if (files_.size() >= limits_.files) {
        diagnostics_.error(node, "too-many-files", "more than " + std::to_string(limits_.files) + " files");
        return std::nullopt;
      }
      files_.push_back(path);
    }
    auto text = environment_.read_file(path, limits_.file_bytes);
    if (!text) {
      diagnostics_.error(node, "unset-reference", "cannot read `" + path + "`: " + text.error());
      return std::nullopt;
    }
    if (text->ends_with('\n')) text->pop_back();
    if (text->ends_with('\r')) text->pop_back();
    return std::move(*text);
  }

  std::string_view folder_;
  const Environment& environment_;
  Arena& arena_;
  Diagnostics& diagnostics_;
  std::vector<std::string>& files_;
  const ReferenceLimits& limits_;
  size_t total_ = 0;
};

}  // namespace

Environment Environment::system() {
  return {.variable =
              [](const std::string& name) {
                const char* value = getenv(name.c_str());
                return value ? std::optional<std::string>(value) : std::nullopt;
              },
          .read_file = read_system_file,
          .glob = system_glob,
          .now = [] { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }};
}

Environment Environment::empty() {
  return {.variable = [](const std::string&) { return std::optional<std::string>(); },
          .read_file = [](const std::string&, size_t) -> std::expected<std::string, std::string> {
            return std::unexpected(std::string("there are no files here"));
          },
          .glob = [](const std::string&) { return std::vector<std::string>(); },
          .now = [] { return WallTime(); }};
}

void resolve_references(Node& root, std::string_view folder, const Environment& environment, Arena& arena,
                        Diagnostics& diagnostics, std::vector<std::string>& files,
                        const ReferenceLimits& limits) {
  Resolver(folder, environment, arena, diagnostics, files, limits).walk(root);
}

std::string join_path(std::string_view folder, std::string_view path) {
  if (path.starts_with('/') || folder.empty() || folder == ".") return std::string(path);
  std::string out(folder);
  if (!out.ends_with('/')) out += '/';
  return out.append(path);
}

std::string folder_of(std::string_view path) {
  const auto slash = path.rfind('/');
  if (slash == path.npos) return ".";
  return std::string(path.substr(0, slash == 0 ? 1 : slash));
}

}  // namespace sluice::config
