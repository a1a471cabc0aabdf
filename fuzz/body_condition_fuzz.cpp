// Body conditions on any document: the first line is a path, the rest is the body. What a beginning of a body
// says, the whole body says too, or it takes it back (a repeated name); where Boost.JSON, a parser that is
// not ours, reads the whole body, both see the same value there.
#include <boost/json.hpp>
#include <charconv>

#include "check.h"
#include "gateway/router/body_condition.h"

using namespace sluice::gateway;
namespace json = boost::json;

namespace {

/// The value at a path of plain names and elements, `$.a.b[0]`; null when there is none or the path is
/// quoted.
const json::value* value_at(const json::value& root, std::string_view path) {
  const json::value* at = &root;
  path.remove_prefix(1);
  while (!path.empty()) {
    size_t end = std::min(path.find_first_of(".[", 1), path.size());
    std::string_view step = path.substr(1, end - 1);
    if (path.front() == '.') {
      at = at->is_object() ? at->get_object().if_contains(step) : nullptr;
    } else {
      size_t element = 0;
      std::from_chars(step.data(), step.data() + step.size(), element);
      at = at->is_array() ? at->get_array().if_contains(element) : nullptr;
    }
    if (!at) return nullptr;
    path.remove_prefix(end);
  }
  return at;
}

void compare_with_peer(const BodyValues& values, std::string_view path, std::string_view body) {
  if (path.find('"') != std::string_view::npos || body.size() > kBodyPrefixBytes) return;
  boost::system::error_code error;
  json::parse_options strict;
  strict.max_depth = kMaxJsonDepth;
  json::value root = json::parse(body, error, {}, strict);
  if (error || !values[0]) return;  // absent: not there, not a scalar, or a repeated name
  const json::value* peer = value_at(root, path);
  SLUICE_FUZZ_CHECK(peer && !peer->is_object() && !peer->is_array());
  if (peer->is_string()) SLUICE_FUZZ_CHECK(*values[0] == std::string_view(peer->get_string()));
  if (peer->is_bool()) SLUICE_FUZZ_CHECK(*values[0] == (peer->get_bool() ? "true" : "false"));
  if (peer->is_null()) SLUICE_FUZZ_CHECK(*values[0] == "null");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  size_t line = input.find('\n');
  if (line == std::string_view::npos) return 0;
  std::string_view path = input.substr(0, line);
  std::string_view body = input.substr(line + 1);
  BodyPaths paths;
  if (!paths.add(path)) return 0;
  BodyValues whole = paths.read({body, true});
  SLUICE_FUZZ_CHECK(whole.size() == 1);
  for (size_t cut : {body.size() / 3, body.size() - body.size() / 4}) {
    BodyValues beginning = paths.read({body.substr(0, cut), cut == body.size()});
    SLUICE_FUZZ_CHECK(!beginning[0] || !whole[0] || beginning[0] == whole[0]);
  }
  compare_with_peer(whole, path, body);
  return 0;
}
