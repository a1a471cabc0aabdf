#include "policies/transform/grpc_transcode/binding.h"

#include <fmt/format.h>
#include <google/protobuf/descriptor.h>

#include <algorithm>
#include <set>

#include "http/query.h"
#include "policies/transform/grpc_transcode/wire.h"

namespace sluice::policies::grpc {

namespace {

namespace pb = google::protobuf;

constexpr std::string_view kRawType = "google.api.HttpBody";
constexpr size_t kMostShown = 64;  // of a name that a caller made up

/// A caller's word in a sentence for the caller.
std::string shown(std::string_view text) {
  std::string out(text.substr(0, kMostShown));
  for (char& c : out)
    if (c < 0x20 || c > 0x7e) c = '?';
  return out;
}

bool is_raw(const pb::Descriptor* type) { return type && type->full_name() == kRawType; }

const pb::Descriptor* type_of(const pb::FieldDescriptor* field) {
  return field && !field->is_repeated() ? field->message_type() : nullptr;
}

}  // namespace

std::expected<Binding, std::string> Binding::compile(const Method& method, const HttpRule& rule) {
  auto fail = [&](std::string_view what) {
    return std::unexpected(fmt::format("`{}`, {} {}: {}", method.name(),
                                       rule.method.empty() ? std::string_view("any method") : rule.method,
                                       rule.path, what));
  };
  Binding binding;
  binding.method_ = &method;
  binding.rule_ = &rule;
  auto path = HttpTemplate::parse(rule.path);
  if (!path) return fail("the path " + path.error());
  binding.path_ = std::move(*path);
  for (const HttpTemplate::Variable& variable : binding.path_.variables()) {
    auto field = TextField::find(*method.input, variable.field_path);
    if (!field) return fail(fmt::format("`{}` {}", variable.field_path, field.error()));
    if (field->repeated())
      return fail(fmt::format("`{}` is a list, which no path can be", variable.field_path));
    binding.path_fields_.push_back(std::move(*field));
  }
  if (rule.body == "*") {
    binding.body_ = Part::kWhole;
  } else if (!rule.body.empty()) {
    binding.body_ = Part::kField;
    binding.body_field_ = find_field(*method.input, rule.body);
    if (!binding.body_field_)
      return fail(fmt::format("body: `{}` is not a field of `{}`", rule.body, method.input->full_name()));
  }
  if (!rule.response_body.empty()) {
    binding.answer_field_ = find_field(*method.output, rule.response_body);
    if (!binding.answer_field_)
      return fail(fmt::format("response_body: `{}` is not a field of `{}`", rule.response_body,
                              method.output->full_name()));
  }
  binding.raw_body_ = is_raw(binding.body_ == Part::kWhole ? method.input : type_of(binding.body_field_));
  binding.raw_answer_ = is_raw(binding.answer_field_ ? type_of(binding.answer_field_) : method.output);
  if (binding.raw_body_ && method.client_streams)
    return fail("a stream of google.api.HttpBody cannot be sent");
  return binding;
}

Binding::Result Binding::write_url(std::string_view path, std::string_view query, const QueryRules& rules,
                                   const MessageCodec& codec, Arena& arena, std::string& out) const {
  Result written = write_query(query, rules, codec, arena, out);
  // Behind the query, so that the path would win.
  for (size_t i = 0; written && i < path_fields_.size(); ++i) {
    const HttpTemplate::Variable& variable = path_.variables()[i];
    std::string_view value = path_.value(variable, path, arena);
    if (value.empty() && variable.one_segment)
      return std::unexpected(fmt::format("`{}` is empty in the path", variable.field_path));
    written = path_fields_[i].write(value, codec, out);
  }
  return written;
}

Binding::Result Binding::write_query(std::string_view query, const QueryRules& rules,
                                     const MessageCodec& codec, Arena& arena, std::string& out) const {
  std::set<std::string> seen;
  while (!query.empty()) {
    std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    if (pair.empty()) continue;
    size_t equals = std::min(pair.find('='), pair.size());
    std::string_view name = http::decode_query_text(pair.substr(0, equals), arena);
    std::string_view value = http::decode_query_text(pair.substr(std::min(equals + 1, pair.size())), arena);
    if (std::ranges::find(rules.ignored, name) != rules.ignored.end()) continue;
    auto field = find_query_field(name);
    if (!field) {
      if (rules.ignore_unknown) continue;
      return std::unexpected(fmt::format("the query's `{}` {}", shown(name), field.error()));
    }
    if (!field->repeated() && !seen.insert(field->name()).second)
      return std::unexpected(fmt::format("`{}` is given more than once", field->name()));
    Result written = field->write(value, codec, out);
    if (!written) return written;
  }
  return {};
}

/// Fields that neither the path nor the body has (google/api/http.proto, "Rules for HTTP mapping").
std::expected<TextField, std::string> Binding::find_query_field(std::string_view name) const {
  if (body_ == Part::kWhole) return std::unexpected("is not wanted: all fields come in the body");
  auto field = TextField::find(*method_->input, name);
  if (!field) return field;
  auto is_or_is_in = [&](std::string_view outer) {
    std::string_view inner = field->name();
    return inner.starts_with(outer) && (inner.size() == outer.size() || inner[outer.size()] == '.');
  };
  for (const TextField& bound : path_fields_)
    if (bound.name() == field->name()) return std::unexpected("comes in the path");
  if (body_field_ && is_or_is_in(body_field_->name())) return std::unexpected("comes in the body");
  return field;
}

Binding::Result Binding::write_body(std::string_view json, const MessageCodec& codec,
                                    std::string& out) const {
  if (!body_field_) return codec.to_message(*method_->input, json, out);
  // One JSON value, as JsonScanner has seen: it cannot bring a second member.
  std::string object;
  object.reserve(json.size() + body_field_->name().size() + 6);
  object.append("{\"").append(body_field_->name()).append("\":").append(json).append("}");
  return codec.to_message(*method_->input, object, out);
}

void Binding::write_raw_body(std::string_view content_type, std::string_view body, std::string& out) const {
  std::string message;
  if (!content_type.empty()) append_bytes(1, content_type, message);
  append_bytes(2, body, message);
  if (body_field_)
    append_bytes(static_cast<uint32_t>(body_field_->number()), message, out);
  else
    out += message;
}

Binding::Result Binding::write_answer(std::string_view message, const MessageCodec& codec,
                                      std::string& out) const {
  if (answer_field_) return codec.to_json(*answer_field_, message, out);
  return codec.to_json(*method_->output, message, out);
}

Binding::Raw Binding::raw_of(std::string_view message) const {
  if (answer_field_) message = last_bytes(message, static_cast<uint32_t>(answer_field_->number()));
  return {last_bytes(message, 1), last_bytes(message, 2)};
}

}  // namespace sluice::policies::grpc
