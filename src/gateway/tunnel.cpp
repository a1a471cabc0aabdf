#include "gateway/tunnel.h"

#include "gateway/worker.h"

namespace sluice::gateway {

Tunnel::Tunnel(Exchange& exchange, io::Stream& client)
    : worker_(exchange.worker),
      client_(client),
      since_(exchange.now()),
      taken_before_(client.bytes_taken()),
      written_before_(client.bytes_written()) {}

void Tunnel::begin() { worker_.add_tunnel(*this); }

Tunnel::~Tunnel() = default;

void Tunnel::keep(const telemetry::AccessRecord& record) {
  record_ = std::make_unique<telemetry::KeptRecord>(record);
}

void Tunnel::ended(const TunnelEnd& end) {
  uint64_t received = client_.bytes_taken() - taken_before_;
  uint64_t sent = client_.bytes_written() - written_before_;
  worker_.account_tunnel(end, received, sent);
  if (!record_) return;
  telemetry::AccessRecord record = record_->record();
  record.error_code = end.error_code;
  record.error_by = end.error_by;
  record.close_code = end.count.close_code;
  if (!end.dry_run.empty()) record.dry_run = end.dry_run;
  record.request_bytes = record.request_bytes.value_or(0) + received;
  record.response_bytes = record.response_bytes.value_or(0) + sent;
  record.total = record.total.value_or(Duration()) + (worker_.loop().now() - since_);
  worker_.log(record);
}

}  // namespace sluice::gateway
