// The path of a google.api.http binding, such as "/v1/{name=shelves/*/books/*}:archive": what the router is
// given for it, and the values of its variables in a path that fits (google/api/http.proto, "Path template
// syntax").
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "base/arena.h"

namespace sluice::policies::grpc {

class HttpTemplate {
 public:
  struct Variable {
    static constexpr uint16_t kToTheEnd = UINT16_MAX;
    std::string field_path;  // "book.name"
    uint16_t first = 0;      // segments of the path, from 0
    uint16_t end = 0;        // one behind the last, or kToTheEnd
    bool one_segment = true;
  };

  /// The error is the end of a sentence that starts with the path: "must start with `/`".
  static std::expected<HttpTemplate, std::string> parse(std::string_view text);

  /// As routes are written: each wildcard is a parameter.
  const std::string& route_path() const { return route_path_; }
  /// What a path must end in besides; empty: nothing. With its colon.
  const std::string& suffix() const { return suffix_; }
  const std::vector<Variable>& variables() const { return variables_; }

  /// What a variable holds in `path`, which fits and is below the API's own, decoded; a variable of several
  /// segments keeps its "%2F". A view of `path` when nothing is decoded.
  std::string_view value(const Variable& variable, std::string_view path, Arena& arena) const;

 private:
  class Parser;
  std::string route_path_;
  std::string suffix_;
  std::vector<Variable> variables_;
};

}  // namespace sluice::policies::grpc
