// Whether this system has the io_uring that the back-end needs.
#pragma once

#include <expected>
#include <string>

namespace sluice::io {

/// Found by doing what the back-end does: system calls may be there and refused, and what multishot receives
/// lack shows only in their completions. The error says in words what is missing. Costs some microseconds.
std::expected<void, std::string> probe_uring();

}  // namespace sluice::io
