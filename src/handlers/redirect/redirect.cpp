#include "handlers/redirect/redirect.h"

#include "gateway/exchange.h"

namespace sluice::handlers {

std::expected<std::unique_ptr<Redirect>, std::string> Redirect::make(
    const config::Redirect& configured, const std::vector<std::string>& parameters) {
  auto redirect = std::make_unique<Redirect>();
  redirect->status_ = configured.status;
  redirect->takes_query_ = configured.to.find('?') == std::string::npos;
  auto to = gateway::PathTemplate::parse(configured.to);
  if (!to) return std::unexpected("`to`: " + to.error());
  std::string_view missing = to->missing_from(parameters);
  if (!missing.empty())
    return std::unexpected("`to` names `{" + std::string(missing) + "}`, which the route's path has not");
  redirect->to_ = std::move(*to);
  return redirect;
}

io::Task<> Redirect::handle(gateway::Exchange& exchange) const {
  std::string_view query;
  if (takes_query_ && exchange.request.has_query) query = exchange.arena.concat("?", exchange.request.query);
  exchange.response.status = status_;
  exchange.response.fields.add(http::FieldName::kLocation, to_.fill(exchange, query));
  exchange.response.body = http::BodyLength::none();
  co_await exchange.respond();
}

}  // namespace sluice::handlers
