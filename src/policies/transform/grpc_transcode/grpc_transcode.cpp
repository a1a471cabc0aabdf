#include "policies/transform/grpc_transcode/grpc_transcode.h"

#include <fmt/format.h>

#include <algorithm>

#include "gateway/worker.h"
#include "http/grpc_status.h"
#include "http/syntax.h"
#include "http/transfer_errors.h"
#include "policies/transform/grpc_transcode/call.h"

namespace sluice::policies {

namespace {

using gateway::Refusal;
using gateway::Step;
using http::FieldName;
using telemetry::ErrorBy;

constexpr Refusal kNotJson{415, "unsupported_media_type", "The body must be application/json.",
                           ErrorBy::kClient};
constexpr Refusal kEncoded{415, "unsupported_content_encoding", "The body must not be compressed.",
                           ErrorBy::kClient};
constexpr Refusal kUnexpectedBody{400, "unexpected_body", "This method takes no body.", ErrorBy::kClient};
constexpr Refusal kTooLarge{413, "message_too_large", "The message is larger than allowed.",
                            ErrorBy::kClient};
constexpr Refusal kBadJson{400, "bad_json", "The body is not JSON.", ErrorBy::kClient};
constexpr Refusal kDeepJson{400, "bad_json", "The body's JSON nests too deep.", ErrorBy::kClient};
constexpr Refusal kBadParameter{400, "bad_parameter", {}, ErrorBy::kClient};

/// The media type alone, without parameters.
std::string_view media_type(std::string_view value) { return ascii::trim(value.substr(0, value.find(';'))); }

bool is_type(std::string_view value, std::string_view type) {
  return ascii::equal_ignoring_case(media_type(value), type);
}

bool is_lines(std::string_view value) {
  return is_type(value, "application/x-ndjson") || is_type(value, "application/ndjson") ||
         is_type(value, "application/jsonl");
}

bool accepts_events(const http::Fields& fields) {
  bool found = false;
  for (const http::Field& field : fields)
    if (field.id == FieldName::kAccept)
      http::for_each_element(
          field.value, [&](std::string_view element) { found |= is_type(element, "text/event-stream"); });
  return found;
}

Step refuse_with(gateway::Exchange& exchange, Refusal refusal, std::string_view detail) {
  refusal.detail = exchange.arena.copy(detail);
  return exchange.refuse(refusal);
}

/// Whether the body is one JSON value; `refusal` says what else it is.
bool check_json(std::string_view json, const Refusal*& refusal) {
  using Status = grpc::JsonScanner::Status;
  grpc::JsonScanner scanner;
  size_t used = 0;
  Status status = scanner.scan(json, used);
  if (status == Status::kMore) status = scanner.end();
  if (status == Status::kWhole && json.find_first_not_of(" \t\r\n", used) != std::string_view::npos)
    status = Status::kBad;
  refusal = status == Status::kDeep ? &kDeepJson : &kBadJson;
  return status == Status::kWhole;
}

/// The bindings of a configuration, in an order that depends on it alone.
std::expected<std::vector<grpc::Binding>, std::string> compile_bindings(const GrpcTranscodeConfig& config) {
  std::vector<grpc::Binding> bindings;
  for (const grpc::Method& method : config.descriptors.schema->methods()) {
    bool wanted = config.services.empty() ||
                  std::ranges::find(config.services, method.service) != config.services.end();
    if (!wanted) continue;
    for (const grpc::HttpRule& rule : method.rules) {
      auto binding = grpc::Binding::compile(method, rule);
      if (!binding) return std::unexpected(binding.error());
      bindings.push_back(std::move(*binding));
    }
    if (!method.rules.empty() || !config.auto_mapping) continue;
    auto binding = grpc::Binding::compile(method, method.own_rule);
    if (!binding) return std::unexpected(binding.error());
    bindings.push_back(std::move(*binding));
  }
  return bindings;
}

bool is_auto_mapped(const grpc::Binding& binding) { return &binding.rule() == &binding.method().own_rule; }

void check_config(const GrpcTranscodeConfig& config, const config::Node& node, config::Reader& reader) {
  std::span<const grpc::Method> methods = config.descriptors.schema->methods();
  for (const std::string& service : config.services)
    if (std::ranges::find(methods, service, &grpc::Method::service) == methods.end())
      reader.error(node, "descriptors", fmt::format("`services`: the descriptors describe no `{}`", service));
  auto bindings = compile_bindings(config);
  if (!bindings)
    reader.error(node, "descriptors", bindings.error());
  else if (bindings->empty())
    reader.error(node, "descriptors",
                 "no method has a google.api.http binding; `auto_mapping: true` takes them as `POST "
                 "/pkg.Service/Method`");
}

std::vector<gateway::BroughtRoute> routes_of(const GrpcTranscodeConfig& config) {
  std::vector<gateway::BroughtRoute> routes;
  auto bindings = compile_bindings(config);
  if (!bindings) return routes;  // was reported
  for (uint32_t i = 0; i < bindings->size(); ++i) {
    const grpc::Binding& binding = (*bindings)[i];
    gateway::BroughtRoute& route = routes.emplace_back();
    route.call = binding.method().path;
    route.name = binding.method().name();
    if (is_auto_mapped(binding)) continue;
    route.path = binding.path().route_path();
    route.method = binding.rule().method;
    route.suffix = binding.path().suffix();
    route.number = i;
  }
  return routes;
}

}  // namespace

const config::Struct<GrpcTranscodeConfig>& GrpcTranscodeConfig::schema() {
  static const auto schema =
      config::Struct<GrpcTranscodeConfig>("grpc_transcode", "Serves a gRPC service as a JSON API.")
          .field("descriptors", &GrpcTranscodeConfig::descriptors,
                 "A descriptor set that protoc wrote, or .proto files.")
          .required()
          .field("services", &GrpcTranscodeConfig::services, "Those that are served; all when left out.")
          .field("auto_mapping", &GrpcTranscodeConfig::auto_mapping,
                 "Methods without a binding are served as `POST /pkg.Service/Method` with a JSON body.")
          .field("ignored_query_parameters", &GrpcTranscodeConfig::ignored_query_parameters,
                 "Query parameters that are no fields of a message, such as an API key.")
          .field("ignore_unknown_query_parameters", &GrpcTranscodeConfig::ignore_unknown_query_parameters,
                 "Query parameters that are no fields are left out instead of refused.")
          .field("ignore_unknown_fields", &GrpcTranscodeConfig::ignore_unknown_fields,
                 "Members of a JSON body that are no fields are left out instead of refused.")
          .field("max_message", &GrpcTranscodeConfig::max_message,
                 "The largest message, as JSON and as protobuf, in both directions.")
          .range(1, 1 << 30)
          .field("print", &GrpcTranscodeConfig::print, "How answers are written as JSON.")
          .check(check_config);
  return schema;
}

GrpcTranscode::GrpcTranscode(const GrpcTranscodeConfig& config, std::vector<grpc::Binding> bindings)
    : schema_(config.descriptors.schema),
      codec_(*schema_, config.print, config.ignore_unknown_fields),
      line_codec_(
          *schema_,
          [&] {
            grpc::PrintOptions print = config.print;
            print.add_whitespace = false;
            return print;
          }(),
          config.ignore_unknown_fields),
      query_{config.ignored_query_parameters, config.ignore_unknown_query_parameters},
      max_message_(config.max_message.bytes),
      bindings_(std::move(bindings)) {
  for (uint32_t i = 0; i < bindings_.size(); ++i)
    if (is_auto_mapped(bindings_[i])) auto_mapped_.emplace(bindings_[i].method().path, i);
}

const gateway::PolicyType& GrpcTranscode::type() {
  static const gateway::PolicyType type{
      .name = "grpc_transcode",
      .schema = &GrpcTranscodeConfig::schema(),
      .build = [](const void* config, const gateway::PolicyContext&)
          -> std::expected<std::shared_ptr<const gateway::Policy>, std::string> {
        const auto& configured = *static_cast<const GrpcTranscodeConfig*>(config);
        auto bindings = compile_bindings(configured);
        if (!bindings) return std::unexpected(bindings.error());
        return std::make_shared<const GrpcTranscode>(configured, std::move(*bindings));
      },
      .brings =
          [](const void* config) { return routes_of(*static_cast<const GrpcTranscodeConfig*>(config)); },
  };
  return type;
}

const grpc::Binding* GrpcTranscode::binding_of(const gateway::Exchange& exchange) const {
  const gateway::RoutePlan::Brought& brought = exchange.plan->brought;
  if (brought.by == this) return &bindings_[brought.number];
  if (auto_mapped_.empty() || exchange.request.method != http::Method::kPost) return nullptr;
  std::string_view type = exchange.request.fields.value(FieldName::kContentType);
  if (media_type(type).starts_with("application/grpc")) return nullptr;
  auto found = auto_mapped_.find(exchange.match.path.substr(exchange.match.prefix_size));
  return found == auto_mapped_.end() ? nullptr : &bindings_[found->second];
}

Step GrpcTranscode::on_request(gateway::Exchange& exchange) const {
  if (exchange.match.outcome != gateway::Outcome::kMatched) return Step::next();
  const grpc::Binding* binding = binding_of(exchange);
  if (!binding) return Step::next();
  auto call = new Call(*binding, exchange, max_message_);  // `on_end` deletes it
  exchange.state<CallPointer>() = exchange.arena.make<CallPointer>(call);
  call->events = accepts_events(exchange.request.fields);
  std::string_view path = exchange.match.path.substr(exchange.match.prefix_size);
  auto written =
      binding->write_url(path, exchange.request.query, query_, codec_, exchange.arena, call->url_fields);
  if (!written) return refuse_with(exchange, kBadParameter, written.error());

  const http::Fields& fields = exchange.request.fields;
  if (!exchange.request_body) {
    if (!binding->takes_body() || !binding->method().client_streams) return finish_body(exchange, *call);
    exchange.request_body = &call->whole.emplace(std::string_view());  // a stream without a message
    send_as_call(exchange, *call);
    return Step::next();
  }
  const http::Field* type = fields.find(FieldName::kContentType);
  bool lines = type && binding->method().client_streams && is_lines(type->value);
  bool json = !type || lines || is_type(type->value, "application/json");
  if (binding->takes_body() && !json && !binding->takes_raw_body()) return exchange.refuse(kNotJson);
  if (fields.has(FieldName::kContentEncoding) && !binding->takes_raw_body()) return exchange.refuse(kEncoded);
  if (!binding->takes_body() || !binding->method().client_streams) return begin_body(exchange, *call);
  call->upload.emplace(*exchange.request_body,
                       grpc::JsonUpload::Settings{*binding, codec_, max_message_, lines, exchange.arena},
                       std::move(call->url_fields));
  exchange.request_body = &*call->upload;
  send_as_call(exchange, *call);
  return Step::next();
}

/// Reads a body whose whole is one message.
Step GrpcTranscode::begin_body(gateway::Exchange& exchange, Call& call) const {
  exchange.server.limit_request_body(exchange.plan->request_body);
  if (exchange.server.expects_continue) return Step::wait(wait_body(exchange, call));
  http::ChunkResult chunk;
  do {
    if (!exchange.request_body->try_read(chunk)) return Step::wait(wait_body(exchange, call));
    if (!take_body(exchange, call, chunk)) return Step::answer();
  } while (!chunk->end);
  return finish_body(exchange, call);
}

io::Task<Step> GrpcTranscode::wait_body(gateway::Exchange& exchange, Call& call) const {
  http::ServerExchange& server = exchange.server;
  if (server.expects_continue) {
    http::Response proceed(exchange.arena);
    proceed.status = 100;
    co_await server.send_informational(proceed);
    server.expects_continue = false;
    exchange.request.fields.remove(FieldName::kExpect);
  }
  http::TransferWatch watch(exchange.worker.upload_bounds(), nullptr);
  watch.waiting = http::TransferWatch::Waiting::kSource;
  server.timer.watch_upload(watch);
  bool good = true;
  bool ended = false;
  while (good && !ended) {
    auto chunk = co_await exchange.request_body->read();
    if (chunk) watch.source_moved += chunk->bytes.size();
    good = take_body(exchange, call, chunk);
    ended = chunk && chunk->end;
  }
  server.timer.unwatch_upload();
  if (!good) co_return Step::answer();
  co_return finish_body(exchange, call);
}

/// False: the exchange is refused.
bool GrpcTranscode::take_body(gateway::Exchange& exchange, Call& call, const http::ChunkResult& chunk) const {
  const Refusal* refusal = nullptr;
  Refusal broken{};
  if (!chunk) {
    const http::Error* error = &chunk.error();
    if (error->status == 0)  // cancelled
      error = exchange.server.timer.expired() != http::Phase::kNone ? &http::kRequestTimeoutError
                                                                    : &http::kClientGoneError;
    broken = {error->status, error->code, error->detail, ErrorBy::kClient};
    refusal = &broken;
  } else if (!call.binding.takes_body() && !chunk->bytes.empty()) {
    refusal = &kUnexpectedBody;
  } else if (call.body.size() + chunk->bytes.size() > max_message_) {
    refusal = &kTooLarge;
  }
  if (!refusal) {
    call.body += chunk->bytes;
    return true;
  }
  std::ignore = exchange.refuse(*refusal);
  return false;
}

/// Makes the message of all that was said.
Step GrpcTranscode::finish_body(gateway::Exchange& exchange, Call& call) const {
  call.message.assign(http::kGrpcPrefixBytes, '\0');
  if (call.binding.takes_raw_body() && exchange.request_body) {
    call.binding.write_raw_body(exchange.request.fields.value(FieldName::kContentType), call.body,
                                call.message);
  } else if (!call.body.empty()) {
    const Refusal* refusal = nullptr;
    if (!check_json(call.body, refusal)) return exchange.refuse(*refusal);
    auto written = call.binding.write_body(call.body, codec_, call.message);
    if (!written) return refuse_with(exchange, kBadJson, written.error());
  }
  std::string().swap(call.body);
  call.message += call.url_fields;  // behind the body, so that the URL wins
  size_t size = call.message.size() - http::kGrpcPrefixBytes;
  if (size > max_message_) return exchange.refuse(kTooLarge);
  auto prefix = http::grpc_prefix(static_cast<uint32_t>(size));
  call.message.replace(0, prefix.size(), prefix.data(), prefix.size());
  exchange.request_body = &call.whole.emplace(call.message);
  send_as_call(exchange, call);
  return Step::next();
}

/// gRPC over HTTP/2, "Requests".
void GrpcTranscode::send_as_call(gateway::Exchange& exchange, Call& call) const {
  http::Request& request = exchange.request;
  request.method = http::Method::kPost;
  request.method_text = "POST";
  request.path = call.binding.method().path;
  request.query = {};
  request.has_query = false;
  request.body = http::BodyLength::unknown();
  for (FieldName name : {FieldName::kAcceptEncoding, FieldName::kContentEncoding, FieldName::kContentDigest})
    request.fields.remove(name);
  for (std::string_view name : {"grpc-encoding", "grpc-accept-encoding"}) request.fields.remove(name);
  request.fields.set(FieldName::kContentType, "application/grpc");
  exchange.server.te_trailers = true;
  call.sent = true;
}

void GrpcTranscode::on_end(const gateway::Exchange& exchange) const noexcept {
  if (const auto* pointer = exchange.state<CallPointer>()) delete pointer->call;
}

}  // namespace sluice::policies
