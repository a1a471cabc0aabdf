#include "policies/transform/grpc_transcode/json_scanner.h"

#include "base/ascii.h"

namespace sluice::policies::grpc {

namespace {
bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
}  // namespace

JsonScanner::Status JsonScanner::scan(std::string_view text, size_t& used) {
  for (used = 0; used < text.size();) {
    switch (take(text[used])) {
      case Taken::kByte:
        ++used;
        break;
      case Taken::kNothing:
        break;
      case Taken::kEnd:
        ++used;
        return Status::kWhole;
      case Taken::kEndBefore:
        return Status::kWhole;
      case Taken::kBad:
        return Status::kBad;
      case Taken::kDeep:
        return Status::kDeep;
    }
  }
  return Status::kMore;
}

JsonScanner::Status JsonScanner::end() {
  if (depth_ > 0 || between_values()) return Status::kBad;
  Taken taken = take(' ');
  return taken == Taken::kEndBefore ? Status::kWhole : Status::kBad;
}

JsonScanner::Taken JsonScanner::take(char c) {
  switch (state_) {
    case State::kValue:
      return is_space(c) ? Taken::kByte : begin_value(c);
    case State::kItemOrEnd:
      if (is_space(c)) return Taken::kByte;
      return c == ']' ? close(false) : begin_value(c);
    case State::kKeyOrEnd:
      if (c == '}') return close(true);
      [[fallthrough]];
    case State::kKey:
      if (is_space(c)) return Taken::kByte;
      if (c != '"') return Taken::kBad;
      state_ = State::kString;
      key_ = true;
      return Taken::kByte;
    case State::kColon:
      if (is_space(c)) return Taken::kByte;
      if (c != ':') return Taken::kBad;
      state_ = State::kValue;
      return Taken::kByte;
    case State::kCommaOrEnd: {
      if (is_space(c)) return Taken::kByte;
      bool object = objects_[depth_ - 1];
      if (c == (object ? '}' : ']')) return close(object);
      if (c != ',') return Taken::kBad;
      state_ = object ? State::kKey : State::kValue;
      return Taken::kByte;
    }
    case State::kString:
      if (static_cast<unsigned char>(c) < 0x20) return Taken::kBad;
      if (c == '\\') state_ = State::kEscape;
      if (c != '"') return Taken::kByte;
      if (!key_) return value_ended(false);
      key_ = false;
      state_ = State::kColon;
      return Taken::kByte;
    case State::kEscape:
      if (std::string_view("\"\\/bfnrtu").find(c) == std::string_view::npos) return Taken::kBad;
      state_ = c == 'u' ? State::kHex : State::kString;
      left_ = 4;
      return Taken::kByte;
    case State::kHex:
      if (ascii::hex_value(c) < 0) return Taken::kBad;
      if (--left_ == 0) state_ = State::kString;
      return Taken::kByte;
    case State::kLiteral:
      if (c != *literal_) return Taken::kBad;
      return *++literal_ == '\0' ? value_ended(false) : Taken::kByte;
    default:
      return take_number(c);
  }
}

JsonScanner::Taken JsonScanner::begin_value(char c) {
  switch (c) {
    case '{':
      return open(true);
    case '[':
      return open(false);
    case '"':
      state_ = State::kString;
      return Taken::kByte;
    case 't':
      literal_ = "rue";
      break;
    case 'f':
      literal_ = "alse";
      break;
    case 'n':
      literal_ = "ull";
      break;
    case '-':
      state_ = State::kMinus;
      return Taken::kByte;
    default:
      if (!ascii::is_digit(c)) return Taken::kBad;
      state_ = c == '0' ? State::kZero : State::kDigits;
      return Taken::kByte;
  }
  state_ = State::kLiteral;
  return Taken::kByte;
}

JsonScanner::Taken JsonScanner::take_number(char c) {
  bool digit = ascii::is_digit(c);
  switch (state_) {
    case State::kMinus:
      if (!digit) return Taken::kBad;
      state_ = c == '0' ? State::kZero : State::kDigits;
      return Taken::kByte;
    case State::kDigits:
      if (digit) return Taken::kByte;
      [[fallthrough]];
    case State::kZero:
      if (c == '.') {
        state_ = State::kPoint;
        return Taken::kByte;
      }
      break;
    case State::kPoint:
      if (!digit) return Taken::kBad;
      state_ = State::kFraction;
      return Taken::kByte;
    case State::kFraction:
      if (digit) return Taken::kByte;
      break;
    case State::kExponent:
      if (c == '+' || c == '-') {
        state_ = State::kExponentSign;
        return Taken::kByte;
      }
      [[fallthrough]];
    case State::kExponentSign:
      if (!digit) return Taken::kBad;
      state_ = State::kExponentDigits;
      return Taken::kByte;
    default:
      return digit ? Taken::kByte : value_ended(true);
  }
  if (c != 'e' && c != 'E') return value_ended(true);
  state_ = State::kExponent;
  return Taken::kByte;
}

JsonScanner::Taken JsonScanner::open(bool object) {
  if (depth_ == kMaxDepth) return Taken::kDeep;
  objects_[depth_++] = object;
  state_ = object ? State::kKeyOrEnd : State::kItemOrEnd;
  return Taken::kByte;
}

JsonScanner::Taken JsonScanner::close(bool object) {
  if (objects_[depth_ - 1] != object) return Taken::kBad;
  --depth_;
  return value_ended(false);
}

/// `before`: the byte that showed it is not a part of the value.
JsonScanner::Taken JsonScanner::value_ended(bool before) {
  state_ = depth_ == 0 ? State::kValue : State::kCommaOrEnd;
  if (depth_ == 0) return before ? Taken::kEndBefore : Taken::kEnd;
  return before ? Taken::kNothing : Taken::kByte;
}

}  // namespace sluice::policies::grpc
