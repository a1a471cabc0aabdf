// Paths in one form, so that what is matched is what is sent (contract, section 2 "Paths"). Done once, before
// routing. What an API may decide for itself about repeated and encoded slashes is known only when it has
// been chosen, so both forms are handed on with what was seen.
#pragma once

#include <expected>
#include <string_view>

#include "base/arena.h"
#include "http/error.h"

namespace sluice::http {

/// How a router uses it: it chooses the API by `path`. An API with `repeated_slash: reject` answers 400 when
/// `had_repeated_slash`; one with `keep` matches its prefix and routes against `unmerged` and sends that;
/// `encoded_slash: reject` answers 400 when `had_encoded_slash`. Dot segments are resolved before slashes are
/// merged (RFC 3986, section 5.2.4: an empty segment is a segment), so `path` is always `unmerged` with its
/// runs of slashes shortened, and both mean the same place: `/a//../b` is `/a/b` in either.
struct NormalisedPath {
  std::string_view path;            // starts with "/"; no dot segment, no repeated slash
  std::string_view unmerged;        // the same with repeated slashes kept; equals `path` when there are none
  bool had_repeated_slash = false;  // in what was received, also when a dot segment removed it
  bool had_encoded_slash = false;   // %2F or %5C, likewise
};

/// `raw` is the path of a request target, without its query. Unreserved characters are decoded, hexadecimal
/// digits upper-cased, dot segments resolved (also encoded, also with parameters: `..;x`), everything else
/// left as it is. Idempotent. When nothing is to be done the result is `raw` itself, else it lives in
/// `arena`. Errors (400, not closing, of static storage): above the root, bad escape, %00, backslash, "#",
/// controls, space, non-ASCII, no "/" at the start.
std::expected<NormalisedPath, const Error*> normalise_path(std::string_view raw, Arena& arena);

struct SplitTarget {
  std::string_view path;
  std::string_view query;  // without "?"
  bool has_query = false;
};
/// At the first "?".
SplitTarget split_target(std::string_view path_and_query);

/// A query goes on untouched; null when it has no control, space, non-ASCII byte or "#", else the error
/// (400).
const Error* check_query(std::string_view query);

}  // namespace sluice::http
