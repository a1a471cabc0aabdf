// One C++ type as the configuration sees it: how it is read from a node, written back, and described in JSON
// Schema and docs. `type_of<T>()` finds the one for a type; see types.h for those that exist.
#pragma once

#include <cstddef>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "config/diagnostics.h"
#include "config/json_writer.h"
#include "config/node.h"

namespace sluice::config {

class PolicyCatalog;
class SchemaWriter;
class StructBase;

/// What a field list says about one field, beyond its type.
struct Facts {
  std::string_view name;
  std::string_view doc;   // a sentence
  std::string_view unit;  // of a plain number: "requests"
  bool required = false;
  bool secret = false;       // never written back
  bool one_or_many = false;  // a list of one may be written without brackets
  bool names = false;        // the keys of this map are names of entities
  std::optional<double> minimum;
  std::optional<double> maximum;
  size_t min_items = 0;
};

/// Files that a document names.
class FileSource {
 public:
  virtual ~FileSource() = default;
  /// The whole file, or why not. `path` counts from the folder of the document; the file is watched from now
  /// on, whether it could be read or not.
  virtual std::expected<std::string, std::string> read(std::string_view path) = 0;
};

/// What reading needs besides the node.
class Reader {
 public:
  explicit Reader(Diagnostics& diagnostics, const PolicyCatalog* catalog = nullptr,
                  FileSource* files = nullptr)
      : diagnostics_(diagnostics), catalog_(catalog), files_(files) {}

  Diagnostics& diagnostics() { return diagnostics_; }
  const PolicyCatalog* catalog() const { return catalog_; }
  /// nullptr: there are no files.
  FileSource* files() const { return files_; }

  /// All return false, so that `return reader.error(...)` reads well.
  bool error(const Node& at, std::string_view rule, std::string message);
  /// "expected WHAT, found the list"
  bool expected(const Node& at, std::string_view what);
  void warning(const Node& at, std::string_view rule, std::string message);

 private:
  Diagnostics& diagnostics_;
  const PolicyCatalog* catalog_;
  FileSource* files_;
};

class Type {
 public:
  virtual ~Type() = default;
  /// False after a problem was reported; `into` is then valid but means nothing.
  virtual bool read(const Node& node, void* into, Reader& reader) const = 0;
  /// The canonical form; secrets as "***".
  virtual void write(const void* from, JsonWriter& json) const = 0;
  /// The keywords of the JSON Schema, written into an object that is already open.
  virtual void write_schema(JsonWriter& json, SchemaWriter& schema, const Facts& facts) const = 0;
  /// For docs: "duration", "list of strings".
  virtual std::string name() const = 0;

  /// False for an absent optional: there is no value to write.
  virtual bool is_set(const void*) const { return true; }
  /// The value that a range is about (durations in nanoseconds), or how a bound of it reads.
  virtual std::optional<double> magnitude(const void*) const { return std::nullopt; }
  virtual std::string bound_text(double bound) const;
  /// The number of items of a list.
  virtual std::optional<size_t> item_count(const void*) const { return std::nullopt; }
  /// The struct that is this type, or that its items are: docs link to it.
  virtual const StructBase* structure() const { return nullptr; }
  /// The type of which there are several, or nullptr.
  virtual const Type* item_type() const { return nullptr; }
};

/// Specialise `TypeOf<T>` (a Type) for a new kind of type; scalars only need `ScalarTraits<T>`, see types.h.
template <class T>
struct TypeOf;

template <class T>
const Type& type_of() {
  static const TypeOf<T> type;
  return type;
}

}  // namespace sluice::config
