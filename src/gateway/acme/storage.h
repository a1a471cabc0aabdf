// Files of the gateway's state that hold secrets: whole or not there, readable by nobody else.
#pragma once

#include <expected>
#include <string>

namespace sluice::gateway::acme {

/// Nothing: there is no such file, or it cannot be read.
std::string read_secret(const std::string& path);
/// Makes the folders that are missing. The error is the system's text.
std::expected<void, std::string> write_secret(const std::string& path, const std::string& text);

}  // namespace sluice::gateway::acme
