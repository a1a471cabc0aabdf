// A response head: splitting changes nothing; what is passed on is read as the same response and nothing
// more.
#include "h1_scan.h"
#include "http/h1/response_parser.h"
#include "http/h1/serializer.h"
#include "http/syntax.h"

using namespace sluice;
using namespace sluice::http;

namespace {

void check_passed_on(const Response& response, const h1::ResponseHead& head, Method method,
                     const Limits& limits) {
  Arena arena;
  h1::ResponseHeadOptions options{.answers_head = method == Method::kHead};
  std::string_view text = h1::write_response_head(response, options, arena);
  Limits larger = limits;
  larger.response_head += 1024;
  larger.response_fields += 4;
  std::optional<std::string_view> found = fuzz::find_head(text, h1::Side::kResponse, larger);
  SLUICE_FUZZ_CHECK(found && found->size() == text.size());
  Response again(arena);
  auto result = h1::parse_response(text, method, larger, again);
  SLUICE_FUZZ_CHECK(result.has_value());
  SLUICE_FUZZ_CHECK(again.status == response.status);
  SLUICE_FUZZ_CHECK(result->framing ==
                    (head.framing == h1::Framing::kUntilClose ? h1::Framing::kChunked : head.framing));
  SLUICE_FUZZ_CHECK(again.body.bytes == response.body.bytes);
  SLUICE_FUZZ_CHECK(again.fields.size() == response.fields.size());
  for (size_t i = 0; i < again.fields.size(); ++i) {
    SLUICE_FUZZ_CHECK(again.fields.all()[i].name == response.fields.all()[i].name);
    SLUICE_FUZZ_CHECK(again.fields.all()[i].value == response.fields.all()[i].value);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  Method method = data[0] & 1 ? Method::kHead : Method::kGet;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  Limits limits;
  limits.response_head = 2048;
  limits.response_fields = 20;
  std::optional<std::string_view> head = fuzz::find_head(bytes, h1::Side::kResponse, limits);
  if (!head) return 0;
  Arena arena;
  Response response(arena);
  auto result = h1::parse_response(*head, method, limits, response);
  if (!result) {
    SLUICE_FUZZ_CHECK(result.error().close && result.error().status == 502);
    return 0;
  }
  for (const Field& field : response.fields) {
    SLUICE_FUZZ_CHECK(is_token(field.name) && is_field_value(field.value));
    SLUICE_FUZZ_CHECK(field.id != FieldName::kContentLength && field.id != FieldName::kTransferEncoding);
  }
  check_passed_on(response, *result, method, limits);
  return 0;
}
