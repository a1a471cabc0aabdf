#include "handlers/redirect/redirect.h"

#include <algorithm>

#include "gateway/exchange.h"

namespace sluice::handlers {

std::expected<std::unique_ptr<Redirect>, std::string> Redirect::make(
    const config::Redirect& configured, const std::vector<std::string>& parameters) {
  auto redirect = std::make_unique<Redirect>();
  redirect->status_ = configured.status;
  redirect->takes_query_ = configured.to.find('?') == std::string::npos;
  std::string_view rest = configured.to;
  while (!rest.empty()) {
    Part part;
    size_t open = rest.find('{');
    part.literal = rest.substr(0, open);
    if (open == std::string_view::npos) {
      redirect->parts_.push_back(std::move(part));
      break;
    }
    size_t close = rest.find('}', open);
    if (close == std::string_view::npos) return std::unexpected("`to` has a `{` without its `}`");
    std::string_view name = rest.substr(open + 1, close - open - 1);
    auto found = std::find(parameters.begin(), parameters.end(), name);
    if (found == parameters.end())
      return std::unexpected("`to` names `{" + std::string(name) + "}`, which the route's path has not");
    part.parameter = static_cast<int>(found - parameters.begin());
    redirect->parts_.push_back(std::move(part));
    rest.remove_prefix(close + 1);
  }
  return redirect;
}

io::Task<> Redirect::handle(gateway::Exchange& exchange) const {
  size_t size = exchange.request.query.size() + 1;
  for (const Part& part : parts_) {
    size += part.literal.size();
    if (part.parameter >= 0) size += exchange.match.parameter(static_cast<size_t>(part.parameter)).size();
  }
  char* location = exchange.arena.allocate_chars(size);
  char* at = location;
  auto append = [&](std::string_view text) { at = std::copy(text.begin(), text.end(), at); };
  for (const Part& part : parts_) {
    append(part.literal);
    if (part.parameter >= 0) append(exchange.match.parameter(static_cast<size_t>(part.parameter)));
  }
  if (takes_query_ && exchange.request.has_query) {
    append("?");
    append(exchange.request.query);
  }
  exchange.response.status = status_;
  exchange.response.fields.add(http::FieldName::kLocation, {location, static_cast<size_t>(at - location)});
  exchange.response.body = http::BodyLength::none();
  co_await exchange.respond();
}

}  // namespace sluice::handlers
