// The header or trailer fields of one message, in order (RFC 9110, section 5).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/arena.h"
#include "base/ascii.h"
#include "http/field_name.h"

namespace sluice::http {

struct Field {
  std::string_view name;   // as received or as to be sent; compared without case
  std::string_view value;  // without surrounding white space; bytes 0x20-0x7e, 0x80-0xff and tab only
  FieldName id = FieldName::kUnknown;
};

/// A list of fields in an arena that must outlive it. Texts are borrowed: they live in the arena, in the
/// configuration or in static storage. Not thread-safe.
class Fields {
 public:
  explicit Fields(Arena& arena) : arena_(&arena) {}

  std::span<const Field> all() const { return {fields_, count_}; }
  auto begin() const { return all().begin(); }
  auto end() const { return all().end(); }
  size_t size() const { return count_; }
  bool empty() const { return count_ == 0; }

  bool has(FieldName id) const { return present_ >> static_cast<int>(id) & 1; }
  /// The first field of that name, or null.
  const Field* find(FieldName id) const {
    if (!has(id)) return nullptr;
    for (const Field& field : all())
      if (field.id == id) return &field;
    return nullptr;
  }
  /// By text, for configured names; `name` may be in any case.
  const Field* find(std::string_view name) const { return find(intern_field_name(name), name); }
  /// The same where the name's number is known; `after`: the next one behind that field of the list.
  const Field* find(FieldName id, std::string_view name, const Field* after = nullptr) const {
    if (!has(id)) return nullptr;
    size_t i = index_of(id, name, after ? static_cast<size_t>(after - fields_) + 1 : 0);
    return i == count_ ? nullptr : &fields_[i];
  }
  /// The value of the first field of that name, or empty.
  std::string_view value(FieldName id) const {
    const Field* field = find(id);
    return field ? field->value : std::string_view();
  }
  size_t count(FieldName id) const {
    size_t n = 0;
    if (has(id))
      for (const Field& field : all()) n += field.id == id;
    return n;
  }
  size_t count(std::string_view name) const {
    FieldName id = intern_field_name(name);
    if (id != FieldName::kUnknown) return count(id);
    size_t n = 0;
    for (size_t i = index_of(id, name); i != count_; i = index_of(id, name, i + 1)) ++n;
    return n;
  }

  void add(const Field& field) {
    if (count_ == capacity_) [[unlikely]]
      grow();
    std::construct_at(fields_ + count_++, field);
    present_ |= uint64_t{1} << static_cast<int>(field.id);
  }
  void add(FieldName id, std::string_view value) { add(Field{field_name_text(id), value, id}); }
  void add(std::string_view name, std::string_view value) {
    add(Field{name, value, intern_field_name(name)});
  }

  /// Removes every field for which `predicate(field)` holds, keeping the order of the rest.
  template <class Predicate>
  void remove_if(Predicate predicate) {
    size_t kept = 0;
    uint64_t present = 0;
    for (size_t i = 0; i < count_; ++i) {
      if (predicate(const_cast<const Field&>(fields_[i]))) continue;
      present |= uint64_t{1} << static_cast<int>(fields_[i].id);
      if (kept != i) fields_[kept] = fields_[i];
      ++kept;
    }
    count_ = static_cast<uint32_t>(kept);
    present_ = present;
  }
  void remove(FieldName id) {
    if (has(id)) remove_if([id](const Field& field) { return field.id == id; });
  }
  void remove(std::string_view name) { remove(intern_field_name(name), name); }
  /// The same where the name's number is known.
  void remove(FieldName id, std::string_view name) {
    size_t first = has(id) ? index_of(id, name) : count_;
    if (first != count_) remove_from(first, id, name);
  }
  /// Replaces all fields of that name by one, at the place of the first, or adds it at the end.
  void set(const Field& field) {
    size_t first = has(field.id) ? index_of(field.id, field.name) : count_;
    if (first == count_) return add(field);
    fields_[first] = field;
    size_t next = index_of(field.id, field.name, first + 1);
    if (next == count_) return;
    remove_from(next, field.id, field.name);
    present_ |= uint64_t{1} << static_cast<int>(field.id);
  }
  void set(FieldName id, std::string_view value) { set(Field{field_name_text(id), value, id}); }
  void set(std::string_view name, std::string_view value) {
    set(Field{name, value, intern_field_name(name)});
  }

  void clear() {
    count_ = 0;
    present_ = 0;
  }
  Arena& arena() const { return *arena_; }

 private:
  /// The first field of that name at or after `from`, or `count_`.
  size_t index_of(FieldName id, std::string_view name, size_t from = 0) const {
    bool known = id != FieldName::kUnknown;
    auto matches = [&](const Field& field) {
      return field.id == id && (known || ascii::equal_ignoring_case(field.name, name));
    };
    size_t i = from;
    while (i != count_ && !matches(fields_[i])) ++i;
    return i;
  }
  /// Removes the fields of that name, of which the first is at `first`.
  void remove_from(size_t first, FieldName id, std::string_view name) {
    size_t kept = first;
    while (first != count_) {
      size_t next = index_of(id, name, first + 1);
      std::copy(fields_ + first + 1, fields_ + next, fields_ + kept);
      kept += next - first - 1;
      first = next;
    }
    count_ = static_cast<uint32_t>(kept);
    if (id != FieldName::kUnknown) present_ &= ~(uint64_t{1} << static_cast<int>(id));
  }
  void grow() {
    uint32_t capacity = capacity_ ? capacity_ * 2 : 16;
    auto* larger = static_cast<Field*>(arena_->allocate(capacity * sizeof(Field), alignof(Field)));
    std::uninitialized_copy_n(fields_, count_, larger);
    fields_ = larger;
    capacity_ = capacity;
  }

  Arena* arena_;
  Field* fields_ = nullptr;
  uint64_t present_ = 0;  // bit i: a field whose FieldName is i is there (bit 0: an unknown one may be)
  uint32_t count_ = 0;
  uint32_t capacity_ = 0;
};

}  // namespace sluice::http
