// Paths and URIs: a normal form is its own normal form and has nothing left to interpret; URLs come apart
// cleanly.
#include "check.h"
#include "http/cookie.h"
#include "http/path.h"
#include "http/query.h"
#include "http/uri.h"

using namespace sluice;
using namespace sluice::http;

namespace {

void check_path(std::string_view raw, Arena& arena) {
  auto once = normalise_path(raw, arena);
  if (!once) {
    SLUICE_FUZZ_CHECK(once.error()->status == 400 && !once.error()->close);
    return;
  }
  SLUICE_FUZZ_CHECK(once->path.starts_with('/') && once->path.find("//") == std::string_view::npos);
  SLUICE_FUZZ_CHECK(once->had_repeated_slash || once->path == once->unmerged);
  for (std::string_view form : {once->path, once->unmerged}) {
    for (std::string_view dots : {"/./", "/../", "/.;", "/..;", "\\", "#", "%00", "%2e", "%2f"})
      SLUICE_FUZZ_CHECK(form.find(dots) == std::string_view::npos);
    SLUICE_FUZZ_CHECK(!form.ends_with("/.") && !form.ends_with("/.."));
    auto twice = normalise_path(form, arena);
    SLUICE_FUZZ_CHECK(twice && twice->path == once->path && twice->unmerged == form);
  }
}

void check_authority(std::string_view text, Arena& arena) {
  auto authority = parse_authority(text);
  if (!authority) return;
  std::string_view normal = normalise_authority(text, arena);
  auto again = parse_authority(normal);
  SLUICE_FUZZ_CHECK(again && again->port == authority->port && again->kind == authority->kind);
  SLUICE_FUZZ_CHECK(ascii::equal_ignoring_case(again->host, authority->host));
  SLUICE_FUZZ_CHECK(normalise_authority(normal, arena) == normal);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  Arena arena;
  SplitTarget target = split_target(text);
  check_path(target.path, arena);
  check_query(target.query);
  check_authority(text, arena);
  if (auto url = parse_target_url(text)) {
    SLUICE_FUZZ_CHECK(!url->host.empty() && !url->base_path.ends_with('/') && url->port != 0);
    SLUICE_FUZZ_CHECK(parse_authority(url->authority).has_value());
  }
  std::string_view name = target.query.substr(0, target.query.find('='));
  if (!target.query.empty() && target.query.front() != '&') {
    std::string_view decoded = decode_query_text(name.substr(0, name.find('&')), arena);
    SLUICE_FUZZ_CHECK(find_query_parameter(target.query, decoded).has_value());
    std::string_view rest = remove_query_parameter(target.query, decoded, arena);
    SLUICE_FUZZ_CHECK(!find_query_parameter(rest, decoded) || decoded.empty());
  }
  find_cookie(text, "a");
  return 0;
}
