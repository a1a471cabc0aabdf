// What the router looks at in a request: views only, so that a test, `sluice explain` and an exchange can all
// ask it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http/fields.h"
#include "http/message.h"

namespace sluice::gateway {

struct RequestView {
  uint16_t listener = 0;  // its number in the configuration
  std::string_view host;  // without port, lower case; empty in HTTP/1.0
  std::string_view path;  // normalised (contract: "Paths"); "*" matches nothing
  http::Method method = http::Method::kGet;
  std::string_view method_text;          // as received; looked at for Method::kOther only
  std::string_view query;                // untouched, without its "?"
  const http::Fields* fields = nullptr;  // null: none
  std::string_view unmerged;  // `path` with repeated slashes kept, for APIs that keep them; empty: as `path`
};

/// As much of a body as routing may see (contract: "on a prefix of at most 64 KiB").
inline constexpr size_t kBodyPrefixBytes = 64 * 1024;

struct BodyPrefix {
  std::string_view bytes;  // what is beyond kBodyPrefixBytes is not looked at
  bool complete = false;   // nothing follows `bytes`
};

}  // namespace sluice::gateway
