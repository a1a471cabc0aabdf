// ClientHellos: a verdict on any bytes, that more bytes behind them do not change, nor other records around
// the same message.
#include "check.h"
#include "tls/client_hello.h"
#include "tls/client_hello_fixture.h"

using namespace sluice::tls;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view input(reinterpret_cast<const char*>(data), size);
  auto hello = parse_client_hello(input);
  std::string longer = std::string(input) + "what follows";
  auto again = parse_client_hello(longer);
  if (hello) {
    SLUICE_FUZZ_CHECK(again && again->server_name == hello->server_name &&
                      again->protocols == hello->protocols);
    SLUICE_FUZZ_CHECK(hello->server_name.size() <= 253);
    for (char c : hello->server_name) SLUICE_FUZZ_CHECK(c > ' ' && (c < 'A' || c > 'Z'));
  } else if (hello.error() != ClientHelloProblem::kIncomplete) {
    SLUICE_FUZZ_CHECK(!again && again.error() == hello.error());
  } else {
    SLUICE_FUZZ_CHECK(input.size() < kMaxClientHelloOnWire + 5);
  }
  // The bytes as a message of their own, whole and split.
  if (size == 0 || size > 4096) return 0;
  std::string message = std::string(1, '\x01') + testing::vector(3, input);
  auto whole = parse_client_hello(testing::record(message));
  auto split = parse_client_hello(testing::in_records(testing::record(message), 1 + size / 32));
  SLUICE_FUZZ_CHECK(whole.has_value() == split.has_value());
  if (whole)
    SLUICE_FUZZ_CHECK(whole->server_name == split->server_name && whole->protocols == split->protocols);
  return 0;
}
