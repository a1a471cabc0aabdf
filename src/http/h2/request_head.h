// Makes a Request of the fields of an HTTP/2 request (RFC 9113, section 8.3). nghttp2 has checked what makes
// a message malformed; here is what remains: limits, and the same rules for hosts, paths and values that the
// HTTP/1 parser has.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/error.h"
#include "http/limits.h"
#include "http/message.h"

namespace sluice::http::h2 {

/// The fields of one head, or of one trailer section. Texts are copied into the arena of the fields.
class RequestHead {
 public:
  explicit RequestHead(Request& request) : request_(request) {}

  /// False: so much larger than allowed that it is not worth reading through.
  bool add(std::string_view name, std::string_view value, const Limits& limits);
  /// After the last field. `ended`: no body follows.
  void finish(bool ended);

  /// Why the request must be refused; null: it need not. Of static storage.
  const Error* refused() const { return refused_; }
  void refuse(const Error& error) {
    if (!refused_) refused_ = &error;
  }
  bool expects_continue() const { return expects_continue_; }
  bool te_trailers() const { return te_trailers_; }
  /// The protocol that a CONNECT asks for (RFC 8441); it has become a GET, as in HTTP/1.1.
  std::string_view upgrade() const { return upgrade_; }

 private:
  void add_pseudo(std::string_view name, std::string_view value, const Limits& limits);
  void add_field(std::string_view name, std::string_view value);
  void finish_method();
  void finish_authority();
  void finish_target();
  void finish_body(bool ended);
  void join_cookies();
  std::string_view copy(std::string_view text) { return request_.fields.arena().copy(text); }

  Request& request_;
  const Error* refused_ = nullptr;
  uint64_t bytes_ = 0;
  uint32_t count_ = 0;
  uint32_t cookies_ = 0;
  std::string_view authority_;
  std::string_view host_;
  std::string_view length_;
  std::string_view upgrade_;
  bool has_authority_ = false;
  bool has_host_ = false;
  bool has_length_ = false;
  bool expects_continue_ = false;
  bool te_trailers_ = false;
};

}  // namespace sluice::http::h2
