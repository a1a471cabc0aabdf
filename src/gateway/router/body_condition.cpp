#include "gateway/router/body_condition.h"

#include <algorithm>
#include <array>
#include <boost/json/basic_parser_impl.hpp>
#include <tuple>

#include "base/ascii.h"

namespace sluice::gateway {
namespace {

constexpr uint32_t kMaxElement = 65535;

struct Step {
  std::string key;
  std::optional<uint32_t> element;
};

/// Takes one `.name`, `[0]` or `["name"]` from the front of `path`.
std::expected<Step, std::string_view> take_step(std::string_view& path) {
  if (path.front() == '.') {
    path.remove_prefix(1);
    std::string_view name = path.substr(0, path.find_first_of(".[]"));
    path.remove_prefix(name.size());
    if (name.empty()) return std::unexpected("a name is missing behind `.`");
    if (name.find_first_of("*\"' ") != std::string_view::npos)
      return std::unexpected("a name with '*', a quote or a space is written [\"name\"]");
    return Step{std::string(name), std::nullopt};
  }
  if (path.front() != '[') return std::unexpected("`.` or `[` is expected");
  path.remove_prefix(1);
  if (!path.empty() && (path.front() == '"' || path.front() == '\'')) {
    size_t end = path.find(path.front(), 1);
    if (end == std::string_view::npos || path.substr(end + 1, 1) != "]")
      return std::unexpected("a quoted name does not end in a quote and `]`");
    Step step{std::string(path.substr(1, end - 1)), std::nullopt};
    path.remove_prefix(end + 2);
    return step;
  }
  size_t end = path.find(']');
  if (end == std::string_view::npos) return std::unexpected("`]` is missing");
  auto element = ascii::parse_decimal(path.substr(0, end));
  if (!element || *element > kMaxElement) return std::unexpected("an index is a number from 0 to 65535");
  path.remove_prefix(end + 1);
  return Step{{}, static_cast<uint32_t>(*element)};
}

}  // namespace

std::expected<uint32_t, std::string_view> BodyPaths::add(std::string_view path) {
  if (!path.starts_with('$')) return std::unexpected("a body path starts with `$`");
  path.remove_prefix(1);
  std::vector<Step> steps;
  while (!path.empty()) {
    auto step = take_step(path);
    if (!step) return std::unexpected(step.error());
    steps.push_back(std::move(*step));
    if (steps.size() > kMaxJsonDepth) return std::unexpected("a body path is at most 64 steps deep");
  }
  uint32_t node = 0;
  for (Step& step : steps) {
    uint32_t element = step.element.value_or(kNone);
    uint32_t child = child_of(node, step.key, element);
    if (child == kNone) {
      child = static_cast<uint32_t>(nodes_.size());
      auto& siblings = nodes_[node].children;
      auto before = [&](uint32_t sibling) {
        return std::tie(nodes_[sibling].element, nodes_[sibling].key) < std::tie(element, step.key);
      };
      siblings.insert(std::ranges::partition_point(siblings, before), child);
      nodes_.push_back(Node{std::move(step.key), element, kNone, {}});
    }
    node = child;
  }
  if (nodes_[node].path == kNone) nodes_[node].path = count_++;
  return nodes_[node].path;
}

uint32_t BodyPaths::child_of(uint32_t node, std::string_view key, uint32_t element) const {
  const auto& children = nodes_[node].children;
  auto before = [&](uint32_t child) {
    const Node& c = nodes_[child];
    return c.element != element ? c.element < element : std::string_view(c.key) < key;
  };
  auto found = std::ranges::partition_point(children, before);
  if (found == children.end() || nodes_[*found].element != element || nodes_[*found].key != key) return kNone;
  return *found;
}

size_t BodyPaths::memory_bytes() const {
  size_t total = nodes_.capacity() * sizeof(Node);
  for (const Node& node : nodes_)
    total +=
        node.children.capacity() * sizeof(uint32_t) + (node.key.size() > 15 ? node.key.capacity() + 1 : 0);
  return total;
}

/// The handler of one pass. Every callback returns true: only the end of the bytes or an error stops the
/// parser, because a repeated name may still come.
class BodyReader {
 public:
  static constexpr size_t max_object_size = SIZE_MAX;
  static constexpr size_t max_array_size = SIZE_MAX;
  static constexpr size_t max_key_size = SIZE_MAX;
  static constexpr size_t max_string_size = SIZE_MAX;
  using Error = boost::json::error_code;
  using Text = boost::json::string_view;

  explicit BodyReader(const BodyPaths& paths)
      : paths_(paths), values_(paths.size()), seen_(paths.nodes_.size()), ambiguous_(paths.size()) {}

  BodyValues take() {
    for (size_t i = 0; i < values_.size(); ++i)
      if (ambiguous_[i]) values_[i].reset();
    return std::move(values_);
  }

  bool on_document_begin(Error&) { return true; }
  bool on_document_end(Error&) { return true; }
  bool on_object_begin(Error&) { return open(false); }
  bool on_object_end(size_t, Error&) { return close(); }
  bool on_array_begin(Error&) { return open(true); }
  bool on_array_end(size_t, Error&) { return close(); }
  bool on_key_part(Text text, size_t, Error&) { return append(text); }
  bool on_key(Text text, size_t, Error&) {
    append(text);
    next_ = child(text_, kNone);
    text_.clear();
    return true;
  }
  bool on_string_part(Text text, size_t, Error&) { return append(text); }
  bool on_string(Text text, size_t, Error&) { return scalar(text); }
  bool on_number_part(Text text, Error&) { return append(text); }
  bool on_int64(int64_t, Text text, Error&) { return scalar(text); }
  bool on_uint64(uint64_t, Text text, Error&) { return scalar(text); }
  bool on_double(double, Text text, Error&) { return scalar(text); }
  bool on_bool(bool value, Error&) { return scalar(value ? "true" : "false"); }
  bool on_null(Error&) { return scalar("null"); }
  bool on_comment_part(Text, Error&) { return true; }
  bool on_comment(Text, Error&) { return true; }

 private:
  static constexpr uint32_t kNone = BodyPaths::kNone;
  struct Level {
    uint32_t node;     // kNone: nothing below is looked for
    uint32_t element;  // the next one of an array; kNone in an object
  };

  bool append(Text text) {
    text_.append(text.data(), text.size());
    return true;
  }
  uint32_t child(std::string_view key, uint32_t element) const {
    uint32_t node = levels_[depth_ - 1].node;
    return node == kNone ? kNone : paths_.child_of(node, key, element);
  }
  /// The node of the value that starts now.
  uint32_t enter() {
    uint32_t node = depth_ == 0 ? 0 : next_;
    if (depth_ > 0 && levels_[depth_ - 1].element != kNone) node = child({}, levels_[depth_ - 1].element++);
    if (node != kNone && seen_[node]++ == 1) mark_ambiguous(node);
    return node;
  }
  void mark_ambiguous(uint32_t node) {
    if (uint32_t path = paths_.nodes_[node].path; path != kNone) ambiguous_[path] = true;
    for (uint32_t below : paths_.nodes_[node].children) mark_ambiguous(below);
  }
  bool open(bool array) {
    uint32_t node = enter();
    levels_[depth_++] = Level{node, array ? 0 : kNone};
    return true;
  }
  bool close() {
    --depth_;
    return true;
  }
  bool scalar(Text text) {
    append(text);
    uint32_t node = enter();
    if (node != kNone && paths_.nodes_[node].path != kNone) values_[paths_.nodes_[node].path] = text_;
    text_.clear();
    return true;
  }

  const BodyPaths& paths_;
  BodyValues values_;
  std::vector<uint8_t> seen_;  // by node: 0, 1, or more (and then no longer of interest)
  std::vector<bool> ambiguous_;
  std::string text_;  // of the key, string or number being read
  uint32_t next_ = kNone;
  size_t depth_ = 0;
  std::array<Level, kMaxJsonDepth + 1> levels_;
};

BodyValues BodyPaths::read(BodyPrefix body) const {
  if (body.bytes.size() > kBodyPrefixBytes) body = {body.bytes.substr(0, kBodyPrefixBytes), false};
  boost::json::parse_options options;
  options.max_depth = kMaxJsonDepth;
  boost::json::basic_parser<BodyReader> parser(options, *this);
  boost::json::error_code error;
  parser.write_some(!body.complete, body.bytes.data(), body.bytes.size(), error);
  return parser.handler().take();
}

}  // namespace sluice::gateway
