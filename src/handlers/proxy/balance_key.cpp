#include "handlers/proxy/balance_key.h"

#include "base/hash.h"
#include "http/cookie.h"
#include "http/query.h"
#include "store/credentials.h"

namespace sluice::handlers {

namespace {

std::optional<std::string_view> value_of(const gateway::Exchange& exchange, const config::HashKey& key) {
  using Kind = config::HashKey::Kind;
  const http::Request& request = exchange.request;
  switch (key.kind) {
    case Kind::kAddress:
      return exchange.client_address();
    case Kind::kConsumer:
      return exchange.identity ? std::string_view(exchange.identity->consumer) : exchange.client_address();
    case Kind::kHeader: {
      const http::Field* field = request.fields.find(key.name);
      return field ? std::optional(field->value) : std::nullopt;
    }
    case Kind::kCookie:
      return http::find_cookie(request.fields, key.name);
    case Kind::kQuery:
      return http::find_query_parameter(request.query, key.name);
    case Kind::kParameter:
      return exchange.parameter(key.name);
  }
  return std::nullopt;
}

}  // namespace

std::optional<uint64_t> balance_hash(const gateway::Exchange& exchange, const config::HashKey& key) {
  auto value = value_of(exchange, key);
  if (!value || value->empty()) return std::nullopt;
  return hash64(*value);
}

}  // namespace sluice::handlers
