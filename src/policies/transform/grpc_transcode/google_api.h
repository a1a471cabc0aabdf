// The parts of google.api that bindings are written with, for .proto files that import them: the names and
// numbers are Google's, the files need not be at hand.
#pragma once

#include <string_view>

namespace sluice::policies::grpc {

/// The source of "google/api/annotations.proto" and so on; empty: it is none of them.
std::string_view google_api_source(std::string_view name);

}  // namespace sluice::policies::grpc
