#include "policies/transform/grpc_transcode/proto_source.h"

#include <fmt/format.h>
#include <google/protobuf/compiler/parser.h>
#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/io/tokenizer.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <map>
#include <set>

#include "config/references.h"
#include "policies/transform/grpc_transcode/google_api.h"

namespace sluice::policies::grpc {

namespace {

namespace pb = google::protobuf;

constexpr size_t kMostFiles = 2000;
constexpr size_t kMostImportDepth = 100;

/// Keeps the first error.
class ParseErrors final : public pb::io::ErrorCollector {
 public:
  void AddError(int line, pb::io::ColumnNumber column, const std::string& message) override {
    if (first.empty()) first = fmt::format("{}:{}: {}", line + 1, column + 1, message);
  }
  std::string first;
};

std::expected<pb::FileDescriptorProto, std::string> parse_source(std::string_view name,
                                                                 std::string_view text) {
  pb::io::ArrayInputStream stream(text.data(), static_cast<int>(text.size()));
  ParseErrors errors;
  pb::io::Tokenizer tokenizer(&stream, &errors);
  pb::compiler::Parser parser;
  parser.RecordErrorsTo(&errors);
  pb::FileDescriptorProto file;
  if (!parser.Parse(&tokenizer, &file) || !errors.first.empty())
    return std::unexpected(fmt::format("{}:{}", name, errors.first));
  file.set_name(std::string(name));
  return file;
}

/// What every protobuf runtime has.
std::optional<pb::FileDescriptorProto> built_in(const std::string& name) {
  if (std::string_view source = google_api_source(name); !source.empty()) {
    auto parsed = parse_source(name, source);
    if (parsed) return std::move(*parsed);
  }
  if (!name.starts_with("google/protobuf/")) return std::nullopt;
  const pb::FileDescriptor* known = pb::DescriptorPool::generated_pool()->FindFileByName(name);
  if (!known) return std::nullopt;
  pb::FileDescriptorProto file;
  known->CopyTo(&file);
  return file;
}

}  // namespace

struct ProtoSource::Files {
  ReadFile read_file;
  std::map<std::string, pb::FileDescriptorProto> by_name;  // as imports name them
  std::map<std::string, std::string> names_of_paths;       // of sources: the first name of each
  std::vector<std::string> named;                          // sources that `add` was given

  /// Reads what `file` imports, and what that imports.
  std::string add_imports(const std::string& path, const std::string& name, size_t depth) {
    if (depth > kMostImportDepth) return fmt::format("`{}`: imports nest too deep", path);
    const auto& dependencies = by_name[name].dependency();
    std::vector<std::string> imports(dependencies.begin(), dependencies.end());
    for (const std::string& import : imports) {
      if (by_name.contains(import)) continue;
      std::string problem = add_import(path, import, depth);
      if (!problem.empty()) return problem;
    }
    return {};
  }

  std::string add_import(const std::string& importer, const std::string& name, size_t depth) {
    for (std::string folder = config::folder_of(importer);; folder = config::folder_of(folder)) {
      std::string path = config::join_path(folder, name);
      if (auto text = read_file(path)) return add_source(path, name, *text, depth + 1);
      if (folder == "." || folder == "/") break;
    }
    auto known = built_in(name);
    if (!known)
      return fmt::format("`{}` imports `{}`, which is neither beside it nor in a folder above", importer,
                         name);
    by_name[name] = std::move(*known);
    return add_imports(importer, name, depth + 1);
  }

  std::string add_source(const std::string& path, const std::string& name, std::string_view text,
                         size_t depth) {
    if (by_name.size() >= kMostFiles) return fmt::format("`{}`: too many files", path);
    auto [known, first] = names_of_paths.emplace(path, name);
    if (!first && known->second != name)
      return fmt::format("`{}` is imported as `{}` and as `{}`", path, known->second, name);
    auto parsed = parse_source(path, text);
    if (!parsed) return parsed.error();
    parsed->set_name(name);
    by_name[name] = std::move(*parsed);
    return add_imports(path, name, depth);
  }

  std::string add_set(const std::string& path, const std::string& bytes) {
    pb::FileDescriptorSet set;
    if (!set.ParseFromString(bytes) || set.file_size() == 0)
      return fmt::format("`{}` is no descriptor set: make it with `protoc --include_imports -o {} ...`", path,
                         path);
    for (const pb::FileDescriptorProto& file : set.file()) by_name.emplace(file.name(), file);
    for (const pb::FileDescriptorProto& file : set.file()) {
      for (const std::string& import : file.dependency()) {
        if (by_name.contains(import)) continue;
        auto known = built_in(import);
        if (!known)
          return fmt::format("`{}` lacks `{}`: make it with `protoc --include_imports`", path, import);
        by_name[import] = std::move(*known);
        std::string problem = add_imports(path, import, 0);
        if (!problem.empty()) return problem;
      }
    }
    return {};
  }

  /// Those that `file` imports go first. An import that closes a circle is left to the pool to refuse.
  void put(const std::string& name, std::set<std::string>& done, pb::FileDescriptorSet& set) {
    if (!done.insert(name).second) return;
    const pb::FileDescriptorProto& file = by_name[name];
    for (const std::string& import : file.dependency()) put(import, done, set);
    *set.add_file() = file;
  }
};

ProtoSource::ProtoSource(ReadFile read_file) : files_(std::make_unique<Files>()) {
  files_->read_file = std::move(read_file);
}
ProtoSource::~ProtoSource() = default;

std::string ProtoSource::add(const std::string& path) {
  auto bytes = files_->read_file(path);
  if (!bytes) return fmt::format("cannot read `{}`: {}", path, bytes.error());
  if (!path.ends_with(".proto")) return files_->add_set(path, *bytes);
  // It may be what another one imports: then that says what it is called.
  auto parsed = parse_source(path, *bytes);
  if (!parsed) return parsed.error();
  files_->named.push_back(path);
  std::string name = path;
  parsed->set_name(name);
  files_->by_name.emplace(name, *parsed);
  std::string problem = files_->add_imports(path, name, 0);
  files_->by_name.erase(name);
  return problem;
}

std::expected<std::string, std::string> ProtoSource::finish() {
  for (const std::string& path : files_->named) {
    if (files_->names_of_paths.contains(path)) continue;
    auto bytes = files_->read_file(path);
    if (!bytes) return std::unexpected(fmt::format("cannot read `{}`: {}", path, bytes.error()));
    std::string problem = files_->add_source(path, path, *bytes, 0);
    if (!problem.empty()) return std::unexpected(problem);
  }
  pb::FileDescriptorSet set;
  std::set<std::string> done;
  std::vector<std::string> names;
  for (const auto& [name, file] : files_->by_name) names.push_back(name);
  for (const std::string& name : names) files_->put(name, done, set);
  return set.SerializeAsString();
}

}  // namespace sluice::policies::grpc
