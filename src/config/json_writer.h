// Writes JSON text piece by piece, indented by two; keys keep the order in which they are written.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace sluice::config {

class JsonWriter {
 public:
  explicit JsonWriter(bool indented = true) : indented_(indented) {}
  /// What is written is compared with what was written before, and nobody reads it: a type whose text does
  /// not say all, as the path of a file does not, writes the rest too.
  static JsonWriter for_digest() {
    JsonWriter json(false);
    json.for_digest_ = true;
    return json;
  }
  bool is_for_digest() const { return for_digest_; }

  void begin_object() { open('{'); }
  void end_object() { close('}'); }
  void begin_array() { open('['); }
  void end_array() { close(']'); }
  JsonWriter& key(std::string_view name);

  void string(std::string_view text);
  void boolean(bool value);
  void integer(int64_t value);
  void unsigned_integer(uint64_t value);
  void number(double value);
  void null();
  /// JSON that was written elsewhere.
  void raw(std::string_view json);

  void member(std::string_view name, std::string_view text) { key(name).string(text); }

  const std::string& text() const { return out_; }
  std::string take() { return std::move(out_); }

 private:
  void open(char c);
  void close(char c);
  void before_value();
  void new_line();

  std::string out_;
  int depth_ = 0;
  bool indented_;
  bool for_digest_ = false;
  bool first_ = true;  // nothing written yet at this level
  bool after_key_ = false;
};

}  // namespace sluice::config
