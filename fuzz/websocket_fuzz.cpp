// WebSocket frames: whatever the pieces the reader finds the same frames and the checker says the same; what
// it lets pass is sound, and a beginning of what came.
#include <string>

#include "check.h"
#include "http/websocket/message_checker.h"

using namespace sluice;
using namespace sluice::http::websocket;

namespace {

/// The frames' heads and payloads as text.
std::string frames_of(std::string_view text, size_t piece) {
  FrameReader reader;
  std::string seen;
  while (!text.empty()) {
    std::string_view input = text.substr(0, piece);
    text.remove_prefix(input.size());
    while (!input.empty()) {
      switch (reader.next(input)) {
        case FrameReader::Event::kHead: {
          std::array<char, kMaxHeadBytes> bytes;
          seen.append(bytes.data(), write_frame_head(reader.head(), bytes));
          break;
        }
        case FrameReader::Event::kPayload:
          SLUICE_FUZZ_CHECK(reader.payload_offset() + reader.payload().size() <= reader.head().length);
          seen += reader.payload();
          break;
        case FrameReader::Event::kBad:
          return seen + "bad";
        case FrameReader::Event::kNeedMore:
          break;
      }
    }
  }
  return seen.append(reader.kept());
}

struct Verdict {
  std::string passed;
  uint16_t code = 0;
  uint64_t messages = 0;
  bool whole = false;
};

Verdict check_in_pieces(std::string_view text, size_t piece, const MessageLimits& limits,
                        MessageChecker::Sender sender) {
  MessageChecker checker(sender, limits);
  Verdict verdict;
  while (!text.empty() && !checker.violation()) {
    std::string input(text.substr(0, piece));  // of its own, so that reading beyond it is seen
    text.remove_prefix(input.size());
    size_t passed = checker.check(input, Instant());
    verdict.passed.append(checker.held()).append(input, 0, passed);
  }
  if (checker.violation()) verdict.code = checker.violation()->code;
  verdict.messages = checker.messages();
  verdict.whole = checker.at_boundary();
  return verdict;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::string_view text(reinterpret_cast<const char*>(data + 2), size - 2);
  size_t piece = size_t{data[0]} + 1;
  // A frame written anew in its shortest form, the only one that is read, is what came.
  std::string whole = frames_of(text, text.size() + 1);
  SLUICE_FUZZ_CHECK(frames_of(text, piece) == whole);
  SLUICE_FUZZ_CHECK(whole.ends_with("bad") || whole == text);

  MessageLimits limits{.compression = (data[1] & 2) != 0};
  if (data[1] & 4) limits.max_message = data[1];
  if (data[1] & 8) {
    limits.rate_count = 3;
    limits.rate_period = std::chrono::seconds(1);
  }
  auto sender = data[1] & 1 ? MessageChecker::Sender::kClient : MessageChecker::Sender::kServer;
  Verdict at_once = check_in_pieces(text, text.size() + 1, limits, sender);
  Verdict pieces = check_in_pieces(text, piece, limits, sender);
  SLUICE_FUZZ_CHECK(pieces.code == at_once.code && pieces.messages == at_once.messages);
  SLUICE_FUZZ_CHECK(text.starts_with(at_once.passed) && text.starts_with(pieces.passed));
  // Of a text that is refused within a frame more or less may have passed.
  if (at_once.code != kNotUtf8)
    SLUICE_FUZZ_CHECK(pieces.passed == at_once.passed && pieces.whole == at_once.whole);
  // What has passed passes again.
  Verdict again = check_in_pieces(at_once.passed, piece, limits, sender);
  SLUICE_FUZZ_CHECK(again.code == 0 || at_once.code == kNotUtf8);
  return 0;
}
