#include "policies/transform/grpc_web/grpc_web.h"

#include <optional>

#include "gateway/exchange.h"
#include "http/grpc_status.h"
#include "http/syntax.h"
#include "policies/transform/grpc_web/web_body.h"

namespace sluice::policies {

namespace {

using http::FieldName;

constexpr std::string_view kBinary = "application/grpc-web";
constexpr std::string_view kText = "application/grpc-web-text";

struct WebType {
  bool text = false;
  std::string_view format;  // "+proto" with what follows; empty: none
};

std::optional<WebType> parse_web_type(std::string_view value) {
  bool text = ascii::equal_ignoring_case(value.substr(0, kText.size()), kText);
  if (!text && !ascii::equal_ignoring_case(value.substr(0, kBinary.size()), kBinary)) return std::nullopt;
  WebType type{text, value.substr(text ? kText.size() : kBinary.size())};
  if (!type.format.empty() && std::string_view("+; ").find(type.format.front()) == std::string_view::npos)
    return std::nullopt;
  return type;
}

/// Whether the answer is to be text: as the caller accepts, else as it asked.
bool wants_text(const http::Fields& fields, bool asked_in_text) {
  std::optional<bool> accepted;
  for (const http::Field& field : fields) {
    if (field.id != FieldName::kAccept) continue;
    http::for_each_element(field.value, [&](std::string_view element) {
      auto type = parse_web_type(element);
      if (type && !accepted) accepted = type->text;
    });
  }
  return accepted.value_or(asked_in_text);
}

}  // namespace

struct GrpcWeb::Call {
  WebType type;
  bool answers_text = false;
  std::optional<Base64Body> request;
  std::optional<WebAnswer> answer;
};

const config::Struct<GrpcWebConfig>& GrpcWebConfig::schema() {
  static const auto schema = config::Struct<GrpcWebConfig>("grpc_web", "Takes calls of gRPC-Web as gRPC.");
  return schema;
}

const gateway::PolicyType& GrpcWeb::type() {
  static const gateway::PolicyType type{
      .name = "grpc_web",
      .schema = &GrpcWebConfig::schema(),
      .build = [](const void*, const gateway::PolicyContext&)
          -> std::expected<std::shared_ptr<const gateway::Policy>, std::string> {
        return std::make_shared<const GrpcWeb>();
      },
  };
  return type;
}

gateway::Step GrpcWeb::on_request(gateway::Exchange& exchange) const {
  http::Request& request = exchange.request;
  auto type = parse_web_type(request.fields.value(FieldName::kContentType));
  if (!type || request.method != http::Method::kPost) return gateway::Step::next();
  auto call = new Call{.type = *type, .request = {}, .answer = {}};  // `on_end` deletes it
  exchange.state<CallPointer>() = exchange.arena.make<CallPointer>(call);
  call->answers_text = wants_text(request.fields, type->text);
  if (type->text && exchange.request_body) {
    exchange.request_body = &call->request.emplace(*exchange.request_body);
    request.body = http::BodyLength::unknown();
  }
  request.fields.set(FieldName::kContentType, exchange.arena.concat("application/grpc", type->format));
  exchange.server.te_trailers = true;
  return gateway::Step::next();
}

void GrpcWeb::on_response(gateway::Exchange& exchange) const {
  const CallPointer* pointer = exchange.state<CallPointer>();
  if (!pointer) return;
  Call& call = *pointer->call;
  http::Response& response = exchange.response;
  bool is_grpc =
      response.status == 200 && http::is_grpc_content_type(response.fields.value(FieldName::kContentType));
  if (exchange.refusal() || !is_grpc) answer_refusal(exchange);

  // The status goes into the body also when it stood in the head: a browser's script may read a body, and of
  // the head only what CORS exposes.
  auto* head = exchange.arena.make<http::Fields>(exchange.arena);
  for (const http::Field& field : response.fields)
    if (is_status_field(field.name)) head->add(field);
  response.fields.remove_if([](const http::Field& field) { return is_status_field(field.name); });
  std::string_view type = call.answers_text ? kText : kBinary;
  std::string_view format = call.type.format.starts_with('+') ? call.type.format : std::string_view();
  response.fields.set(FieldName::kContentType, exchange.arena.concat(type, format));
  response.fields.remove("trailer");
  call.answer.emplace(exchange.response_body.stream, *head, call.answers_text);
  response.body = http::BodyLength::unknown();
  exchange.response_body = http::Body::of(*call.answer);
}

/// A refusal of ours, or of a proxy before the service, as the end of a call.
void GrpcWeb::answer_refusal(gateway::Exchange& exchange) {
  http::Response& response = exchange.response;
  const gateway::Refusal* refusal = exchange.refusal();
  http::GrpcStatus status =
      refusal ? http::grpc_status_of_http(response.status) : http::grpc_status_of_foreign(response.status);
  response.fields.set("grpc-status", http::grpc_status_text(status));
  exchange.grpc_status = status;
  if (refusal)
    response.fields.set("grpc-message", http::encode_grpc_message(refusal->detail, exchange.arena));
  response.status = 200;
  response.reason = {};
  exchange.response_body = http::Body::none();
}

void GrpcWeb::on_end(const gateway::Exchange& exchange) const noexcept {
  if (const auto* pointer = exchange.state<CallPointer>()) delete pointer->call;
}

}  // namespace sluice::policies
