// Which TLS library this is.
#pragma once

#include <string_view>

namespace sluice::tls {

/// "OpenSSL 3.0.22 25 Aug 2026".
std::string_view library_version();

}  // namespace sluice::tls
