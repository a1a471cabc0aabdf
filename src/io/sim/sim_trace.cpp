#include "io/sim/sim_trace.h"

#include <fmt/format.h>

namespace sluice::io {

namespace {

std::string_view event_name(SimTrace::Event event) {
  static constexpr std::array<std::string_view, 11> kNames = {
      "connect", "accept", "write", "arrive", "read", "end", "reset", "close", "messages", "ask", "fault"};
  return kNames[static_cast<size_t>(event)];
}

}  // namespace

void SimTrace::keep(const Entry& entry) {
  if (entries_.size() == kKept) entries_.pop_front();
  entries_.push_back(entry);
}

std::string SimTrace::text() const {
  std::string text;
  for (const Entry& entry : entries_) {
    fmt::format_to(std::back_inserter(text), "{:.9f} loop {} ", seconds(entry.at.time_since_epoch()),
                   entry.loop);
    if (entry.connection) fmt::format_to(std::back_inserter(text), "connection {} ", entry.connection);
    text += event_name(entry.event);
    if (entry.event == Event::kFault)
      fmt::format_to(std::back_inserter(text), " {}\n", fault_name(static_cast<FaultKind>(entry.detail)));
    else
      fmt::format_to(std::back_inserter(text), " {}\n", entry.detail);
  }
  return text;
}

}  // namespace sluice::io
