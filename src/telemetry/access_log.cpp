#include "telemetry/access_log.h"

namespace sluice::telemetry {
namespace {

/// A text field, or nothing when it is not known. `key` has its comma, quotes and colon: `,"host":`.
char* text_field(char* to, std::string_view key, std::string_view text, size_t limit = kLogTextBytes) {
  if (text.empty()) return to;
  to = append(to, key);
  *to++ = '"';
  to = append_escaped(to, text, limit);
  *to++ = '"';
  return to;
}
char* number_field(char* to, std::string_view key, uint64_t value) {
  return append_decimal(append(to, key), value);
}
char* seconds_field(char* to, std::string_view key, std::optional<Duration> value) {
  return value ? append_seconds(append(to, key), *value) : to;
}

std::string_view or_dash(std::string_view text) { return text.empty() ? "-" : text; }

std::string_view error_by_text(ErrorBy by) {
  switch (by) {
    case ErrorBy::kNobody:
      return {};
    case ErrorBy::kGateway:
      return "gateway";
    case ErrorBy::kUpstream:
      return "upstream";
    case ErrorBy::kClient:
      return "client";
  }
  return {};
}

}  // namespace

KeptRecord::KeptRecord(const AccessRecord& record) : record_(record) {
  static constexpr std::string_view AccessRecord::* kTexts[] = {
      &AccessRecord::request_id,     &AccessRecord::client_request_id,
      &AccessRecord::trace_id,       &AccessRecord::listener,
      &AccessRecord::client_address, &AccessRecord::method,
      &AccessRecord::host,           &AccessRecord::path,
      &AccessRecord::protocol,       &AccessRecord::api,
      &AccessRecord::route,          &AccessRecord::consumer,
      &AccessRecord::credential,     &AccessRecord::plan,
      &AccessRecord::error_code,     &AccessRecord::dry_run,
      &AccessRecord::upstream,       &AccessRecord::target,
      &AccessRecord::cache};
  size_t total = 0;
  // A line shows no more of a text; one byte beyond says that it was longer.
  for (auto text : kTexts) {
    record_.*text = (record_.*text).substr(0, kLogPathBytes + 1);
    total += (record_.*text).size();
  }
  texts_ = std::make_unique_for_overwrite<char[]>(total);
  char* to = texts_.get();
  for (auto text : kTexts) {
    std::string_view& piece = record_.*text;
    if (!piece.empty()) std::memcpy(to, piece.data(), piece.size());
    piece = {to, piece.size()};
    to += piece.size();
  }
}

AccessLog::AccessLog(std::unique_ptr<LogChannel> channel, LogFormat format, WorkerMetrics& metrics,
                     Counter dropped)
    : channel_(std::move(channel)), format_(format), metrics_(metrics), dropped_(dropped) {}

AccessLog::~AccessLog() { flush(); }

void AccessLog::write(const AccessRecord& record) {
  if (block_ && LogBlock::kBytes - block_->used < kLogLineBytes) flush();
  if (!block_) block_ = channel_->take();
  if (!block_) [[unlikely]] {
    metrics_.add(dropped_);
    return;
  }
  char* line = block_->bytes + block_->used;
  char* end = format_ == LogFormat::kJson ? append_json(line, record) : append_text(line, record);
  *end++ = '\n';
  block_->used += static_cast<size_t>(end - line);
  ++block_->lines;
}

void AccessLog::flush() {
  if (!block_ || block_->used == 0) return;
  channel_->give(block_);
  block_ = nullptr;
}

char* AccessLog::append_json(char* to, const AccessRecord& r) {
  to = append(to, R"({"time":")");
  to = time_.append_rfc3339(to, r.time);
  *to++ = '"';
  to = text_field(to, R"(,"request_id":)", r.request_id);
  to = text_field(to, R"(,"client_request_id":)", r.client_request_id);
  to = text_field(to, R"(,"trace_id":)", r.trace_id);
  to = text_field(to, R"(,"listener":)", r.listener);
  to = text_field(to, R"(,"client_address":)", r.client_address);
  to = text_field(to, R"(,"method":)", r.method);
  to = text_field(to, R"(,"host":)", r.host);
  to = text_field(to, R"(,"path":)", r.path, kLogPathBytes);
  to = text_field(to, R"(,"protocol":)", r.protocol);
  to = text_field(to, R"(,"api":)", r.api);
  to = text_field(to, R"(,"route":)", r.route);
  to = text_field(to, R"(,"stream":)", r.stream);
  to = text_field(to, R"(,"consumer":)", r.consumer);
  to = text_field(to, R"(,"credential":)", r.credential);
  to = text_field(to, R"(,"plan":)", r.plan);
  if (r.status != 0) to = number_field(to, R"(,"status":)", r.status);
  if (r.grpc_status) to = number_field(to, R"(,"grpc_status":)", *r.grpc_status);
  to = text_field(to, R"(,"error_by":)", error_by_text(r.error_by));
  to = text_field(to, R"(,"error_code":)", r.error_code);
  to = text_field(to, R"(,"dry_run":)", r.dry_run);
  if (r.close_code != 0) to = number_field(to, R"(,"close_code":)", r.close_code);
  to = text_field(to, R"(,"upstream":)", r.upstream);
  to = text_field(to, R"(,"target":)", r.target);
  if (r.tries != 0) to = number_field(to, R"(,"tries":)", r.tries);
  if (r.request_bytes) to = number_field(to, R"(,"request_bytes":)", *r.request_bytes);
  if (r.response_bytes) to = number_field(to, R"(,"response_bytes":)", *r.response_bytes);
  to = seconds_field(to, R"(,"seconds":)", r.total);
  to = seconds_field(to, R"(,"upstream_seconds":)", r.upstream_time);
  to = seconds_field(to, R"(,"gateway_seconds":)", r.gateway_time);
  to = text_field(to, R"(,"cache":)", r.cache);
  if (r.revision != 0) to = number_field(to, R"(,"revision":)", r.revision);
  *to++ = '}';
  return to;
}

char* AccessLog::append_text(char* to, const AccessRecord& r) {
  auto token = [&](std::string_view text, char after) {
    to = append_token(to, text, kLogTextBytes);
    *to++ = after;
  };
  token(r.client_address, ' ');
  to = append(to, "- ");
  token(r.consumer, ' ');
  *to++ = '[';
  to = time_.append_common(to, r.time);
  to = append(to, "] \"");
  token(r.method, ' ');
  to = append_escaped(to, or_dash(r.path), kLogPathBytes);
  *to++ = ' ';
  token(r.protocol, '"');
  *to++ = ' ';
  if (r.status == 0) *to++ = '-';
  if (r.status != 0) to = append_decimal(to, r.status);
  *to++ = ' ';
  if (!r.response_bytes) *to++ = '-';
  if (r.response_bytes) to = append_decimal(to, *r.response_bytes);
  to = append(to, " \"");
  to = append_escaped(to, or_dash(r.host), kLogTextBytes);
  to = append(to, "\" ");
  token(r.stream.empty() ? r.api : r.stream, '/');
  token(r.route, ' ');
  token(r.target, ' ');
  if (!r.total) *to++ = '-';
  if (r.total) to = append_seconds(to, *r.total);
  *to++ = ' ';
  token(r.request_id, ' ');
  return append_token(to, r.error_code, kLogTextBytes);
}

}  // namespace sluice::telemetry
