#include "config/json_writer.h"

#include <cmath>

namespace sluice::config {

void JsonWriter::new_line() {
  if (!indented_) return;
  out_ += '\n';
  out_.append(static_cast<size_t>(depth_) * 2, ' ');
}

void JsonWriter::before_value() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (!first_) out_ += ',';
  if (depth_ > 0) new_line();
  first_ = false;
}

void JsonWriter::open(char c) {
  before_value();
  out_ += c;
  ++depth_;
  first_ = true;
}

void JsonWriter::close(char c) {
  --depth_;
  if (!first_) new_line();
  out_ += c;
  first_ = false;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  string(name);
  out_ += indented_ ? ": " : ":";
  after_key_ = true;
  return *this;
}

void JsonWriter::string(std::string_view text) {
  before_value();
  out_ += '"';
  for (char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"':
        out_ += "\\\"";
        break;
      case '\\':
        out_ += "\\\\";
        break;
      case '\n':
        out_ += "\\n";
        break;
      case '\t':
        out_ += "\\t";
        break;
      case '\r':
        out_ += "\\r";
        break;
      default:
        if (byte < 0x20 || byte == 0x7f) {
          constexpr std::string_view kHex = "0123456789abcdef";
          out_ += "\\u00";
          out_ += kHex[byte >> 4];
          out_ += kHex[byte & 15];
        } else {
          out_ += c;
        }
    }
  }
  out_ += '"';
}

void JsonWriter::boolean(bool value) { raw(value ? "true" : "false"); }
void JsonWriter::integer(int64_t value) { raw(std::to_string(value)); }
void JsonWriter::unsigned_integer(uint64_t value) { raw(std::to_string(value)); }
void JsonWriter::null() { raw("null"); }

void JsonWriter::number(double value) {
  if (!std::isfinite(value)) return null();
  char text[32];
  auto end = std::to_chars(text, text + sizeof text, value).ptr;
  raw({text, end});
}

void JsonWriter::raw(std::string_view json) {
  before_value();
  out_ += json;
}

}  // namespace sluice::config
