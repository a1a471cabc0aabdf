#include "policies/transform/grpc_transcode/http_template.h"

#include <algorithm>

#include "base/ascii.h"

namespace sluice::policies::grpc {

namespace {

bool is_field_path(std::string_view text) {
  bool begins = true;  // a name: no digit here, and not the end
  for (char c : text) {
    if (c == '.' ? begins : !(ascii::is_alpha(c) || c == '_' || (ascii::is_digit(c) && !begins)))
      return false;
    begins = c == '.';
  }
  return !begins;
}

}  // namespace

class HttpTemplate::Parser {
 public:
  Parser(std::string_view text, HttpTemplate& out) : rest_(text), out_(out) {}

  /// The problem, or empty.
  std::string_view run() {
    if (!rest_.starts_with('/')) return "must start with `/`";
    split_verb();
    if (rest_ == "/") {
      out_.route_path_ = "/" + std::string(verb_);
      return {};
    }
    while (!rest_.empty() && problem_.empty()) {
      if (rest_.front() != '/') return "has something else than `/` between its segments";
      rest_.remove_prefix(1);
      if (rest_.starts_with('{'))
        variable();
      else
        segment(take_until("/"));
    }
    if (!problem_.empty()) return problem_;
    if (last_is_wildcard_)
      out_.suffix_ = verb_;
    else
      out_.route_path_ += verb_;
    return {};
  }

 private:
  /// The verb is what follows a colon behind the last segment.
  void split_verb() {
    size_t colon = rest_.rfind(':');
    if (colon == std::string_view::npos || rest_.find_first_of("/}", colon) != std::string_view::npos) return;
    verb_ = rest_.substr(colon);
    rest_ = rest_.substr(0, colon);
    if (verb_.size() == 1) problem_ = "has no verb behind its colon";
  }

  std::string_view take_until(std::string_view stop) {
    std::string_view taken = rest_.substr(0, rest_.find_first_of(stop));
    rest_.remove_prefix(taken.size());
    return taken;
  }

  void segment(std::string_view text) {
    if (saw_rest_) return fail("has something behind `**`");
    if (text.empty()) return fail("has an empty segment");
    last_is_wildcard_ = text == "*" || text == "**";
    saw_rest_ = text == "**";
    if (!last_is_wildcard_ && text.find_first_of("*{}=:") != std::string_view::npos)
      return fail("has a segment that is neither a text, nor `*`, `**` or `{variable}`");
    out_.route_path_ += '/';
    if (saw_rest_)
      out_.route_path_ += "**";
    else if (last_is_wildcard_)
      out_.route_path_ += "{" + std::to_string(++wildcards_) + "}";
    else
      out_.route_path_ += text;
    ++segments_;
  }

  void variable() {
    rest_.remove_prefix(1);
    Variable variable;
    variable.field_path = take_until("=}");
    variable.first = segments_;
    if (!is_field_path(variable.field_path)) return fail("has a variable whose name is no field path");
    for (const Variable& other : out_.variables_)
      if (other.field_path == variable.field_path) return fail("names a variable twice");
    if (rest_.starts_with('=')) {
      do {
        rest_.remove_prefix(1);
        segment(take_until("/}"));
      } while (rest_.starts_with('/') && problem_.empty());
    } else {
      segment("*");
    }
    if (!rest_.starts_with('}')) return fail("has a `{` without its `}`");
    rest_.remove_prefix(1);
    variable.end = saw_rest_ ? Variable::kToTheEnd : segments_;
    variable.one_segment = !saw_rest_ && segments_ == variable.first + 1;
    out_.variables_.push_back(std::move(variable));
  }

  void fail(std::string_view problem) {
    if (problem_.empty()) problem_ = problem;
  }

  std::string_view rest_;
  HttpTemplate& out_;
  std::string_view verb_;
  std::string_view problem_;
  uint16_t segments_ = 0;
  int wildcards_ = 0;
  bool saw_rest_ = false;
  bool last_is_wildcard_ = false;
};

std::expected<HttpTemplate, std::string> HttpTemplate::parse(std::string_view text) {
  HttpTemplate out;
  if (text.size() > 8 * 1024) return std::unexpected("is too long");
  std::string_view problem = Parser(text, out).run();
  if (!problem.empty()) return std::unexpected(std::string(problem));
  return out;
}

std::string_view HttpTemplate::value(const Variable& variable, std::string_view path, Arena& arena) const {
  path.remove_suffix(std::min(path.size(), suffix_.size()));
  // Segment i begins behind the slash number i.
  auto after_slash = [&](size_t number) {
    size_t at = 0;
    for (size_t slashes = 0; at < path.size(); ++at)
      if (path[at] == '/' && slashes++ == number) return at + 1;
    return path.size() + 1;  // as if a slash followed
  };
  size_t begin = std::min(after_slash(variable.first), path.size());
  size_t end = variable.end == Variable::kToTheEnd ? path.size() : after_slash(variable.end) - 1;
  std::string_view raw = path.substr(begin, end - std::min(begin, end));
  if (raw.find('%') == std::string_view::npos) return raw;

  char* out = arena.allocate_chars(raw.size());
  char* at = out;
  for (size_t i = 0; i < raw.size(); ++i) {
    // The codec has seen to it that every escape is whole.
    bool escape = raw[i] == '%' && i + 2 < raw.size();
    if (escape && (variable.one_segment || raw.substr(i, 3) != "%2F")) {
      *at++ = static_cast<char>(ascii::hex_value(raw[i + 1]) * 16 + ascii::hex_value(raw[i + 2]));
      i += 2;
    } else {
      *at++ = raw[i];
    }
  }
  return {out, static_cast<size_t>(at - out)};
}

}  // namespace sluice::policies::grpc
