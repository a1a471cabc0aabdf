// Compiles routes into an ApiRouter. Inner header of this folder.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "gateway/router/api_router.h"
#include "gateway/router/path_pattern.h"
#include "gateway/router/tie.h"

namespace sluice::gateway {

class ApiRouterBuilder {
 public:
  ApiRouterBuilder(std::span<const RouteSpec> routes, bool keep_repeated_slashes)
      : specs_(routes), keep_repeated_slashes_(keep_repeated_slashes), ties_(routes.size()) {}
  ApiRouter::Built build();

 private:
  using Candidate = ApiRouter::Candidate;
  /// A route at one end of a path, before its place among the others there is known.
  struct Placed {
    uint64_t end = 0;  // twice the node, plus one for the rest
    size_t conditions = 0;
    MethodTier tier = MethodTier::kAny;
    int32_t priority = 0;
    Candidate candidate;
  };

  void add_route(uint32_t route);
  bool add_methods(uint32_t route, Candidate& candidate);
  bool add_conditions(uint32_t route, Candidate& candidate);
  bool add_condition(uint32_t route, const ConditionSpec& spec);
  void add_parameter_names(const PathPattern& pattern, uint32_t route);
  void place(const PathPattern& pattern, const Candidate& candidate);
  uint32_t descend(uint32_t node, const PatternSegment& segment);
  uint32_t new_node(std::string_view text);
  uint32_t add_text(std::string_view text);
  void settle_head();
  void settle_order();
  void find_ties(std::span<const Placed> equals);
  void fail(BuildError::Kind kind, uint32_t route, std::string_view problem);

  std::span<const RouteSpec> specs_;
  bool keep_repeated_slashes_;
  std::shared_ptr<ApiRouter> router_ = std::make_shared<ApiRouter>();
  std::vector<Placed> placed_;
  TieFinder ties_;
  std::vector<BuildError> errors_;
};

}  // namespace sluice::gateway
