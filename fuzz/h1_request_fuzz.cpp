// A request head: splitting changes nothing; what is forwarded is read as the same request and nothing more.
#include "h1_scan.h"
#include "http/h1/request_parser.h"
#include "http/h1/serializer.h"
#include "http/path.h"
#include "http/syntax.h"
#include "http/uri.h"

using namespace sluice;
using namespace sluice::http;

namespace {

void check_fields(const Fields& fields) {
  for (const Field& field : fields) {
    SLUICE_FUZZ_CHECK(is_token(field.name));
    SLUICE_FUZZ_CHECK(is_field_value(field.value));
    SLUICE_FUZZ_CHECK(field.id == intern_field_name(field.name));
    SLUICE_FUZZ_CHECK(field.id != FieldName::kHost && field.id != FieldName::kContentLength &&
                      field.id != FieldName::kTransferEncoding && field.id != FieldName::kConnection);
  }
}

void check_same_fields(const Fields& a, const Fields& b) {
  SLUICE_FUZZ_CHECK(a.size() == b.size());
  for (size_t i = 0; i < a.size(); ++i)
    SLUICE_FUZZ_CHECK(a.all()[i].name == b.all()[i].name && a.all()[i].value == b.all()[i].value);
}

void check_forwarded(const Request& request, const h1::RequestHead& head, const Limits& limits) {
  Arena arena;
  std::string_view host = request.authority.empty() ? std::string_view("origin") : request.authority;
  std::string_view text =
      h1::write_request_head(request, {.host = host, .te_trailers = head.te_trailers}, arena);
  Limits larger = limits;
  larger.request_head += 1024;
  larger.request_fields += 4;
  larger.request_target *= 3;
  std::optional<std::string_view> found = fuzz::find_head(text, h1::Side::kRequest, larger);
  SLUICE_FUZZ_CHECK(found && found->size() == text.size());
  Request again(arena);
  auto result = h1::parse_request(text, larger, again);
  SLUICE_FUZZ_CHECK(result && !result->refused);
  SLUICE_FUZZ_CHECK(result->framing == head.framing && result->te_trailers == head.te_trailers);
  SLUICE_FUZZ_CHECK(again.body.kind == request.body.kind && again.body.bytes == request.body.bytes);
  SLUICE_FUZZ_CHECK(again.method == request.method && again.method_text == request.method_text);
  SLUICE_FUZZ_CHECK(again.path == request.path && again.query == request.query);
  SLUICE_FUZZ_CHECK(again.has_query == request.has_query && again.authority == host);
  // `Expect` is put behind the others when it is read, so it is at the end in both.
  check_same_fields(again.fields, request.fields);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Limits limits;
  limits.request_head = 2048;
  limits.request_target = 256;
  limits.request_fields = 20;
  std::optional<std::string_view> head = fuzz::find_head(bytes, h1::Side::kRequest, limits);
  if (!head) return 0;
  Arena arena;
  Request request(arena);
  auto result = h1::parse_request(*head, limits, request);
  if (!result) {
    SLUICE_FUZZ_CHECK(result.error().close && result.error().status >= 400);
    return 0;
  }
  check_fields(request.fields);
  if (request.method == Method::kConnect || result->refused) return 0;
  SLUICE_FUZZ_CHECK(request.authority.empty() || parse_authority(request.authority));
  check_forwarded(request, *result, limits);
  return 0;
}
