// PROXY headers: a verdict on any bytes, that more bytes behind them do not change; what was understood can
// be written and is understood again.
#include "check.h"
#include "io/proxy_protocol.h"

using namespace sluice::io;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  auto header = parse_proxy_header(input);
  auto again = parse_proxy_header(std::string(input) + "what follows");
  if (!header) {
    if (header.error() == ProxyHeaderProblem::kMalformed)
      SLUICE_FUZZ_CHECK(!again && again.error() == ProxyHeaderProblem::kMalformed);
    else
      SLUICE_FUZZ_CHECK(input.size() < kMaxProxyHeaderBytes);
    return 0;
  }
  SLUICE_FUZZ_CHECK(again && again->size == header->size && again->source == header->source);
  SLUICE_FUZZ_CHECK(header->size > 0 && header->size <= input.size() && header->size <= kMaxProxyHeaderBytes);
  for (size_t part = 0; part < header->size; ++part) {
    auto beginning = parse_proxy_header(input.substr(0, part));
    SLUICE_FUZZ_CHECK(!beginning && beginning.error() == ProxyHeaderProblem::kIncomplete);
  }
  if (!header->known) return 0;
  for (ProxyVersion version : {ProxyVersion::kV1, ProxyVersion::kV2}) {
    auto written = parse_proxy_header(write_proxy_header(version, header->source, header->destination));
    SLUICE_FUZZ_CHECK(written && written->source.unmapped() == header->source.unmapped());
    SLUICE_FUZZ_CHECK(written->destination.unmapped() == header->destination.unmapped());
  }
  return 0;
}
