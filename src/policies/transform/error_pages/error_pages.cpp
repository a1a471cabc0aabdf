#include "policies/transform/error_pages/error_pages.h"

#include <algorithm>

#include "base/ascii.h"
#include "gateway/exchange.h"
#include "http/syntax.h"

namespace sluice::policies {

namespace {

using gateway::Exchange;

constexpr uint16_t kFirstError = 400;

std::string_view media_type_of(std::string_view content_type) {
  return ascii::trim(content_type.substr(0, content_type.find(';')));
}

PageTemplate::Escape escape_of(std::string_view media_type) {
  if (media_type.ends_with("json")) return PageTemplate::Escape::kJson;
  if (media_type.ends_with("html") || media_type.ends_with("xml")) return PageTemplate::Escape::kMarkup;
  return PageTemplate::Escape::kNone;
}

/// Whether `Accept` names it, or all types (RFC 9110, section 12.5.1); weights do not matter here, but for
/// zero.
bool accepts(const http::Fields& fields, std::string_view media_type) {
  if (!fields.has(http::FieldName::kAccept)) return true;
  std::string_view group = media_type.substr(0, media_type.find('/') + 1);
  bool found = false;
  for (const http::Field& field : fields) {
    if (field.id != http::FieldName::kAccept) continue;
    http::for_each_element(field.value, [&](std::string_view range) {
      std::string_view type = media_type_of(range);
      std::string_view rest =
          ascii::trim(range.substr(range.find(';') == range.npos ? range.size() : range.find(';') + 1));
      bool refused = rest == "q=0" || rest == "q=0.0" || rest == "q=0.00" || rest == "q=0.000";
      bool same = ascii::equal_ignoring_case(type, media_type);
      bool in_group =
          type.ends_with("/*") && ascii::equal_ignoring_case(type.substr(0, type.size() - 1), group);
      found |= !refused && (same || in_group || type == "*/*");
    });
  }
  return found;
}

void check_page(const ErrorPage& page, const config::Node& node, config::Reader& reader) {
  auto bad = [&](std::string_view key, std::string_view why) {
    const config::Node* at = node.find(key);
    reader.error(at ? *at : node, "invalid-value", std::string(why));
  };
  for (const config::StatusRange& range : page.statuses)
    if (range.first < kFirstError) bad("statuses", "errors have statuses from 400 on");
  if (!page.codes.empty() && page.of != ErrorsOf::kGateway)
    bad("codes", "only the gateway's own errors have codes: `of` must be `gateway`");
  if (page.status && (*page.status == 204 || *page.status == 205 || *page.status == 304))
    bad("status", "an answer with this status has no body");
  if (!http::is_field_value(page.content_type)) bad("content_type", "not the value of a header field");
  for (const auto& [name, value] : page.headers) {
    bool framing = false;
    for (std::string_view own : {"content-length", "transfer-encoding", "connection", "content-type"})
      framing |= ascii::equal_ignoring_case(name, own);
    if (!http::is_token(name) || framing) bad("headers", "`" + name + "` cannot be set here");
    if (!http::is_field_value(value)) bad("headers", "the value of `" + name + "` is none of a header field");
  }
}

}  // namespace

const config::Struct<ErrorPage>& ErrorPage::schema() {
  static const auto schema =
      config::Struct<ErrorPage>("error_page", "An answer in an error's place.")
          .field("statuses", &ErrorPage::statuses,
                 "Of errors with these statuses, such as `404` or `500-599`.")
          .one_or_many()
          .field("codes", &ErrorPage::codes, "Of errors of the gateway with these codes; any when left out.")
          .one_or_many()
          .field("of", &ErrorPage::of, "Whose errors: the `gateway`'s own, the `upstream`'s, or `both`.")
          .field("accepted", &ErrorPage::accepted, "Only for clients whose `Accept` has its content type.")
          .field("status", &ErrorPage::status, "The status of the answer; the error's own when left out.")
          .range(200, 599)
          .field("content_type", &ErrorPage::content_type, "The media type of `body`.")
          .field("headers", &ErrorPage::headers, "More header fields.")
          .field("body", &ErrorPage::body,
                 "Its body; `{status}`, `{reason}`, `{code}`, `{detail}` and `{request_id}` are filled in, "
                 "escaped as HTML, XML and JSON need it.")
          .check(check_page);
  return schema;
}

const config::Struct<ErrorPagesConfig>& ErrorPagesConfig::schema() {
  static const auto schema =
      config::Struct<ErrorPagesConfig>("error_pages", "Answers of one's own in place of errors.")
          .field("pages", &ErrorPagesConfig::pages, "The first that fits an error takes its place.")
          .required()
          .min_items(1);
  return schema;
}

ErrorPages::ErrorPages(const ErrorPagesConfig& configured) {
  for (const ErrorPage& page : configured.pages) {
    std::string media_type(media_type_of(page.content_type));
    std::vector<Field> fields;
    for (const auto& [name, value] : page.headers) fields.push_back({name, value});
    PageTemplate body(page.body, escape_of(media_type));
    pages_.push_back({page, std::move(media_type), std::move(fields), std::move(body)});
  }
}

bool ErrorPages::fits(const Page& page, const Exchange& exchange) {
  const gateway::Refusal* refusal = exchange.refusal();
  const ErrorPage& rules = page.rules;
  if (rules.of == ErrorsOf::kGateway && !refusal) return false;
  if (rules.of == ErrorsOf::kUpstream && refusal) return false;
  uint16_t status = exchange.response.status;
  if (std::ranges::none_of(rules.statuses, [&](config::StatusRange range) { return range.contains(status); }))
    return false;
  if (!rules.codes.empty() && std::ranges::find(rules.codes, refusal->code) == rules.codes.end())
    return false;
  return !rules.accepted || accepts(exchange.request.fields, page.media_type);
}

void ErrorPages::on_response(Exchange& exchange) const {
  http::Response& response = exchange.response;
  // gRPC clients understand only what gRPC says.
  if (response.status < kFirstError || exchange.speech != gateway::Speech::kHttp) return;
  auto found = std::ranges::find_if(pages_, [&](const Page& page) { return fits(page, exchange); });
  if (found == pages_.end()) return;
  const gateway::Refusal* refusal = exchange.refusal();
  PageTemplate::Values values{.status = response.status,
                              .code = refusal ? refusal->code : std::string_view(),
                              .detail = refusal ? refusal->detail : std::string_view(),
                              .request_id = exchange.request_id()};
  std::string_view body = found->body.fill(values, exchange.arena);
  // What the error says of its own body goes; what else it says, such as Retry-After, stays.
  for (std::string_view of_body : {"content-encoding", "content-language", "content-location",
                                   "content-range", "content-md5", "etag", "last-modified", "accept-ranges"})
    response.fields.remove(of_body);
  response.fields.set(http::FieldName::kContentType, found->rules.content_type);
  for (const Field& field : found->fields) response.fields.set(field.name, field.value);
  if (found->rules.status) {
    response.status = *found->rules.status;
    response.reason = {};
  }
  response.body = http::BodyLength::known(body.size());
  exchange.response_body = http::Body::of(body);
}

const gateway::PolicyType& ErrorPages::type() {
  static const gateway::PolicyType type{
      .name = "error_pages",
      .schema = &ErrorPagesConfig::schema(),
      .build = [](const void* config, const gateway::PolicyContext&)
          -> std::expected<std::shared_ptr<const gateway::Policy>, std::string> {
        return std::make_shared<const ErrorPages>(*static_cast<const ErrorPagesConfig*>(config));
      },
  };
  return type;
}

}  // namespace sluice::policies
