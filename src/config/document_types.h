// How the enums and scalars of document.h are written: names of the contract that this build does not have
// yet are known, so that the message can say so.
#pragma once

#include <string>
#include <string_view>

#include "base/ascii.h"
#include "config/document.h"
#include "http/grpc_status.h"

namespace sluice::config {

template <>
struct EnumTraits<IoBackend> {
  static constexpr EnumName<IoBackend> kNames[] = {
      {"auto", IoBackend::kAuto}, {"epoll", IoBackend::kEpoll}, {"io_uring", IoBackend::kUring}};
};
template <>
struct EnumTraits<ListenerProtocol> {
  static constexpr EnumName<ListenerProtocol> kNames[] = {{"tcp", ListenerProtocol::kTcp},
                                                          {"udp", ListenerProtocol::kUdp}};
};
template <>
struct EnumTraits<ListenerProxyProtocol> {
  static constexpr EnumName<ListenerProxyProtocol> kNames[] = {
      {"off", ListenerProxyProtocol::kOff},
      {"trusted", ListenerProxyProtocol::kTrusted},
      {"required", ListenerProxyProtocol::kRequired}};
};
template <>
struct EnumTraits<UpstreamProxyProtocol> {
  static constexpr EnumName<UpstreamProxyProtocol> kNames[] = {{"off", UpstreamProxyProtocol::kOff},
                                                               {"v1", UpstreamProxyProtocol::kV1},
                                                               {"v2", UpstreamProxyProtocol::kV2}};
};
template <>
struct EnumTraits<StreamTls> {
  static constexpr EnumName<StreamTls> kNames[] = {{"passthrough", StreamTls::kPassthrough},
                                                   {"terminate", StreamTls::kTerminate}};
};
template <>
struct EnumTraits<AccessLogFormat> {
  static constexpr EnumName<AccessLogFormat> kNames[] = {
      {"json", AccessLogFormat::kJson}, {"text", AccessLogFormat::kText}, {"off", AccessLogFormat::kOff}};
};
template <>
struct EnumTraits<ErrorFormat> {
  static constexpr EnumName<ErrorFormat> kNames[] = {{"problem", ErrorFormat::kProblem}};
};
template <>
struct EnumTraits<SharingMode> {
  static constexpr EnumName<SharingMode> kNames[] = {
      {"local", SharingMode::kLocal}, {"lease", SharingMode::kLease}, {"strict", SharingMode::kStrict}};
};
template <>
struct EnumTraits<StoreFailure> {
  static constexpr EnumName<StoreFailure> kNames[] = {
      {"allow", StoreFailure::kAllow}, {"deny", StoreFailure::kDeny}, {"local", StoreFailure::kLocal}};
};
template <>
struct EnumTraits<RateAlgorithm> {
  static constexpr EnumName<RateAlgorithm> kNames[] = {{"gcra", RateAlgorithm::kGcra},
                                                       {"sliding_window", RateAlgorithm::kSlidingWindow},
                                                       {"fixed_window", RateAlgorithm::kFixedWindow}};
};
template <>
struct EnumTraits<UpstreamProtocol> {
  static constexpr EnumName<UpstreamProtocol> kNames[] = {{"auto", UpstreamProtocol::kAuto},
                                                          {"h1", UpstreamProtocol::kH1},
                                                          {"h2", UpstreamProtocol::kH2},
                                                          {"h2c", UpstreamProtocol::kH2c}};
};
template <>
struct EnumTraits<TlsProfile> {
  static constexpr EnumName<TlsProfile> kNames[] = {{"intermediate", TlsProfile::kIntermediate},
                                                    {"modern", TlsProfile::kModern}};
};
template <>
struct EnumTraits<TlsVersion> {
  static constexpr EnumName<TlsVersion> kNames[] = {{"tls1.2", TlsVersion::kTls12},
                                                    {"tls1.3", TlsVersion::kTls13}};
};
template <>
struct EnumTraits<AcmeChallenge> {
  static constexpr EnumName<AcmeChallenge> kNames[] = {{"http-01", AcmeChallenge::kHttp01},
                                                       {"tls-alpn-01", AcmeChallenge::kTlsAlpn01}};
};
template <>
struct EnumTraits<ClientCertificateMode> {
  static constexpr EnumName<ClientCertificateMode> kNames[] = {
      {"off", ClientCertificateMode::kOff},
      {"optional", ClientCertificateMode::kOptional},
      {"required", ClientCertificateMode::kRequired}};
};
template <>
struct EnumTraits<RepeatedSlash> {
  static constexpr EnumName<RepeatedSlash> kNames[] = {
      {"merge", RepeatedSlash::kMerge}, {"keep", RepeatedSlash::kKeep}, {"reject", RepeatedSlash::kReject}};
};
template <>
struct EnumTraits<EncodedSlash> {
  static constexpr EnumName<EncodedSlash> kNames[] = {{"keep", EncodedSlash::kKeep},
                                                      {"reject", EncodedSlash::kReject}};
};

template <>
struct ScalarTraits<Workers> {
  static constexpr std::string_view kName = "`auto` or integer";
  static constexpr std::string_view kExpected = "`auto` or a number from 1 to 1024";
  static constexpr std::string_view kPattern = "^auto$";
  static constexpr bool kPlainNumber = true;
  static Parsed<Workers> parse(std::string_view text) {
    if (text == "auto") return Workers{};
    const auto count = ascii::parse_decimal(text);
    if (!count || *count == 0 || *count > 1024) return std::unexpected(std::string());
    return Workers{static_cast<uint32_t>(*count)};
  }
  static std::string text(const Workers& workers) {
    return workers.count == 0 ? "auto" : std::to_string(workers.count);
  }
};

template <>
struct ScalarTraits<UpstreamHost> {
  static constexpr std::string_view kName = "`received`, `target` or a host";
  static constexpr std::string_view kExpected = "`received`, `target` or a literal host";
  static constexpr std::string_view kPattern = "^[A-Za-z0-9._:\\[\\]-]+$";
  static constexpr bool kPlainNumber = false;
  static Parsed<UpstreamHost> parse(std::string_view text) {
    if (text == "received") return UpstreamHost{};
    if (text == "target") return UpstreamHost{UpstreamHost::Kind::kTarget, {}};
    const bool good = !text.empty() && text.size() <= 255 && std::ranges::all_of(text, [](char c) {
      return ascii::is_alpha(c) || ascii::is_digit(c) ||
             std::string_view("-._:[]").find(c) != std::string_view::npos;
    });
    if (!good) return std::unexpected(std::string());
    return UpstreamHost{UpstreamHost::Kind::kLiteral, std::string(text)};
  }
  static std::string text(const UpstreamHost& host) {
    if (host.kind == UpstreamHost::Kind::kLiteral) return host.literal;
    return host.kind == UpstreamHost::Kind::kTarget ? "target" : "received";
  }
};

template <>
struct ScalarTraits<RetryCondition> {
  using Kind = RetryCondition::Kind;
  static constexpr std::string_view kName = "condition";
  static constexpr std::string_view kExpected =
      "`connect_failure`, `reset`, `timeout`, a status from 400 to 599 or one of gRPC such as `unavailable`";
  static constexpr std::string_view kPattern =
      "^(connect_failure|reset|timeout|[45][0-9][0-9]|cancelled|unknown|invalid_argument|deadline_exceeded|"
      "not_found|already_exists|permission_denied|resource_exhausted|failed_precondition|aborted|out_of_"
      "range|"
      "unimplemented|internal|unavailable|data_loss|unauthenticated)$";
  static constexpr bool kPlainNumber = true;
  static Parsed<RetryCondition> parse(std::string_view text) {
    if (text == "connect_failure") return RetryCondition{Kind::kConnectFailure, 0};
    if (text == "reset") return RetryCondition{Kind::kReset, 0};
    if (text == "timeout") return RetryCondition{Kind::kTimeout, 0};
    const auto status = ascii::parse_decimal(text);
    if (status && *status >= 400 && *status <= 599)
      return RetryCondition{Kind::kStatus, static_cast<uint16_t>(*status)};
    const auto grpc = http::parse_grpc_status_code(text);
    if (grpc && *grpc != http::GrpcStatus::kOk)
      return RetryCondition{Kind::kGrpcStatus, static_cast<uint16_t>(*grpc)};
    static constexpr std::string_view kNames[] = {"connect_failure", "reset",     "timeout",
                                                  "unavailable",     "cancelled", "deadline_exceeded",
                                                  "internal",        "aborted",   "resource_exhausted"};
    const std::string_view meant = nearest(text, kNames);
    if (meant.empty()) return std::unexpected(std::string());
    return std::unexpected("expected " + std::string(kExpected) + "; did you mean `" + std::string(meant) +
                           "`?");
  }
  static std::string text(const RetryCondition& condition) {
    switch (condition.kind) {
      case Kind::kConnectFailure:
        return "connect_failure";
      case Kind::kReset:
        return "reset";
      case Kind::kTimeout:
        return "timeout";
      case Kind::kStatus:
        return std::to_string(condition.status);
      case Kind::kGrpcStatus:
        return std::string(http::grpc_status_code(static_cast<http::GrpcStatus>(condition.status)));
    }
    return {};
  }
};

template <>
struct TypeOf<MatchValue> final : Type {
  bool read(const Node& node, void* into, Reader& reader) const override {
    if (!node.is_scalar()) return reader.expected(node, "a string, a number, `true`, `false` or `null`");
    *static_cast<MatchValue*>(into) = {scalar_kind(node), std::string(node.text)};
    return true;
  }
  void write(const void* from, JsonWriter& json) const override {
    const auto& value = *static_cast<const MatchValue*>(from);
    if (value.kind == ScalarKind::kNull) return json.null();
    if (value.kind == ScalarKind::kBoolean) return json.boolean(ascii::lower(value.text[0]) == 't');
    // As text, when JSON would write the number otherwise ("0x10").
    const bool number = value.kind == ScalarKind::kInteger && ascii::parse_decimal(value.text) &&
                        (value.text[0] != '0' || value.text.size() == 1);
    return number ? json.raw(value.text) : json.string(value.text);
  }
  void write_schema(JsonWriter& json, SchemaWriter&, const Facts&) const override {
    json.key("type").begin_array();
    for (std::string_view type : {"string", "number", "boolean", "null"}) json.string(type);
    json.end_array();
  }
  std::string name() const override { return "JSON value"; }
};

}  // namespace sluice::config
