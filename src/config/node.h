// A configuration document as a tree: scalars, sequences and mappings, each with the place where it was
// written. Nodes live in an arena and are plain values, so that a document of a few megabytes costs little.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "base/arena.h"

namespace sluice::config {

/// A place in a source; lines and columns count from 1, columns in characters. Line 0: nowhere.
struct Position {
  uint32_t file = 0;  // number of the source in `Sources`
  uint32_t line = 0;
  uint32_t column = 0;

  bool known() const { return line != 0; }
  friend bool operator==(const Position&, const Position&) = default;
};
/// Where an entity was written; kept for status, quarantine and later diagnostics.
using Origin = Position;

struct Node {
  enum class Kind : uint8_t { kScalar, kSequence, kMapping };

  Kind kind = Kind::kScalar;
  bool quoted = false;      // a scalar in quotes or a block scalar: always a string
  bool resolved = false;    // a `${...}` was replaced: any scalar type, and its text is never shown
  uint16_t height = 0;      // levels below this one
  uint32_t count = 0;       // items, or members
  uint32_t end_column = 0;  // one behind the last character when that is on the same line, else 0
  uint64_t size = 1;        // nodes in this subtree, aliases expanded
  Position at;
  std::string_view text;     // scalars
  Node* children = nullptr;  // items; in a mapping keys and values take turns

  bool is_scalar() const { return kind == Kind::kScalar; }
  bool is_sequence() const { return kind == Kind::kSequence; }
  bool is_mapping() const { return kind == Kind::kMapping; }

  std::span<const Node> items() const { return {children, is_sequence() ? count : 0}; }
  uint32_t member_count() const { return is_mapping() ? count : 0; }
  const Node& key(uint32_t i) const { return children[2 * i]; }
  const Node& value(uint32_t i) const { return children[2 * i + 1]; }
  /// The value of a member, or nullptr.
  const Node* find(std::string_view key) const;
};

/// What a plain scalar is in YAML's core schema (YAML 1.2.2, section 10.3): `yes` and `on` are strings.
enum class ScalarKind : uint8_t { kNull, kBoolean, kInteger, kNumber, kString };
ScalarKind scalar_kind(const Node& node);

/// For messages: "a list", "the number 5", "the string `abc`", "nothing".
std::string describe(const Node& node);

class Diagnostics;

/// Bounds on one document.
struct TreeLimits {
  size_t bytes = size_t{64} << 20;
  uint32_t depth = 64;
  uint64_t nodes = 20'000'000;  // aliases expanded
};

/// Reads YAML 1.2 (so JSON too). Syntax errors, duplicate keys and exceeded bounds go to `diagnostics`;
/// nullptr when nothing can be done with the document. The tree lives in `arena` and does not refer to
/// `text`.
Node* parse_yaml(std::string_view text, uint32_t file, Arena& arena, Diagnostics& diagnostics,
                 const TreeLimits& limits = {});

}  // namespace sluice::config
