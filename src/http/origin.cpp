#include "http/origin.h"

#include "base/ascii.h"

namespace sluice::http {

namespace {

constexpr std::string_view kMark = "://";

bool is_scheme(std::string_view text) {
  if (text.empty() || !ascii::is_alpha(text.front())) return false;
  for (char c : text)
    if (!ascii::is_alpha(c) && !ascii::is_digit(c) && c != '+' && c != '-' && c != '.') return false;
  return true;
}

/// A name, an IPv4 address or an IPv6 one in brackets, with a port or without.
bool is_authority(std::string_view text) {
  if (text.empty() || text.front() == ':' || text.front() == '.') return false;
  for (char c : text)
    if (!ascii::is_alpha(c) && !ascii::is_digit(c) && std::string_view("-._:[]").find(c) == text.npos)
      return false;
  return true;
}

}  // namespace

std::expected<OriginPattern, std::string> OriginPattern::parse(std::string_view text) {
  OriginPattern pattern;
  pattern.text_ = pattern.before_ = text;
  if (text == "null") return pattern;
  size_t mark = text.find(kMark);
  if (mark == text.npos || !is_scheme(text.substr(0, mark))) return std::unexpected("it has no scheme");
  std::string_view authority = text.substr(mark + kMark.size());
  if (authority.starts_with("*.")) {
    pattern.any_host_ = true;
    pattern.before_ = text.substr(0, mark + kMark.size());
    pattern.after_ = authority.substr(1);
    authority.remove_prefix(2);
  }
  if (!is_authority(authority)) return std::unexpected("its host is none; an origin has no path");
  return pattern;
}

bool OriginPattern::matches(std::string_view origin) const {
  if (!any_host_) return ascii::equal_ignoring_case(origin, before_);
  if (origin.size() <= before_.size() + after_.size()) return false;
  std::string_view host = origin.substr(before_.size(), origin.size() - before_.size() - after_.size());
  return ascii::equal_ignoring_case(origin.substr(0, before_.size()), before_) &&
         ascii::equal_ignoring_case(origin.substr(origin.size() - after_.size()), after_) &&
         is_authority(host) && host.find(':') == host.npos;
}

}  // namespace sluice::http
