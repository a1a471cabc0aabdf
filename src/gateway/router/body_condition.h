// Looks up scalars in the first bytes of a JSON body, for routes that match on it: `$.a.b[0]`, `$["a b"]`,
// `$`.
//
// The bytes may be cut off anywhere, and may not be JSON at all: what was read whole before the cut or the
// first error counts, the rest is absent. Nesting beyond kMaxJsonDepth counts as an error.
//
// Security. Where a member's name occurs twice in an object, parsers disagree on which one counts, so the
// gateway and the upstream could see different documents. A path that leads through or to a repeated name is
// therefore absent: no condition on it holds. What lies beyond the prefix is unknown, so a client can always
// make a body condition fail, by white space alone. A route chosen by body must hence never be stricter than
// the route that takes its place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/router/request_view.h"

namespace sluice::gateway {

inline constexpr size_t kMaxJsonDepth = 64;

/// What was found, by path number. A string is its decoded text; a number its text as written; true, false,
/// null.
using BodyValues = std::vector<std::optional<std::string>>;

/// A set of paths that are looked up in one pass. Immutable once filled.
class BodyPaths {
 public:
  /// The number of the path, the same for equal ones; or what is wrong with it. Static texts.
  std::expected<uint32_t, std::string_view> add(std::string_view path);
  size_t size() const { return count_; }
  size_t memory_bytes() const;

  BodyValues read(BodyPrefix body) const;

 private:
  friend class BodyReader;
  static constexpr uint32_t kNone = UINT32_MAX;
  struct Node {
    std::string key;           // of a member
    uint32_t element = kNone;  // of an array; kNone: a member
    uint32_t path = kNone;     // the number of the path that ends here
    std::vector<uint32_t> children;
  };
  uint32_t child_of(uint32_t node, std::string_view key, uint32_t element) const;

  std::vector<Node> nodes_{1};
  uint32_t count_ = 0;
};

}  // namespace sluice::gateway
