// Where a page of a browser comes from (RFC 6454), as `Origin` says it, and patterns of such origins.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace sluice::http {

/// One origin, `https://shop.example:8443`; all hosts below a name, `https://*.example.com`; or `null`.
class OriginPattern {
 public:
  /// The error is the end of a sentence.
  static std::expected<OriginPattern, std::string> parse(std::string_view text);
  /// Whether the value of an `Origin` field fits.
  bool matches(std::string_view origin) const;
  const std::string& text() const { return text_; }
  friend bool operator==(const OriginPattern&, const OriginPattern&) = default;

 private:
  std::string text_;    // as written
  std::string before_;  // of the wildcard: "https://"; without one all of it
  std::string after_;   // with its dot: ".example.com"
  bool any_host_ = false;
};

}  // namespace sluice::http
