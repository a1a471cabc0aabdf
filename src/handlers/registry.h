// The table of handlers: which one a route's configuration asks for.
#pragma once

#include "gateway/handler_types.h"

namespace sluice::handlers {

class Registry final : public gateway::HandlerTypes {
 public:
  std::expected<std::unique_ptr<const gateway::Handler>, std::string> build(
      const gateway::RouteAction& action) const override;
};

}  // namespace sluice::handlers
