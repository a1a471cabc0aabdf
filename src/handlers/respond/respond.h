// The handler of routes with `respond`: a fixed answer.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "config/document.h"
#include "gateway/handler.h"

namespace sluice::handlers {

class Respond final : public gateway::Handler {
 public:
  explicit Respond(const config::Respond& configured);
  io::Task<> handle(gateway::Exchange& exchange) const override;

 private:
  uint16_t status_;
  std::vector<std::pair<std::string, std::string>> fields_;
  std::string body_;
};

}  // namespace sluice::handlers
