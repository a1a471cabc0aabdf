// protobuf's wire format, as far as fields are put together and picked out without knowing their messages
// (protobuf's "Encoding").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace google::protobuf {
class Descriptor;
}

namespace sluice::policies::grpc {

enum class WireType : uint8_t {
  kVarint = 0,
  kFixed64 = 1,
  kBytes = 2,
  kGroupStart = 3,
  kGroupEnd = 4,
  kFixed32 = 5
};

void append_varint(uint64_t value, std::string& out);
void append_fixed32(uint32_t value, std::string& out);
void append_fixed64(uint64_t value, std::string& out);
void append_tag(uint32_t number, WireType type, std::string& out);
void append_bytes(uint32_t number, std::string_view bytes, std::string& out);

/// Takes fields off the front of a message.
class WireReader {
 public:
  explicit WireReader(std::string_view message) : rest_(message) {}

  struct Field {
    uint32_t number = 0;
    WireType type = WireType::kVarint;
    std::string_view whole;  // with its tag
    std::string_view bytes;  // of kBytes
  };
  /// False at the end, and when what follows is no field: then `bad`.
  bool next(Field& field);
  bool bad() const { return bad_; }

 private:
  std::optional<uint64_t> varint();
  bool skip(uint64_t bytes);
  bool skip_group(uint32_t number);

  std::string_view rest_;
  bool bad_ = false;
};

/// The fields of that number, one after another: a message with nothing else.
std::string only_field(std::string_view message, uint32_t number);

/// The last bytes field of that number, or empty.
std::string_view last_bytes(std::string_view message, uint32_t number);

/// Whether a message can be read as one of that type, also what is nested in it. protobuf's JSON writer takes
/// one that breaks off for whole.
bool is_well_formed(const google::protobuf::Descriptor& type, std::string_view message);

}  // namespace sluice::policies::grpc
