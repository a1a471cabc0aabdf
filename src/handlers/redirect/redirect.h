// The handler of routes with `redirect`: another place, made from the path's parameters.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <vector>

#include "config/document.h"
#include "gateway/handler.h"
#include "gateway/path_template.h"

namespace sluice::handlers {

class Redirect final : public gateway::Handler {
 public:
  /// The error is a sentence: `to` names a parameter that the path has not. `parameters` are the path's, in
  /// order.
  static std::expected<std::unique_ptr<Redirect>, std::string> make(
      const config::Redirect& configured, const std::vector<std::string>& parameters);
  io::Task<> handle(gateway::Exchange& exchange) const override;

 private:
  gateway::PathTemplate to_;
  uint16_t status_ = 302;
  bool takes_query_ = true;  // `to` has none of its own: the request's goes along
};

}  // namespace sluice::handlers
