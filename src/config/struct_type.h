// The field list: a configuration struct says once, in `schema()`, what its fields are, and parsing,
// defaults, validation, JSON Schema and docs come from that. Defaults are those of the default-constructed
// struct.
//
//   struct RateLimitConfig {
//     Rate rate;
//     std::optional<uint64_t> burst;
//     Origin origin;                       // filled in when it is there
//     static const Struct<RateLimitConfig>& schema();
//   };
//   const Struct<RateLimitConfig>& RateLimitConfig::schema() {
//     static const auto schema = Struct<RateLimitConfig>("rate_limit", "Limits how often a caller may ask.")
//         .field("rate", &RateLimitConfig::rate, "How many requests in which time.").required()
//         .field("burst", &RateLimitConfig::burst, "How many at once.").range(1, 1e9).unit("requests")
//         .check([](const RateLimitConfig& c, const Node& node, Reader& reader) { ... });
//     return schema;
//   }
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "config/type.h"

namespace sluice::config {

struct Field : Facts {
  size_t offset = 0;
  const Type& (*type)() = nullptr;  // not called before the first use, so that structs may nest in themselves
};

/// A struct without its C++ type.
class StructBase : public Type {
 public:
  /// Several structs that share one mapping: each key belongs to the first that knows it.
  struct Part {
    const StructBase& type;
    void* into;
  };

  std::string_view struct_name() const { return name_; }
  std::string_view doc() const { return doc_; }
  std::span<const Field> fields() const { return fields_; }
  const Field* find(std::string_view name) const;
  /// The field that a value which is no mapping stands for, or nullptr.
  const Field* shorthand_field() const { return shorthand_.empty() ? nullptr : find(shorthand_); }

  /// A default-constructed struct to read into.
  virtual std::shared_ptr<void> make() const = 0;
  virtual const void* defaults() const = 0;

  /// `complete` false: required fields may be missing and checks do not run.
  static bool read_parts(const Node& node, std::span<const Part> parts, Reader& reader, bool complete = true);

  bool read(const Node& node, void* into, Reader& reader) const override;
  void write(const void* from, JsonWriter& json) const override;
  /// The members alone, into an object that is already open.
  void write_members(const void* from, JsonWriter& json) const;
  void write_schema(JsonWriter& json, SchemaWriter& schema, const Facts& facts) const override;
  std::string name() const override { return "object"; }
  const StructBase* structure() const override { return this; }

 protected:
  StructBase(std::string_view name, std::string_view doc) : name_(name), doc_(doc) {}

  virtual void set_origin(void* into, const Origin& origin) const = 0;
  virtual void run_checks(const void* value, const Node& node, Reader& reader) const = 0;

  std::string_view name_;
  std::string_view doc_;
  std::string_view shorthand_;
  std::vector<Field> fields_;
};

template <class T>
class Struct final : public StructBase {
 public:
  using Check = std::function<void(const T&, const Node&, Reader&)>;

  /// All texts must live for ever: literals.
  Struct(std::string_view name, std::string_view doc) : StructBase(name, doc) {}

  template <class M>
  Struct& field(std::string_view name, M T::* member, std::string_view doc) {
    Field field;
    field.name = name;
    field.doc = doc;
    field.offset = offset_of(member);
    field.type = &type_of<M>;
    fields_.push_back(field);
    return *this;
  }

  /// The fields of another struct stand beside this one's own, in the same mapping; its checks do not run.
  template <class M>
  Struct& part(M T::* member) {
    for (Field field : M::schema().fields()) {
      field.offset += offset_of(member);
      fields_.push_back(field);
    }
    return *this;
  }

  // These are about the field before them.
  Struct& required() {
    return last([](Field& f) { f.required = true; });
  }
  Struct& secret() {
    return last([](Field& f) { f.secret = true; });
  }
  Struct& unit(std::string_view unit) {
    return last([&](Field& f) { f.unit = unit; });
  }
  Struct& one_or_many() {
    return last([](Field& f) { f.one_or_many = true; });
  }
  Struct& names() {
    return last([](Field& f) { f.names = true; });
  }
  Struct& min_items(size_t count) {
    return last([&](Field& f) { f.min_items = count; });
  }
  Struct& at_least(double minimum) {
    return last([&](Field& f) { f.minimum = minimum; });
  }
  Struct& range(double minimum, double maximum) {
    return last([&](Field& f) { f.minimum = minimum, f.maximum = maximum; });
  }
  Struct& range(Duration minimum, Duration maximum) {
    return range(static_cast<double>(minimum.count()), static_cast<double>(maximum.count()));
  }

  /// A value that is no mapping stands for this field: a target may be written as its URL alone.
  Struct& shorthand(std::string_view field) {
    shorthand_ = field;
    return *this;
  }
  /// Runs after all fields were read without a problem.
  Struct& check(Check check) {
    checks_.push_back(std::move(check));
    return *this;
  }

  std::shared_ptr<void> make() const override { return std::make_shared<T>(); }
  const void* defaults() const override { return &defaults_; }

 protected:
  void set_origin(void* into, const Origin& origin) const override {
    if constexpr (requires(T t) { t.origin = origin; }) static_cast<T*>(into)->origin = origin;
  }
  void run_checks(const void* value, const Node& node, Reader& reader) const override {
    for (const Check& check : checks_) check(*static_cast<const T*>(value), node, reader);
  }

 private:
  template <class M>
  static size_t offset_of(M T::* member) {
    const T probe{};
    return static_cast<size_t>(reinterpret_cast<const char*>(&(probe.*member)) -
                               reinterpret_cast<const char*>(&probe));
  }
  template <class F>
  Struct& last(F change) {
    change(fields_.back());
    return *this;
  }

  T defaults_{};
  std::vector<Check> checks_;
};

/// Structs with a field list are types like any other.
template <class T>
  requires requires {
    { T::schema() } -> std::same_as<const Struct<T>&>;
  }
struct TypeOf<T> final : Type {
  bool read(const Node& node, void* into, Reader& reader) const override {
    return T::schema().read(node, into, reader);
  }
  void write(const void* from, JsonWriter& json) const override { T::schema().write(from, json); }
  void write_schema(JsonWriter& json, SchemaWriter& schema, const Facts& facts) const override {
    T::schema().write_schema(json, schema, facts);
  }
  std::string name() const override { return T::schema().name(); }
  const StructBase* structure() const override { return &T::schema(); }
};

}  // namespace sluice::config
