#include "gateway/stream/stream_plan.h"

namespace sluice::gateway {

void StreamRoutes::add(std::string_view name, std::shared_ptr<const StreamPlan> plan) {
  if (name.starts_with("*."))
    suffixes_.emplace(name.substr(2), std::move(plan));
  else if (!name.empty())
    exact_.emplace(name, std::move(plan));
  else
    rest_ = std::move(plan);
  without_look_ = exact_.empty() && suffixes_.empty() && rest_ && !rest_->tls ? rest_ : nullptr;
}

std::shared_ptr<const StreamPlan> StreamRoutes::find(std::string_view server_name) const {
  auto exact = exact_.find(server_name);
  if (exact != exact_.end()) return exact->second;
  for (size_t dot = server_name.find('.'); dot != std::string_view::npos;
       dot = server_name.find('.', dot + 1)) {
    auto suffix = suffixes_.find(server_name.substr(dot + 1));
    if (suffix != suffixes_.end()) return suffix->second;
  }
  return rest_;
}

}  // namespace sluice::gateway
