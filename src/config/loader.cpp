#include "config/loader.h"

#include "config/validate.h"

namespace sluice::config {

namespace {

constexpr size_t kMaxIncludeDepth = 8;
constexpr size_t kMaxNamedFileBytes = size_t{16} << 20;

/// The files that the fields of one document name.
class NamedFiles final : public FileSource {
 public:
  NamedFiles(std::string folder, const Environment& environment, std::vector<std::string>& files)
      : folder_(std::move(folder)), environment_(environment), files_(files) {}

  std::expected<std::string, std::string> read(std::string_view name) override {
    std::string path = join_path(folder_, name);
    if (std::ranges::find(files_, path) == files_.end()) {
      if (files_.size() >= ReferenceLimits().files) return std::unexpected(std::string("too many files"));
      files_.push_back(path);
    }
    return environment_.read_file(path, kMaxNamedFileBytes);
  }

 private:
  std::string folder_;
  const Environment& environment_;
  std::vector<std::string>& files_;
};

class Loader {
 public:
  Loader(const LoadOptions& options, LoadResult& result)
      : options_(options), result_(result), diagnostics_(result.diagnostics) {}

  void run(std::vector<Input> inputs) {
    if (inputs.empty()) diagnostics_.error(Position{}, "no-input", "there is no document to load");
    for (Input& input : inputs) load_document(std::move(input), nullptr, 0);
    expand_chains(result_.document, nodes_, diagnostics_);
    validate_policies(result_.document, diagnostics_);
    validate_document(result_.document, nodes_, diagnostics_);
    result_.document.loaded_at = options_.environment.now();
    load_certificates(result_.document, nodes_, options_.environment, options_.strict_expiry, diagnostics_,
                      result_.certificate_files);
    validate_streams(result_.document, nodes_, diagnostics_);
    for (size_t i = 0; i < diagnostics_.sources().size(); ++i)
      result_.document.file_names.push_back(diagnostics_.sources().name(static_cast<uint32_t>(i)));
    diagnostics_.sort();
  }

 private:
  /// `included_at` is where an `include` named the file, or nullptr.
  void load_document(Input input, const Node* included_at, size_t depth) {
    if (!input.text && !read_file(input, included_at)) return;
    const uint32_t file = diagnostics_.sources().add(input.name, std::move(*input.text));
    Arena& arena = *arenas_.emplace_back(std::make_unique<Arena>());
    Node* root = parse_yaml(diagnostics_.sources().text(file), file, arena, diagnostics_);
    if (!root) return;
    const std::string folder = folder_of(input.name);
    resolve_references(*root, folder, options_.environment, arena, diagnostics_, result_.files);
    if (!root->is_mapping()) {
      diagnostics_.error(*root, "wrong-type",
                         "expected a mapping with `version: 1`, found " + describe(*root));
      return;
    }
    Document part;
    NamedFiles files(folder, options_.environment, result_.files);
    Reader reader(diagnostics_, options_.catalog, &files);
    const StructBase::Part whole{Document::schema(), &part};
    // An included file need not repeat the version.
    StructBase::read_parts(*root, {&whole, 1}, reader, included_at == nullptr);
    resolve_paths(part, folder);
    merge(part, *root);
    if (const Node* include = root->find("include")) load_includes(part.include, *include, folder, depth);
  }

  bool read_file(Input& input, const Node* included_at) {
    if (++documents_ > options_.max_files) {
      report(included_at, "too-many-files", "more than " + std::to_string(options_.max_files) + " files");
      return false;
    }
    result_.files.push_back(input.name);
    auto text = options_.environment.read_file(input.name, TreeLimits().bytes);
    if (!text) {
      report(included_at, "unreadable-file", "cannot read `" + input.name + "`: " + text.error());
      return false;
    }
    input.text = std::move(*text);
    return true;
  }

  void report(const Node* at, std::string_view rule, std::string message) {
    if (at)
      diagnostics_.error(*at, rule, std::move(message));
    else
      diagnostics_.error(Position{UINT32_MAX, 0, 0}, rule, std::move(message));
  }

  void load_includes(const std::vector<std::string>& patterns, const Node& node, const std::string& folder,
                     size_t depth) {
    for (size_t i = 0; i < patterns.size(); ++i) {
      const Node& at = node.is_sequence() ? item_or(node, i) : node;
      if (depth >= kMaxIncludeDepth) {
        diagnostics_.error(
            at, "include-too-deep",
            "files include each other more than " + std::to_string(kMaxIncludeDepth) + " deep");
        return;
      }
      const std::string pattern = join_path(folder, patterns[i]);
      std::vector<std::string> paths{pattern};
      if (pattern.find_first_of("*?[") != pattern.npos) {
        result_.patterns.push_back(pattern);
        paths = options_.environment.glob(pattern);
        if (paths.empty()) diagnostics_.warning(at, "empty-include", "no file fits `" + pattern + "`");
      }
      for (std::string& path : paths) {
        // A pattern often fits the file that holds it.
        if (std::ranges::find(result_.files, path) != result_.files.end()) continue;
        load_document({std::move(path), std::nullopt}, &at, depth + 1);
      }
    }
  }

  /// The files that entities name are where their document is.
  static void resolve_paths(Document& part, const std::string& folder) {
    const auto resolve = [&](std::string& path) {
      if (!path.empty()) path = join_path(folder, path);
    };
    for (auto& [name, certificate] : part.certificates)
      for (std::string* path : {&certificate.cert, &certificate.key, &certificate.ocsp}) resolve(*path);
    for (auto& [name, trust] : part.trust)
      for (std::string* path : {&trust.ca, &trust.crl}) resolve(*path);
    for (Listener& listener : part.gateway.listen)
      if (listener.tls)
        for (std::string& path : listener.tls->ticket_keys) resolve(path);
  }

  void merge(Document& part, const Node& root) {
    Document& whole = result_.document;
    if (const Node* gateway = root.find("gateway");
        gateway && first_time(nodes_.gateway, *gateway, "gateway"))
      whole.gateway = std::move(part.gateway);
    // The order of policies means something, so lists of several files are not put together by chance.
    if (const Node* policies = root.find("policies");
        policies && first_time(nodes_.policies, *policies, "policies"))
      whole.policies = std::move(part.policies);
    merge_map("trust", trust_, whole.trust, nodes_.trust, part.trust, root.find("trust"));
    merge_map("certificate", certificates_, whole.certificates, nodes_.certificates, part.certificates,
              root.find("certificates"));
    merge_map("upstream", upstreams_, whole.upstreams, nodes_.upstreams, part.upstreams,
              root.find("upstreams"));
    merge_map("stream", streams_, whole.streams, nodes_.streams, part.streams, root.find("streams"));
    merge_map("chain", chains_, whole.chains, nodes_.chains, part.chains, root.find("chains"));
    merge_map("API", apis_, whole.apis, nodes_.apis, part.apis, root.find("apis"));
    merge_map("Redis store", redis_, whole.redis, nodes_.redis, part.redis, root.find("redis"));
    merge_map("plan", plans_, whole.plans, nodes_.plans, part.plans, root.find("plans"));
    merge_map("consumer", consumers_, whole.consumers, nodes_.consumers, part.consumers,
              root.find("consumers"));
  }

  bool first_time(const Node*& known, const Node& now, std::string_view key) {
    if (!known) {
      known = &now;
      return true;
    }
    diagnostics_.error(
        now, "duplicate-key",
        "`" + std::string(key) + "` is already given at " + diagnostics_.sources().describe(known->at));
    return false;
  }

  using Places = std::unordered_map<std::string, Position>;

  template <class T>
  void merge_map(std::string_view kind, Places& places, Map<T>& into, std::vector<const Node*>& nodes,
                 Map<T>& from, const Node* node) {
    for (uint32_t i = 0; node && i < from.size() && i < node->member_count(); ++i) {
      const Node& key = node->key(i);
      const auto [first, added] = places.emplace(from[i].first, key.at);
      if (!added) {
        if (first->second.file != key.at.file)  // within a file the reader of YAML said it
          diagnostics_.error(key, "duplicate-name",
                             "the " + std::string(kind) + " `" + from[i].first + "` is already defined at " +
                                 diagnostics_.sources().describe(first->second));
        continue;
      }
      into.push_back(std::move(from[i]));
      nodes.push_back(&node->value(i));
    }
  }

  const LoadOptions& options_;
  LoadResult& result_;
  Diagnostics& diagnostics_;
  std::vector<std::unique_ptr<Arena>> arenas_;
  size_t documents_ = 0;
  WrittenNodes nodes_;
  Places trust_;
  Places certificates_;
  Places upstreams_;
  Places streams_;
  Places chains_;
  Places apis_;
  Places plans_;
  Places redis_;
  Places consumers_;
};

}  // namespace

LoadResult load(std::vector<Input> inputs, const LoadOptions& options) {
  LoadResult result;
  Loader(options, result).run(std::move(inputs));
  return result;
}

LoadResult load_files(const std::vector<std::string>& paths, const LoadOptions& options) {
  std::vector<Input> inputs;
  for (const std::string& path : paths) inputs.push_back({path, std::nullopt});
  return load(std::move(inputs), options);
}

LoadResult load_text(std::string_view text, const LoadOptions& options, std::string name) {
  std::vector<Input> inputs;
  inputs.push_back({std::move(name), std::string(text)});
  return load(std::move(inputs), options);
}

}  // namespace sluice::config
