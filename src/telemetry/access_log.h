// The access log: one line for each exchange, formatted by the worker into a block of its own and written by
// somebody else. Writing a record never waits; when the writer is behind the line is dropped and counted.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "base/time.h"
#include "telemetry/log_sink.h"
#include "telemetry/metrics.h"
#include "telemetry/text.h"

namespace sluice::telemetry {

enum class LogFormat : uint8_t { kJson, kText };

enum class ErrorBy : uint8_t { kNobody, kGateway, kUpstream, kClient };

/// One exchange (contract, section 3a), or one connection or session of a stream. An empty text, a zero
/// `status`, `tries` or `revision` and an absent option mean "not known" and leave the field out. Texts may
/// hold any bytes; they are escaped and bounded here.
struct AccessRecord {
  WallTime time = {};  // when the request's head had come
  std::string_view request_id = {};
  std::string_view client_request_id = {};
  std::string_view trace_id = {};
  std::string_view listener = {};
  std::string_view client_address = {};
  std::string_view method = {};
  std::string_view host = {};
  std::string_view path = {};  // without the query
  std::string_view protocol = {};
  std::string_view api = {};
  std::string_view route = {};
  std::string_view stream = {};  // of what is not HTTP, instead of API and route
  std::string_view consumer = {};
  std::string_view credential = {};  // its public prefix
  std::string_view plan = {};
  uint16_t status = 0;
  std::optional<uint8_t> grpc_status = {};  // of a gRPC call
  ErrorBy error_by = ErrorBy::kNobody;
  std::string_view error_code = {};
  std::string_view dry_run = {};  // code of a refusal that was not enforced
  uint16_t close_code = 0;        // of a WebSocket
  std::string_view upstream = {};
  std::string_view target = {};
  uint32_t tries = 0;
  std::optional<uint64_t> request_bytes = {};   // head and body, as they came
  std::optional<uint64_t> response_bytes = {};  // head and body, as they went out
  std::optional<Duration> total = {};
  std::optional<Duration> upstream_time = {};
  std::optional<Duration> gateway_time = {};
  std::string_view cache = {};
  uint64_t revision = 0;
};

/// A record that outlives the texts it was made of.
class KeptRecord {
 public:
  explicit KeptRecord(const AccessRecord& record);
  const AccessRecord& record() const { return record_; }

 private:
  AccessRecord record_;
  std::unique_ptr<char[]> texts_;
};

/// Longest texts in a line, in bytes after escaping; what is cut ends in "...".
inline constexpr size_t kLogPathBytes = 2048;
inline constexpr size_t kLogTextBytes = 256;
/// No line is longer.
inline constexpr size_t kLogLineBytes = 8192;

/// `kJson`: one object, fields as in the contract. `kText`: the common log format, then host, route, target,
/// seconds, request id and error, "-" where not known:
///   ADDRESS - CONSUMER [06/May/2024:07:08:09 +0000] "GET /path HTTP/1.1" 200 512 "HOST" API/ROUTE TARGET
///   0.001234 ID CODE
///
/// One worker's access log; for its thread only.
class AccessLog {
 public:
  static constexpr Duration kFlushInterval = std::chrono::seconds(1);

  /// `dropped` counts in `metrics` the lines for which there was no block.
  AccessLog(std::unique_ptr<LogChannel> channel, LogFormat format, WorkerMetrics& metrics, Counter dropped);
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;
  ~AccessLog();  // flushes

  void write(const AccessRecord& record);
  /// Hands over what is there. To be called no later than kFlushInterval after a line was written.
  void flush();

 private:
  char* append_json(char* to, const AccessRecord& record);
  char* append_text(char* to, const AccessRecord& record);

  std::unique_ptr<LogChannel> channel_;
  LogBlock* block_ = nullptr;
  LogFormat format_;
  WorkerMetrics& metrics_;
  Counter dropped_;
  TimeText time_;
};

}  // namespace sluice::telemetry
