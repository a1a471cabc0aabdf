// A request or response head, independent of the protocol version that carried it (RFC 9110).
#pragma once

#include <cstdint>
#include <string_view>

#include "http/fields.h"

namespace sluice::http {

enum class Method : uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOptions, kTrace, kConnect, kOther };
/// Methods are case-sensitive (RFC 9110, section 9.1); anything not registered above is kOther.
Method parse_method(std::string_view text);
std::string_view method_text(Method method);  // empty for kOther
/// RFC 9110, section 9.2.2; kOther counts as not idempotent.
constexpr bool is_idempotent(Method m) {
  return m != Method::kPost && m != Method::kPatch && m < Method::kConnect;
}

enum class Version : uint8_t { kHttp10, kHttp11, kHttp2 };
std::string_view version_text(Version version);  // "HTTP/1.1"

/// How much body a message announces.
struct BodyLength {
  enum class Kind : uint8_t {
    kNone,     // none: no framing field, or a message that cannot have one
    kKnown,    // exactly `bytes`
    kUnknown,  // chunked, or until the stream ends
  };
  Kind kind = Kind::kNone;
  uint64_t bytes = 0;

  static constexpr BodyLength none() { return {}; }
  static constexpr BodyLength known(uint64_t bytes) { return {Kind::kKnown, bytes}; }
  static constexpr BodyLength unknown() { return {Kind::kUnknown, 0}; }
  /// No byte of a body will come.
  constexpr bool empty() const { return kind == Kind::kNone || (kind == Kind::kKnown && bytes == 0); }
};

/// Texts live in the arena of `fields`.
struct Request {
  explicit Request(Arena& arena) : fields(arena) {}

  Method method = Method::kGet;
  Version version = Version::kHttp11;
  std::string_view method_text;  // as received
  std::string_view target;       // as received, for the log only
  std::string_view authority;    // host[:port], lower case, from the target or `Host`; empty only in HTTP/1.0
  std::string_view path;         // normalised (see http/path.h); "*" for `OPTIONS *`, empty for CONNECT
  std::string_view path_unmerged;   // the same with repeated slashes kept, for APIs that keep them
  bool had_repeated_slash = false;  // as in NormalisedPath, for APIs that refuse them
  bool had_encoded_slash = false;
  std::string_view query;  // untouched, without its "?"
  bool has_query = false;  // tells "/a?" from "/a"
  BodyLength body;
  Fields fields;  // without `Host`, framing and hop-by-hop fields once the codec has handed it over
};

struct Response {
  explicit Response(Arena& arena) : fields(arena) {}

  uint16_t status = 200;
  Version version = Version::kHttp11;
  std::string_view reason;  // what HTTP/1.1 sends; empty: the standard phrase
  BodyLength body;
  std::string_view
      upgrade;    // of a 101 the protocol that follows, of a 426 the one that is required; else empty
  Fields fields;  // without framing and hop-by-hop fields once the codec has handed it over
};

/// The standard phrase (RFC 9110, section 15), or empty.
std::string_view reason_phrase(uint16_t status);

}  // namespace sluice::http
