// The types that a field may have: booleans, numbers, strings, enums, the scalars of values.h, lists, maps in
// the order of the document, optionals, structs. A new scalar specialises `ScalarTraits`, a new enum
// `EnumTraits`.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "config/struct_type.h"
#include "config/type.h"
#include "config/values.h"

namespace sluice::config {

/// A scalar with a text form of its own. A specialisation has
///   static constexpr std::string_view kName;      // for docs: "duration"
///   static constexpr std::string_view kExpected;  // for messages: "a duration such as `150ms`"
///   static constexpr std::string_view kPattern;   // ECMA regular expression for JSON Schema; empty: none
///   static constexpr bool kPlainNumber;           // may also be a plain number
///   static Parsed<T> parse(std::string_view);
///   static std::string text(const T&);
template <class T>
struct ScalarTraits;

/// A name of an enumerator; one with `unsupported` is known to the contract but not to this build.
template <class E>
struct EnumName {
  std::string_view text;
  E value{};
  bool unsupported = false;
};
/// A specialisation has `static std::span<const EnumName<E>> names()`, or a static constexpr array `kNames`.
template <class E>
struct EnumTraits;

template <class E>
std::string_view enum_text(E value) {
  for (const auto& name : EnumTraits<E>::kNames)
    if (name.value == value && !name.unsupported) return name.text;
  return {};
}

namespace detail {
struct EnumChoice {
  std::string_view text;
  bool unsupported;
};
// The parts that do not depend on the C++ type; see types.cpp.
bool read_boolean(const Node&, bool&, Reader&);
bool read_integer(const Node&, int64_t minimum, uint64_t maximum, uint64_t& bits, Reader&);
bool read_double(const Node&, double&, Reader&);
bool read_string(const Node&, std::string&, Reader&);
/// Whether the node can hold a scalar with a text form; false after a report.
bool check_scalar(const Node&, std::string_view expected, Reader&);
bool wrong_value(const Node&, std::string_view expected, const std::string& why, Reader&);
/// The index of the choice, or -1 after a report.
int read_choice(const Node&, std::span<const EnumChoice> choices, Reader&);

void schema_boolean(JsonWriter&);
void schema_integer(JsonWriter&, const Facts&, int64_t minimum, uint64_t maximum);
void schema_double(JsonWriter&, const Facts&);
void schema_string(JsonWriter&);
void schema_scalar(JsonWriter&, std::string_view pattern, bool plain_number);
void schema_choice(JsonWriter&, std::span<const EnumChoice> choices);
void schema_list(JsonWriter&, SchemaWriter&, const Facts&, const Type& item);
void schema_map(JsonWriter&, SchemaWriter&, const Facts&, const Type& item);
std::string plural(const std::string& name);
}  // namespace detail

template <>
struct TypeOf<bool> final : Type {
  bool read(const Node& node, void* into, Reader& reader) const override {
    return detail::read_boolean(node, *static_cast<bool*>(into), reader);
  }
  void write(const void* from, JsonWriter& json) const override {
    json.boolean(*static_cast<const bool*>(from));
  }
  void write_schema(JsonWriter& json, SchemaWriter&, const Facts&) const override {
    detail::schema_boolean(json);
  }
  std::string name() const override { return "boolean"; }
};

template <std::integral T>
struct TypeOf<T> final : Type {
  static constexpr int64_t kMin =
      std::is_signed_v<T> ? static_cast<int64_t>(std::numeric_limits<T>::min()) : 0;
  static constexpr uint64_t kMax = static_cast<uint64_t>(std::numeric_limits<T>::max());

  bool read(const Node& node, void* into, Reader& reader) const override {
    uint64_t bits = 0;
    if (!detail::read_integer(node, kMin, kMax, bits, reader)) return false;
    *static_cast<T*>(into) = static_cast<T>(bits);
    return true;
  }
  void write(const void* from, JsonWriter& json) const override {
    if constexpr (std::is_signed_v<T>)
      json.integer(*static_cast<const T*>(from));
    else
      json.unsigned_integer(*static_cast<const T*>(from));
  }
  void write_schema(JsonWriter& json, SchemaWriter&, const Facts& facts) const override {
    detail::schema_integer(json, facts, kMin, kMax);
  }
  std::string name() const override { return "integer"; }
  std::optional<double> magnitude(const void* value) const override {
    return static_cast<double>(*static_cast<const T*>(value));
  }
};

template <>
struct TypeOf<double> final : Type {
  bool read(const Node& node, void* into, Reader& reader) const override {
    return detail::read_double(node, *static_cast<double*>(into), reader);
  }
  void write(const void* from, JsonWriter& json) const override {
    json.number(*static_cast<const double*>(from));
  }
  void write_schema(JsonWriter& json, SchemaWriter&, const Facts& facts) const override {
    detail::schema_double(json, facts);
  }
  std::string name() const override { return "number"; }
  std::optional<double> magnitude(const void* value) const override {
    return *static_cast<const double*>(value);
  }
};

template <>
struct TypeOf<std::string> final : Type {
  bool read(const Node& node, void* into, Reader& reader) const override {
    return detail::read_string(node, *static_cast<std::string*>(into), reader);
  }
  void write(const void* from, JsonWriter& json) const override {
    json.string(*static_cast<const std::string*>(from));
  }
  void write_schema(JsonWriter& json, SchemaWriter&, const Facts&) const override {
    detail::schema_string(json);
  }
  std::string name() const override { return "string"; }
};

template <class E>
  requires std::is_enum_v<E>
struct TypeOf<E> final : Type {
  bool read(const Node& node, void* into, Reader& reader) const override {
    const int index = detail::read_choice(node, choices_, reader);
    if (index < 0) return false;
    *static_cast<E*>(into) = EnumTraits<E>::kNames[static_cast<size_t>(index)].value;
    return true;
  }
  void write(const void* from, JsonWriter& json) const override {
    json.string(enum_text(*static_cast<const E*>(from)));
  }
  void write_schema(JsonWriter& json, SchemaWriter&, const Facts&) const override {
    detail::schema_choice(json, choices_);
  }
  std::string name() const override {
    std::string out;
    for (const auto& choice : choices_)
      if (!choice.unsupported) out += (out.empty() ? "`" : ", `") + std::string(choice.text) + "`";
    return out;
  }

  TypeOf() {
    for (const auto& name : EnumTraits<E>::kNames) choices_.push_back({name.text, name.unsupported});
  }

 private:
  std::vector<detail::EnumChoice> choices_;
};

template <class T>
  requires requires { ScalarTraits<T>::kName; }
struct TypeOf<T> final : Type {
  using Traits = ScalarTraits<T>;

  bool read(const Node& node, void* into, Reader& reader) const override {
    if (!detail::check_scalar(node, Traits::kExpected, reader)) return false;
    Parsed<T> value = Traits::parse(node.text);
    if (!value) return detail::wrong_value(node, Traits::kExpected, value.error(), reader);
    if (!Traits::kPlainNumber && !node.resolved && scalar_kind(node) == ScalarKind::kInteger)
      return reader.expected(node, Traits::kExpected);
    *static_cast<T*>(into) = std::move(*value);
    return true;
  }
  void write(const void* from, JsonWriter& json) const override {
    json.string(Traits::text(*static_cast<const T*>(from)));
  }
  void write_schema(JsonWriter& json, SchemaWriter&, const Facts&) const override {
    detail::schema_scalar(json, Traits::kPattern, Traits::kPlainNumber);
  }
  std::string name() const override { return std::string(Traits::kName); }
  std::optional<double> magnitude(const void* value) const override {
    if constexpr (requires(const T& t) { Traits::magnitude(t); })
      return Traits::magnitude(*static_cast<const T*>(value));
    return std::nullopt;
  }
  std::string bound_text(double bound) const override {
    if constexpr (requires { Traits::bound_text(bound); }) return Traits::bound_text(bound);
    return Type::bound_text(bound);
  }
};

template <class T>
struct TypeOf<std::optional<T>> final : Type {
  using Optional = std::optional<T>;

  bool read(const Node& node, void* into, Reader& reader) const override {
    T value{};
    if (!type_of<T>().read(node, &value, reader)) return false;
    *static_cast<Optional*>(into) = std::move(value);
    return true;
  }
  void write(const void* from, JsonWriter& json) const override {
    const auto& value = *static_cast<const Optional*>(from);
    if (value)
      type_of<T>().write(&*value, json);
    else
      json.null();
  }
  void write_schema(JsonWriter& json, SchemaWriter& schema, const Facts& facts) const override {
    type_of<T>().write_schema(json, schema, facts);
  }
  std::string name() const override { return type_of<T>().name(); }
  bool is_set(const void* value) const override { return static_cast<const Optional*>(value)->has_value(); }
  std::optional<double> magnitude(const void* from) const override {
    const auto& value = *static_cast<const Optional*>(from);
    return value ? type_of<T>().magnitude(&*value) : std::nullopt;
  }
  std::string bound_text(double bound) const override { return type_of<T>().bound_text(bound); }
  std::optional<size_t> item_count(const void* from) const override {
    const auto& value = *static_cast<const Optional*>(from);
    return value ? type_of<T>().item_count(&*value) : std::nullopt;
  }
  const StructBase* structure() const override { return type_of<T>().structure(); }
  const Type* item_type() const override { return type_of<T>().item_type(); }
};

template <class T>
struct TypeOf<std::vector<T>> final : Type {
  using List = std::vector<T>;

  bool read(const Node& node, void* into, Reader& reader) const override {
    if (!node.is_sequence()) return reader.expected(node, "a list of " + detail::plural(type_of<T>().name()));
    auto& list = *static_cast<List*>(into);
    list.clear();
    list.reserve(node.count);
    bool good = true;
    for (const Node& item : node.items()) good &= type_of<T>().read(item, &list.emplace_back(), reader);
    return good;
  }
  void write(const void* from, JsonWriter& json) const override {
    json.begin_array();
    for (const T& item : *static_cast<const List*>(from)) type_of<T>().write(&item, json);
    json.end_array();
  }
  void write_schema(JsonWriter& json, SchemaWriter& schema, const Facts& facts) const override {
    detail::schema_list(json, schema, facts, type_of<T>());
  }
  std::string name() const override { return "list of " + detail::plural(type_of<T>().name()); }
  std::optional<size_t> item_count(const void* value) const override {
    return static_cast<const List*>(value)->size();
  }
  const StructBase* structure() const override { return type_of<T>().structure(); }
  const Type* item_type() const override { return &type_of<T>(); }
};

/// A map with string keys, in the order of the document.
template <class T>
using Map = std::vector<std::pair<std::string, T>>;

template <class T>
struct TypeOf<std::vector<std::pair<std::string, T>>> final : Type {
  bool read(const Node& node, void* into, Reader& reader) const override {
    if (!node.is_mapping())
      return reader.expected(node, "a mapping to " + detail::plural(type_of<T>().name()));
    auto& map = *static_cast<Map<T>*>(into);
    map.clear();
    map.reserve(node.count);
    bool good = true;
    for (uint32_t i = 0; i < node.count; ++i) {
      auto& entry = map.emplace_back(std::string(node.key(i).text), T{});
      good &= type_of<T>().read(node.value(i), &entry.second, reader);
      if constexpr (requires { entry.second.origin; }) entry.second.origin = node.key(i).at;
    }
    return good;
  }
  void write(const void* from, JsonWriter& json) const override {
    json.begin_object();
    for (const auto& [key, value] : *static_cast<const Map<T>*>(from)) {
      json.key(key);
      type_of<T>().write(&value, json);
    }
    json.end_object();
  }
  void write_schema(JsonWriter& json, SchemaWriter& schema, const Facts& facts) const override {
    detail::schema_map(json, schema, facts, type_of<T>());
  }
  std::string name() const override { return "map of " + detail::plural(type_of<T>().name()); }
  std::optional<size_t> item_count(const void* value) const override {
    return static_cast<const Map<T>*>(value)->size();
  }
  const StructBase* structure() const override { return type_of<T>().structure(); }
  const Type* item_type() const override { return &type_of<T>(); }
};

// --- the scalars of values.h ---

template <>
struct ScalarTraits<Duration> {
  static constexpr std::string_view kName = "duration";
  static constexpr std::string_view kExpected = "a duration such as `150ms`, `2s` or `1h`";
  static constexpr std::string_view kPattern = "^([0-9]+(ns|us|ms|s|m|h|d))+$";
  static constexpr bool kPlainNumber = false;
  static Parsed<Duration> parse(std::string_view text) { return parse_duration(text); }
  static std::string text(const Duration& value) { return to_text(value); }
  static double magnitude(const Duration& value) { return static_cast<double>(value.count()); }
  static std::string bound_text(double bound) { return to_text(Duration(static_cast<int64_t>(bound))); }
};

template <>
struct ScalarTraits<ByteSize> {
  static constexpr std::string_view kName = "size";
  static constexpr std::string_view kExpected = "a size such as `64KiB` or `1MiB`";
  static constexpr std::string_view kPattern = "^[0-9]+(B|KiB|MiB|GiB|TiB|KB|kB|MB|GB|TB)?$";
  static constexpr bool kPlainNumber = true;
  static Parsed<ByteSize> parse(std::string_view text) { return parse_byte_size(text); }
  static std::string text(const ByteSize& value) { return to_text(value); }
  static double magnitude(const ByteSize& value) { return static_cast<double>(value.bytes); }
  static std::string bound_text(double bound) { return to_text(ByteSize{static_cast<uint64_t>(bound)}); }
};

template <>
struct ScalarTraits<Rate> {
  static constexpr std::string_view kName = "rate";
  static constexpr std::string_view kExpected = "a rate such as `100/1m`";
  static constexpr std::string_view kPattern = "^[0-9]+/([0-9]+(ms|s|m|h|d))+$";
  static constexpr bool kPlainNumber = false;
  static Parsed<Rate> parse(std::string_view text) { return parse_rate(text); }
  static std::string text(const Rate& value) { return to_text(value); }
};

template <>
struct ScalarTraits<Quota> {
  static constexpr std::string_view kName = "quota";
  static constexpr std::string_view kExpected = "a quota such as `1000/day`";
  static constexpr std::string_view kPattern = "^[0-9]+/(hour|day|week|month)$";
  static constexpr bool kPlainNumber = false;
  static Parsed<Quota> parse(std::string_view text) { return parse_quota(text); }
  static std::string text(const Quota& value) { return to_text(value); }
};

template <>
struct ScalarTraits<StatusRange> {
  static constexpr std::string_view kName = "status or range";
  static constexpr std::string_view kExpected = "a status such as `200` or a range such as `200-299`";
  static constexpr std::string_view kPattern = "^[1-5][0-9][0-9](-[1-5][0-9][0-9])?$";
  static constexpr bool kPlainNumber = true;
  static Parsed<StatusRange> parse(std::string_view text) { return parse_status_range(text); }
  static std::string text(const StatusRange& value) { return to_text(value); }
};

template <>
struct ScalarTraits<Percent> {
  static constexpr std::string_view kName = "percentage";
  static constexpr std::string_view kExpected = "a percentage such as `50%`";
  static constexpr std::string_view kPattern = "^[0-9]+(\\.[0-9]+)?%$";
  static constexpr bool kPlainNumber = false;
  static Parsed<Percent> parse(std::string_view text) { return parse_percent(text); }
  static std::string text(const Percent& value) { return to_text(value); }
};

template <>
struct ScalarTraits<Address> {
  static constexpr std::string_view kName = "address";
  static constexpr std::string_view kExpected =
      "an IP address and a port such as `0.0.0.0:8080` or `[::1]:8080`";
  static constexpr std::string_view kPattern = ":[0-9]{1,5}$";
  static constexpr bool kPlainNumber = false;
  static Parsed<Address> parse(std::string_view text) { return parse_address(text); }
  static std::string text(const Address& value) { return to_text(value); }
};

template <>
struct ScalarTraits<IpPrefix> {
  static constexpr std::string_view kName = "network";
  static constexpr std::string_view kExpected = "a network such as `10.0.0.0/8`";
  static constexpr std::string_view kPattern = "^[0-9a-fA-F:.]+(/[0-9]{1,3})?$";
  static constexpr bool kPlainNumber = false;
  static Parsed<IpPrefix> parse(std::string_view text) { return parse_ip_prefix(text); }
  static std::string text(const IpPrefix& value) { return to_text(value); }
};

template <>
struct ScalarTraits<TargetUrl> {
  static constexpr std::string_view kName = "URL";
  static constexpr std::string_view kExpected = "a URL such as `http://127.0.0.1:7001`";
  static constexpr std::string_view kPattern = "^(https?|tcp|udp)([+]srv)?://";
  static constexpr bool kPlainNumber = false;
  static Parsed<TargetUrl> parse(std::string_view text) { return parse_target_url(text); }
  static std::string text(const TargetUrl& value) { return to_text(value); }
};

}  // namespace sluice::config
