#include "policies/transform/error_pages/page_template.h"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "http/message.h"

namespace sluice::policies {

PageTemplate::PageTemplate(std::string_view text, Escape escape) : escape_(escape) {
  constexpr std::pair<std::string_view, Place> kPlaces[] = {{"{status}", Place::kStatus},
                                                            {"{reason}", Place::kReason},
                                                            {"{code}", Place::kCode},
                                                            {"{detail}", Place::kDetail},
                                                            {"{request_id}", Place::kRequestId}};
  pieces_.emplace_back();
  while (!text.empty()) {
    Place found = Place::kNone;
    size_t size = 1;
    for (const auto& [name, place] : kPlaces) {
      if (!text.starts_with(name)) continue;
      found = place;
      size = name.size();
    }
    if (found == Place::kNone) {
      pieces_.back().text += text.front();
    } else {
      pieces_.back().after = found;
      pieces_.emplace_back();
    }
    text.remove_prefix(size);
  }
}

std::string_view PageTemplate::escaped(std::string_view value, Arena& arena) const {
  if (escape_ == Escape::kNone) return value;
  std::string out;
  for (char c : value) {
    auto byte = static_cast<unsigned char>(c);
    bool markup = c == '<' || c == '>' || c == '&' || c == '"' || c == '\'';
    bool json = c == '"' || c == '\\' || byte < 0x20;
    if (escape_ == Escape::kMarkup && markup)
      out += fmt::format("&#{};", byte);
    else if (escape_ == Escape::kJson && json)
      out += fmt::format("\\u{:04x}", byte);
    else
      out += c;
  }
  return arena.copy(out);
}

std::string_view PageTemplate::fill(const Values& values, Arena& arena) const {
  if (pieces_.size() == 1) return pieces_.front().text;
  std::string out;
  for (const Piece& piece : pieces_) {
    out += piece.text;
    switch (piece.after) {
      case Place::kNone:
        break;
      case Place::kStatus:
        out += std::to_string(values.status);
        break;
      case Place::kReason:
        out += escaped(http::reason_phrase(values.status), arena);
        break;
      case Place::kCode:
        out += escaped(values.code, arena);
        break;
      case Place::kDetail:
        out += escaped(values.detail, arena);
        break;
      case Place::kRequestId:
        out += escaped(values.request_id, arena);
        break;
    }
  }
  return arena.copy(out);
}

}  // namespace sluice::policies
