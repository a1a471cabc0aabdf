// What a peer may make an HTTP/2 connection do. None of it is a matter of taste that a user would set: each
// bound is far above what honest clients need, and far below what hurts.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace sluice::http::h2 {

/// Requests at once on one connection (SETTINGS_MAX_CONCURRENT_STREAMS); more are refused and may be sent
/// again.
inline constexpr uint32_t kMostStreams = 100;
/// Bytes of request bodies that wait here unread: of one stream, and of a connection.
inline constexpr uint32_t kStreamWindow = 128 * 1024;
inline constexpr uint32_t kConnectionWindow = 1024 * 1024;
/// Towards a server: requests at once on one connection, at most, whatever it allows; and a window in which
/// all of their answers fit, so that a client that does not read its answer holds up no other.
inline constexpr uint32_t kMostRequests = 100;
inline constexpr uint32_t kClientConnectionWindow = kMostRequests * kStreamWindow;
/// CONTINUATION frames after one HEADERS frame: eight of them hold 128 KiB of compressed fields.
inline constexpr uint32_t kMostContinuations = 8;
/// A head may be so many times larger than `request_head` and is still answered with 431; beyond that the
/// connection ends, for reading it through is work too.
inline constexpr uint32_t kHopelessHeads = 16;
/// Settings in one frame (RFC 9113 knows six, others added two).
inline constexpr size_t kMostSettings = 32;
/// Answers to a client's frames (acknowledgements, resets) that wait because it does not read.
inline constexpr size_t kMostQueuedFrames = 1000;

/// How many of something at once, and how many a second over time.
struct Allowance {
  uint32_t burst;
  uint32_t per_second;
};
/// What a client does that costs us work and brings no request on. Useful traffic earns more, as the session
/// says.
inline constexpr Allowance kResets{200, 20};  // RFC 9113, section 10.5; CVE-2023-44487
inline constexpr Allowance kSettingsFrames{50, 5};
inline constexpr Allowance kPings{200, 20};
inline constexpr Allowance kPriorities{500, 20};
inline constexpr Allowance kWindowUpdates{1000, 100};
inline constexpr Allowance kEmptyFrames{200, 20};  // DATA without a byte, frames of unknown types

/// How long a client may take to acknowledge the first notice of a drain.
inline constexpr Duration kNoticeTime = std::chrono::seconds(1);
/// How long, and how many bytes, are read and thrown away after the last frame, so that the client can read
/// that.
inline constexpr Duration kLingerTime = std::chrono::seconds(2);
inline constexpr size_t kLingerBytes = 1 << 20;
/// How long the rest of a request that is answered already is awaited before the stream is reset: clients
/// take a reset badly, and most have little left to send.
inline constexpr Duration kRestTime = std::chrono::seconds(1);
/// Requests that we reset, of which frames may still be on their way.
inline constexpr size_t kRememberedResets = 128;
/// How long a last answer may take once the exchange's own time is over.
inline constexpr Duration kLastAnswerTime = std::chrono::seconds(2);

}  // namespace sluice::http::h2
