// Names of header fields that the gateway itself looks at, interned to small numbers when a message is
// parsed.
#pragma once

#include <cstdint>
#include <string_view>

namespace sluice::http {

// clang-format off
/// X(enumerator, canonical spelling for HTTP/1.1)
#define SLUICE_FIELD_NAMES(X)                                       \
  X(kAccept, "Accept")                                              \
  X(kAcceptEncoding, "Accept-Encoding")                             \
  X(kAge, "Age")                                                    \
  X(kAllow, "Allow")                                                \
  X(kAuthorization, "Authorization")                                \
  X(kCacheControl, "Cache-Control")                                 \
  X(kConnection, "Connection")                                      \
  X(kContentDigest, "Content-Digest")                               \
  X(kContentEncoding, "Content-Encoding")                           \
  X(kContentLength, "Content-Length")                               \
  X(kContentType, "Content-Type")                                   \
  X(kCookie, "Cookie")                                              \
  X(kDate, "Date")                                                  \
  X(kEtag, "ETag")                                                  \
  X(kExpect, "Expect")                                              \
  X(kForwarded, "Forwarded")                                        \
  X(kHost, "Host")                                                  \
  X(kHttp2Settings, "HTTP2-Settings")                               \
  X(kKeepAlive, "Keep-Alive")                                       \
  X(kLastModified, "Last-Modified")                                 \
  X(kLocation, "Location")                                          \
  X(kMaxForwards, "Max-Forwards")                                   \
  X(kOrigin, "Origin")                                              \
  X(kProxyAuthenticate, "Proxy-Authenticate")                       \
  X(kProxyAuthorization, "Proxy-Authorization")                     \
  X(kProxyConnection, "Proxy-Connection")                           \
  X(kRange, "Range")                                                \
  X(kRateLimit, "RateLimit")                                        \
  X(kRateLimitPolicy, "RateLimit-Policy")                           \
  X(kRetryAfter, "Retry-After")                                     \
  X(kServer, "Server")                                              \
  X(kSetCookie, "Set-Cookie")                                       \
  X(kTe, "TE")                                                      \
  X(kTraceparent, "traceparent")                                    \
  X(kTracestate, "tracestate")                                      \
  X(kTrailer, "Trailer")                                            \
  X(kTransferEncoding, "Transfer-Encoding")                         \
  X(kUpgrade, "Upgrade")                                            \
  X(kUserAgent, "User-Agent")                                       \
  X(kVia, "Via")                                                    \
  X(kWwwAuthenticate, "WWW-Authenticate")                           \
  X(kXConsumerGroups, "X-Consumer-Groups")                          \
  X(kXConsumerId, "X-Consumer-Id")                                  \
  X(kXForwardedFor, "X-Forwarded-For")                              \
  X(kXForwardedHost, "X-Forwarded-Host")                            \
  X(kXForwardedPrefix, "X-Forwarded-Prefix")                        \
  X(kXForwardedProto, "X-Forwarded-Proto")                          \
  X(kXOriginalUrl, "X-Original-URL")                                \
  X(kXRequestId, "X-Request-Id")                                    \
  X(kXRewriteUrl, "X-Rewrite-URL")
// clang-format on

enum class FieldName : uint8_t {
  kUnknown,  // any name that is not in the list above
#define SLUICE_FIELD_ENUMERATOR(name, text) name,
  SLUICE_FIELD_NAMES(SLUICE_FIELD_ENUMERATOR)
#undef SLUICE_FIELD_ENUMERATOR
      kCount
};
static_assert(static_cast<int>(FieldName::kCount) <= 64, "Fields keeps a 64-bit set of the names present");

/// The number of a name, whatever its case; kUnknown when it is none of ours.
FieldName intern_field_name(std::string_view name);
/// The same with "_" read as "-", as servers do that make environment variables of fields: what a peer must
/// not say it must not say in that spelling either.
FieldName intern_dashed_field_name(std::string_view name);
/// The canonical spelling; empty for kUnknown.
std::string_view field_name_text(FieldName name);

}  // namespace sluice::http
