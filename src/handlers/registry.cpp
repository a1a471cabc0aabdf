#include "handlers/registry.h"

#include "handlers/proxy/proxy.h"
#include "handlers/redirect/redirect.h"
#include "handlers/respond/respond.h"

namespace sluice::handlers {

std::expected<std::unique_ptr<const gateway::Handler>, std::string> Registry::build(
    const gateway::RouteAction& action) const {
  if (action.route && action.route->respond) return std::make_unique<Respond>(*action.route->respond);
  if (action.route && action.route->redirect) {
    auto redirect = Redirect::make(*action.route->redirect, action.parameters);
    if (!redirect) return std::unexpected(redirect.error());
    return std::move(*redirect);
  }
  if (action.upstreams.empty())
    return std::unexpected(
        "there is no `upstream`, `split`, `respond` or `redirect`, neither here nor on the API");
  return std::make_unique<Proxy>(action);
}

}  // namespace sluice::handlers
