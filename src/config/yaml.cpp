// The seam to libyaml: its events become our tree.
#include <yaml.h>

#include "config/diagnostics.h"
#include "config/node.h"

namespace sluice::config {

namespace {

constexpr std::string_view kStringTag = "tag:yaml.org,2002:str";
constexpr uint32_t kMembersComparedPairwise = 12;

std::string_view view(const yaml_char_t* text) {
  return text ? std::string_view(reinterpret_cast<const char*>(text)) : std::string_view();
}

/// The place of a byte, for errors of which libyaml knows only that.
Position place_of_byte(std::string_view text, size_t offset, uint32_t file) {
  Position at{file, 1, 1};
  for (char c : text.substr(0, offset)) {
    if (c == '\n') {
      ++at.line;
      at.column = 1;
    } else if ((c & 0xc0) != 0x80) {
      ++at.column;
    }
  }
  return at;
}

class Builder {
 public:
  Builder(std::string_view text, uint32_t file, Arena& arena, Diagnostics& diagnostics,
          const TreeLimits& limits)
      : text_(text), file_(file), arena_(arena), diagnostics_(diagnostics), limits_(limits) {
    yaml_parser_initialize(&parser_);
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  }
  Builder(const Builder&) = delete;
  Builder& operator=(const Builder&) = delete;
  ~Builder() { yaml_parser_delete(&parser_); }

  Node* build() {
    for (bool more = true; more;) {
      yaml_event_t event;
      if (!yaml_parser_parse(&parser_, &event)) {
        report_syntax_error();
        return nullptr;
      }
      const bool good = take(event);
      more = event.type != YAML_STREAM_END_EVENT;
      yaml_event_delete(&event);
      if (!good) return nullptr;
    }
    if (!root_) {
      root_ = arena_.make<Node>();
      root_->at = {file_, 1, 1};
    }
    return root_;
  }

 private:
  struct OpenNode {
    Node node;
    std::string_view anchor;
    size_t first_child;  // in `finished_`
  };

  bool take(const yaml_event_t& event) {
    switch (event.type) {
      case YAML_DOCUMENT_START_EVENT:
        if (root_)
          return fail(place(event), "several-documents",
                      "a file holds one document; this starts a second one");
        return true;
      case YAML_SCALAR_EVENT:
        return take_scalar(event);
      case YAML_SEQUENCE_START_EVENT:
        return open(event, Node::Kind::kSequence, event.data.sequence_start.anchor,
                    event.data.sequence_start.tag,
                    event.data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE);
      case YAML_MAPPING_START_EVENT:
        return open(event, Node::Kind::kMapping, event.data.mapping_start.anchor,
                    event.data.mapping_start.tag, event.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE);
      case YAML_SEQUENCE_END_EVENT:
      case YAML_MAPPING_END_EVENT:
        return close(event);
      case YAML_ALIAS_EVENT:
        return take_alias(event);
      default:
        return true;
    }
  }

  bool take_scalar(const yaml_event_t& event) {
    const auto& scalar = event.data.scalar;
    Node node;
    node.at = place(event);
    if (event.start_mark.line == event.end_mark.line)
      node.end_column = static_cast<uint32_t>(event.end_mark.column + 1);
    node.quoted = scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (scalar.tag && scalar.plain_implicit == 0) {
      if (view(scalar.tag) != kStringTag && view(scalar.tag) != "!") return refuse_tag(node.at, scalar.tag);
      node.quoted = true;
    }
    node.text = arena_.copy({reinterpret_cast<const char*>(scalar.value), scalar.length});
    return count(1, node.at) && finish(node, keep(scalar.anchor));
  }

  bool take_alias(const yaml_event_t& event) {
    const std::string_view name = view(event.data.alias.anchor);
    const Position at = place(event);
    auto found = anchors_.find(name);
    if (found == anchors_.end())
      return fail(at, "unknown-alias", "there is no finished `&" + std::string(name) + "` before this alias");
    const Node& node = found->second;
    if (open_.size() + node.height + 1 > limits_.depth) return too_deep(at);
    return count(node.size, at) && finish(node, {});
  }

  bool open(const yaml_event_t& event, Node::Kind kind, const yaml_char_t* anchor, const yaml_char_t* tag,
            bool flow) {
    OpenNode opened;
    opened.node.kind = kind;
    opened.node.quoted = flow;  // until it closes: tells whether the end's place means anything
    opened.node.at = place(event);
    opened.anchor = keep(anchor);
    opened.first_child = finished_.size();
    if (tag) return refuse_tag(opened.node.at, tag);
    if (open_.size() + 1 >= limits_.depth) return too_deep(opened.node.at);
    open_.push_back(opened);
    return count(1, opened.node.at);
  }

  bool close(const yaml_event_t& event) {
    OpenNode opened = open_.back();
    open_.pop_back();
    Node& node = opened.node;
    const size_t children = finished_.size() - opened.first_child;
    node.count = static_cast<uint32_t>(node.is_mapping() ? children / 2 : children);
    if (node.quoted && event.end_mark.line + 1 == node.at.line)
      node.end_column = static_cast<uint32_t>(event.end_mark.column + 1);
    node.quoted = false;
    std::span<Node> kept = arena_.allocate_array<Node>(children);
    for (size_t i = 0; i < children; ++i) {
      const Node& child = kept[i] = finished_[opened.first_child + i];
      node.size += child.size;
      node.height = std::max(node.height, static_cast<uint16_t>(child.height + 1));
    }
    node.children = kept.data();
    finished_.resize(opened.first_child);
    if (node.is_mapping()) check_keys(node);
    return finish(node, opened.anchor);
  }

  bool finish(const Node& node, std::string_view anchor) {
    if (!anchor.empty()) anchors_[anchor] = node;
    if (open_.empty())
      root_ = arena_.make<Node>(node);
    else
      finished_.push_back(node);
    return true;
  }

  void check_keys(const Node& mapping) {
    for (uint32_t i = 0; i < mapping.count; ++i)
      if (!mapping.key(i).is_scalar())
        diagnostics_.error(mapping.key(i), "key-not-scalar",
                           "a key must be a string, not " + describe(mapping.key(i)));
    if (mapping.count <= kMembersComparedPairwise) {
      for (uint32_t i = 1; i < mapping.count; ++i)
        for (uint32_t j = 0; j < i; ++j)
          if (mapping.key(i).text == mapping.key(j).text && report_duplicate(mapping, i, j)) break;
      return;
    }
    std::unordered_map<std::string_view, uint32_t> seen;
    seen.reserve(mapping.count);
    for (uint32_t i = 0; i < mapping.count; ++i)
      if (auto [first, added] = seen.emplace(mapping.key(i).text, i); !added)
        report_duplicate(mapping, i, first->second);
  }

  bool report_duplicate(const Node& mapping, uint32_t again, uint32_t first) {
    const Node& key = mapping.key(again);
    if (!key.is_scalar() || !mapping.key(first).is_scalar()) return false;
    diagnostics_.error(key, "duplicate-key",
                       "`" + std::string(key.text) + "` is given twice, first in line " +
                           std::to_string(mapping.key(first).at.line));
    return true;
  }

  bool count(uint64_t nodes, const Position& at) {
    nodes_ += nodes;
    if (nodes_ <= limits_.nodes) return true;
    return fail(
        at, "document-too-large",
        "the document has more than " + std::to_string(limits_.nodes) + " nodes, its aliases expanded");
  }

  bool too_deep(const Position& at) {
    return fail(at, "document-too-deep",
                "the document nests deeper than " + std::to_string(limits_.depth) + " levels");
  }
  bool refuse_tag(const Position& at, const yaml_char_t* tag) {
    return fail(at, "tag", "tags such as `" + std::string(view(tag)) + "` are not supported");
  }
  bool fail(const Position& at, std::string_view rule, std::string message) {
    diagnostics_.error(at, rule, std::move(message));
    return false;
  }

  void report_syntax_error() {
    std::string message = parser_.problem ? parser_.problem : "the document cannot be read";
    if (parser_.error == YAML_READER_ERROR) {
      fail(place_of_byte(text_, parser_.problem_offset, file_), "encoding",
           "not valid UTF-8 text: " + message);
      return;
    }
    if (parser_.context) message += " (" + std::string(parser_.context) + ")";
    fail(place(parser_.problem_mark), "syntax", std::move(message));
  }

  Position place(const yaml_mark_t& mark) const {
    return {file_, static_cast<uint32_t>(mark.line + 1), static_cast<uint32_t>(mark.column + 1)};
  }
  Position place(const yaml_event_t& event) const { return place(event.start_mark); }
  std::string_view keep(const yaml_char_t* anchor) { return arena_.copy(view(anchor)); }

  std::string_view text_;
  uint32_t file_;
  Arena& arena_;
  Diagnostics& diagnostics_;
  const TreeLimits& limits_;
  yaml_parser_t parser_{};
  Node* root_ = nullptr;
  std::vector<OpenNode> open_;
  std::vector<Node> finished_;  // children of the open nodes, innermost last
  std::unordered_map<std::string_view, Node> anchors_;
  uint64_t nodes_ = 0;
};

}  // namespace

Node* parse_yaml(std::string_view text, uint32_t file, Arena& arena, Diagnostics& diagnostics,
                 const TreeLimits& limits) {
  if (text.size() > limits.bytes) {
    diagnostics.error(Position{file, 0, 0}, "document-too-large",
                      "the document is larger than " + std::to_string(limits.bytes) + " bytes");
    return nullptr;
  }
  return Builder(text, file, arena, diagnostics, limits).build();
}

}  // namespace sluice::config
