// Finds where a JSON value ends, byte by byte, and that it is JSON as RFC 8259 writes it: what comes behind
// it then cannot be taken for a part of it by a reader that is less strict.
#pragma once

#include <bitset>
#include <cstdint>
#include <string_view>

namespace sluice::policies::grpc {

class JsonScanner {
 public:
  static constexpr size_t kMaxDepth = 64;

  enum class Status : uint8_t {
    kMore,   // the value goes on
    kWhole,  // it ended
    kBad,    // this is no JSON
    kDeep,   // it nests more than kMaxDepth levels
  };

  /// Looks at more of a value; white space before it is skipped. `used` bytes of `text` belong to it; what
  /// follows was not looked at. After kWhole the next value begins; after an error nothing may.
  Status scan(std::string_view text, size_t& used);
  /// No more comes: a number at the top ends only here.
  Status end();
  /// Nothing but white space has come since the last value.
  bool between_values() const { return state_ == State::kValue && depth_ == 0; }

 private:
  enum class State : uint8_t {
    kValue,       // a value must come
    kItemOrEnd,   // behind `[`
    kKeyOrEnd,    // behind `{`
    kKey,         // behind `,` in an object
    kColon,       // behind a key
    kCommaOrEnd,  // behind a value in a container
    kString,
    kEscape,
    kHex,
    kLiteral,
    kMinus,
    kZero,
    kDigits,
    kPoint,
    kFraction,
    kExponent,
    kExponentSign,
    kExponentDigits,
  };
  enum class Taken : uint8_t { kByte, kNothing, kEnd, kEndBefore, kBad, kDeep };

  Taken take(char c);
  Taken begin_value(char c);
  Taken take_number(char c);
  Taken open(bool object);
  Taken close(bool object);
  Taken value_ended(bool before);

  State state_ = State::kValue;
  bool key_ = false;               // the string is a key
  uint8_t left_ = 0;               // hexadecimal digits to come
  const char* literal_ = nullptr;  // what must follow
  size_t depth_ = 0;
  std::bitset<kMaxDepth> objects_;  // which levels are objects
};

}  // namespace sluice::policies::grpc
