// DNS answers about a service: a verdict on any bytes; what comes of them can be connected to, and is
// bounded.
#include "check.h"
#include "io/cares/service_answer.h"

using namespace sluice::io;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto found = parse_service_answer({data, size});
  if (!found) return 0;
  SLUICE_FUZZ_CHECK(found->records.size() <= kMaxServiceRecords);
  SLUICE_FUZZ_CHECK(found->ttl >= sluice::Duration::zero());
  for (const ServiceRecord& record : found->records) {
    SLUICE_FUZZ_CHECK(record.port != 0 && !record.host.empty() && record.host.size() <= 253);
    for (char c : record.host) SLUICE_FUZZ_CHECK(c > ' ' && c < 0x7f && c != '/' && c != ':');
  }
  return 0;
}
