// The routes of one API, compiled: a trie over path segments, at each end the routes of that path in the
// order in which they win. Immutable, shared by every configuration that leaves the API as it was.
//
// Order (contract: "Matching"). Paths are compared segment by segment from the left: a literal beats a
// parameter beats the rest; where one ends, the exact end beats an empty rest. Then more conditions, a named
// method, the priority. A candidate that does not fit in method or conditions gives way to the next, also to
// one of a less specific path.
//
// Bound. A node of the trie is reached from the root in one way only, and at a node of depth d exactly d
// segments are consumed. So one match enters each node at most once and looks at each route at most once,
// whatever the path: linear in the configuration, never exponential in the path. For a path of k segments
// that is also at most 2^k nodes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gateway/router/body_condition.h"
#include "gateway/router/condition.h"
#include "gateway/router/match.h"
#include "gateway/router/request_view.h"
#include "gateway/router/route_spec.h"
#include "gateway/router/segment_table.h"

namespace sluice::gateway {

class ApiRouter {
 public:
  using Built = std::expected<std::shared_ptr<const ApiRouter>, std::vector<BuildError>>;
  /// `keep_repeated_slashes`: the API's `repeated_slash: keep`; otherwise they are merged in the routes'
  /// paths too.
  static Built build(std::span<const RouteSpec> routes, bool keep_repeated_slashes = false);

  /// `prefix_size` bytes of the request's path are the API's. Sets everything of `match` but `api`.
  void match(const RequestView& request, uint32_t prefix_size, const BodyPrefix* body, Match& match) const;
  /// The value of `Allow` for a request that got kMethodNotAllowed: "GET, HEAD, POST".
  std::string allow(const RequestView& request, uint32_t prefix_size, const BodyPrefix* body) const;

  bool keeps_repeated_slashes() const { return keeps_repeated_slashes_; }
  size_t route_count() const { return routes_.size(); }
  /// Names of the parameters of a route, in the order of Match::parameter.
  std::vector<std::string_view> parameter_names(uint32_t route) const;
  /// Bytes on the heap, for tests and metrics.
  size_t memory_bytes() const;

 private:
  friend class ApiRouterBuilder;
  friend class Explainer;
  static constexpr uint32_t kNone = SegmentTable::kNone;

  struct Node {
    uint32_t text = 0;  // in texts_: the segment that leads here
    uint16_t text_size = 0;
    bool has_many_literals = false;  // look in edges_; else `literal` is the only one
    uint32_t literal = kNone;
    uint32_t parameter = kNone;
    uint32_t exact = kNone;  // first candidate of the routes that end here
    uint32_t rest = kNone;   // ... that take the rest from here
  };
  struct Candidate {
    uint32_t route = 0;
    uint32_t conditions = 0;       // first in conditions_
    uint8_t plain_conditions = 0;  // header and query conditions, which come first
    uint8_t body_conditions = 0;
    uint16_t methods = 0;         // bit i: http::Method i; all bits: every method
    uint16_t custom_methods = 0;  // number in custom_methods_ plus one; 0: none
    bool last = false;            // of its path
    bool captures_rest = false;
  };
  struct Route {
    uint32_t names = 0;  // in texts_: parameter names, each behind its size in one byte
    uint8_t parameters = 0;
  };
  class Walk;

  bool takes_method(const Candidate& candidate, const RequestView& request) const;
  bool condition_holds(const Condition& condition, const RequestView& request) const;
  bool condition_holds(const Condition& condition, const BodyValues& values) const;
  bool plain_conditions_hold(const Candidate& candidate, const RequestView& request) const;
  bool body_conditions_hold(const Candidate& candidate, const BodyValues& values) const;
  uint32_t literal_child(uint32_t node, std::string_view segment, uint64_t hash) const;
  template <class Visit>
  void walk(Walk& walk, Visit visit) const;
  void capture(const Candidate& candidate, Walk& walk, uint32_t depth, Match& match) const;
  std::vector<std::string_view> allowed(const RequestView& request, uint32_t prefix_size,
                                        const BodyPrefix* body) const;

  std::vector<Node> nodes_;
  SegmentTable edges_;
  std::vector<Candidate> candidates_;
  std::vector<Condition> conditions_;
  std::vector<std::vector<std::string>> custom_methods_;
  std::vector<Route> routes_;
  std::string texts_;
  BodyPaths body_paths_;
  bool keeps_repeated_slashes_ = false;
};

}  // namespace sluice::gateway
