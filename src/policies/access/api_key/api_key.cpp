#include "policies/access/api_key/api_key.h"

#include "gateway/exchange.h"
#include "http/cookie.h"
#include "http/query.h"
#include "http/syntax.h"

namespace sluice::policies {

namespace {

using gateway::Exchange;
using gateway::Refusal;
using gateway::Step;

constexpr Refusal kMissing{401, "missing_credential", "This request needs an API key."};
constexpr Refusal kInvalid{401, "invalid_credential", "The API key is not valid."};
constexpr Refusal kRepeated{401, "repeated_credential", "The request has more than one API key."};

Step refuse(Exchange& exchange, const Refusal& refusal) {
  Step step = exchange.refuse(refusal);
  // A 401 has a challenge (RFC 9110, section 15.5.2); no scheme is registered for API keys.
  exchange.response.fields.add(http::FieldName::kWwwAuthenticate, "ApiKey");
  return step;
}

/// What follows `part`, a piece of `whole`.
std::string_view behind(std::string_view whole, std::string_view part) {
  return whole.substr(static_cast<size_t>(part.data() + part.size() - whole.data()));
}

}  // namespace

const config::Struct<ApiKeyConfig>& ApiKeyConfig::schema() {
  static const auto schema =
      config::Struct<ApiKeyConfig>("api_key", "Says who is calling, by a key that a consumer was given.")
          .field("in", &ApiKeyConfig::in, "Where the key stands.")
          .field("name", &ApiKeyConfig::name, "The name of the header field, query parameter or cookie.")
          .field("hide", &ApiKeyConfig::hide, "Keep the key from the upstream.")
          .check([](const ApiKeyConfig& config, const config::Node& node, config::Reader& reader) {
            bool token = config.in == KeyPlace::kQuery ? !config.name.empty() : http::is_token(config.name);
            if (!token) reader.error(node, "invalid-name", "`name` is not a name that can stand there");
          });
  return schema;
}

ApiKey::ApiKey(const ApiKeyConfig& configured, const gateway::PolicyContext& context)
    : place_(configured.in),
      hides_(configured.hide),
      name_(configured.name),
      field_(http::intern_field_name(name_)),
      hasher_(context.services.hasher),
      credentials_(context.services.credentials) {}

Step ApiKey::on_request(Exchange& exchange) const {
  std::string_view key;
  switch (place_) {
    case KeyPlace::kHeader: {
      const http::Fields& fields = exchange.request.fields;
      const http::Field* field = fields.find(field_, name_);
      if (!field) break;
      if (fields.find(field_, name_, field)) return refuse(exchange, kRepeated);
      key = field->value;
      break;
    }
    case KeyPlace::kQuery: {
      std::string_view query = exchange.request.query;
      auto raw = http::find_query_parameter(query, name_);
      if (!raw || raw->empty()) break;
      if (http::find_query_parameter(behind(query, *raw), name_)) return refuse(exchange, kRepeated);
      key = http::decode_query_text(*raw, exchange.arena);
      break;
    }
    case KeyPlace::kCookie:
      for (const http::Field& field : exchange.request.fields) {
        if (field.id != http::FieldName::kCookie) continue;
        auto value = http::find_cookie(field.value, name_);
        if (!value || value->empty()) continue;
        bool again = !key.empty() || http::find_cookie(behind(field.value, *value), name_);
        if (again) return refuse(exchange, kRepeated);
        key = *value;
      }
      break;
  }
  if (key.empty()) return refuse(exchange, kMissing);
  const store::Credential* credential = credentials_.find(hasher_(key));
  if (!credential) return refuse(exchange, kInvalid);
  if (hides_) hide(exchange);
  exchange.identity =
      exchange.arena.make<store::Identity>(store::Identity::copy(*credential, exchange.arena));
  return Step::next();
}

void ApiKey::hide(Exchange& exchange) const {
  http::Request& request = exchange.request;
  switch (place_) {
    case KeyPlace::kHeader:
      exchange.hide_field(field_, name_);  // later policies may still look at it
      break;
    case KeyPlace::kQuery:
      request.query = http::remove_query_parameter(request.query, name_, exchange.arena);
      request.has_query = !request.query.empty();
      break;
    case KeyPlace::kCookie:
      http::remove_cookie(request.fields, name_);
      break;
  }
}

const gateway::PolicyType& ApiKey::type() {
  static const gateway::PolicyType type{
      .name = "api_key",
      .schema = &ApiKeyConfig::schema(),
      .build = [](const void* config, const gateway::PolicyContext& context)
          -> std::expected<std::shared_ptr<const gateway::Policy>, std::string> {
        return std::make_shared<const ApiKey>(*static_cast<const ApiKeyConfig*>(config), context);
      },
      .decides = true,
      .identifies = true,
  };
  return type;
}

}  // namespace sluice::policies
