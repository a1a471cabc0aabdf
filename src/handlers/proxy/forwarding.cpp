#include "handlers/proxy/forwarding.h"

namespace sluice::handlers {

namespace {

using http::FieldName;

/// RFC 9110, section 7.6.3: the protocol version of the message as we received it, and our pseudonym.
std::string_view via_element(http::Version received) {
  switch (received) {
    case http::Version::kHttp10:
      return "1.0 sluice";
    case http::Version::kHttp11:
      return "1.1 sluice";
    case http::Version::kHttp2:
      return "2.0 sluice";
  }
  return "1.1 sluice";
}

/// Puts `element` at the end of a list field; several fields of that name become one.
void append_to_list(http::Fields& fields, FieldName name, std::string_view element) {
  if (!fields.has(name)) return fields.add(name, element);
  std::string_view list;
  for (const http::Field& field : fields)
    if (field.id == name && !field.value.empty())
      list = list.empty() ? field.value : fields.arena().concat(list, ", ", field.value);
  fields.set(name, list.empty() ? element : fields.arena().concat(list, ", ", element));
}

}  // namespace

void prepare_request(gateway::Exchange& exchange) {
  http::Request& request = exchange.request;
  http::Fields& fields = request.fields;
  exchange.remove_hidden_fields();

  // An untrusted peer's forwarding fields are gone already: what is there is a trusted proxy's.
  append_to_list(fields, FieldName::kXForwardedFor, exchange.peer_address());
  if (!fields.has(FieldName::kXForwardedProto))
    fields.add(FieldName::kXForwardedProto, exchange.server.security ? "https" : "http");
  if (!fields.has(FieldName::kXForwardedHost) && !request.authority.empty())
    fields.add(FieldName::kXForwardedHost, request.authority);
  append_to_list(fields, FieldName::kVia, via_element(request.version));

  if (const store::Identity* identity = exchange.identity) {
    fields.set(FieldName::kXConsumerId, identity->consumer);
    if (!identity->groups.empty()) fields.set(FieldName::kXConsumerGroups, identity->groups);
  }
}

void prepare_response(gateway::Exchange& exchange, http::Version upstream_version) {
  append_to_list(exchange.response.fields, FieldName::kVia, via_element(upstream_version));
}

std::string_view host_for(const gateway::Exchange& exchange, const gateway::Upstream& upstream,
                          const gateway::Target& target) {
  using Kind = config::UpstreamHost::Kind;
  switch (upstream.host.kind) {
    case Kind::kReceived:
      // HTTP/1.0 may come without one; HTTP/1.1 must not be sent without one (RFC 9112, section 3.2).
      return exchange.request.authority.empty() ? std::string_view(target.authority)
                                                : exchange.request.authority;
    case Kind::kTarget:
      return target.authority;
    case Kind::kLiteral:
      return upstream.host.literal;
  }
  return target.authority;
}

}  // namespace sluice::handlers
