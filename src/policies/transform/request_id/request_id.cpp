#include "policies/transform/request_id/request_id.h"

#include "gateway/exchange.h"

namespace sluice::policies {

namespace {
using http::FieldName;
/// A longer one is not taken over: it is copied into logs and messages.
constexpr size_t kLongestId = 128;
}  // namespace

const config::Struct<RequestIdConfig>& RequestIdConfig::schema() {
  static const auto schema = config::Struct<RequestIdConfig>(
      "request_id",
      "Gives each request an id, sent to the upstream and back to the client as `X-Request-Id`.");
  return schema;
}

gateway::Step RequestId::on_request(gateway::Exchange& exchange) const {
  http::Fields& fields = exchange.request.fields;
  std::string_view received = fields.value(FieldName::kXRequestId);
  if (!received.empty()) {
    bool usable = received.size() <= kLongestId && fields.count(FieldName::kXRequestId) == 1;
    if (exchange.peer_trusted() && usable)
      exchange.set_request_id(received);
    else
      exchange.client_request_id = received;
  }
  fields.set(FieldName::kXRequestId, exchange.request_id());
  return gateway::Step::next();
}

void RequestId::on_response(gateway::Exchange& exchange) const {
  exchange.response.fields.set(FieldName::kXRequestId, exchange.request_id());
}

const gateway::PolicyType& RequestId::type() {
  static const gateway::PolicyType type{
      .name = "request_id",
      .schema = &RequestIdConfig::schema(),
      .build = [](const void*, const gateway::PolicyContext&)
          -> std::expected<std::shared_ptr<const gateway::Policy>, std::string> {
        return std::make_shared<const RequestId>();
      },
  };
  return type;
}

}  // namespace sluice::policies
