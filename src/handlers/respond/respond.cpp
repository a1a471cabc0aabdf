#include "handlers/respond/respond.h"

#include "gateway/exchange.h"

namespace sluice::handlers {

Respond::Respond(const config::Respond& configured)
    : status_(configured.status), fields_(configured.headers), body_(configured.body) {}

io::Task<> Respond::handle(gateway::Exchange& exchange) const {
  exchange.response.status = status_;
  for (const auto& [name, value] : fields_) exchange.response.fields.add(name, value);
  exchange.response.body = http::BodyLength::known(body_.size());
  exchange.response_body = http::Body::of(body_);
  co_await exchange.respond();
}

}  // namespace sluice::handlers
