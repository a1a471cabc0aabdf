#include "http/websocket/handshake.h"

#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/evp.h>
#include <openssl/sha.h>

#include "http/syntax.h"

namespace sluice::http::websocket {

namespace {

/// Section 1.3.
constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

template <size_t kChars, size_t kBytes>
std::array<char, kChars> base64(const std::array<unsigned char, kBytes>& bytes) {
  static_assert(kChars == (kBytes + 2) / 3 * 4);
  std::array<unsigned char, kChars + 1> text;  // EVP ends it with a zero
  EVP_EncodeBlock(text.data(), bytes.data(), kBytes);
  std::array<char, kChars> result;
  std::copy_n(text.begin(), kChars, result.begin());
  return result;
}

constexpr bool is_base64_char(char c) {
  return ascii::is_alpha(c) || ascii::is_digit(c) || c == '+' || c == '/';
}

/// 16 bytes in base64 (section 4.1): 22 characters of it, of the last only the top two bits, and "==".
bool is_key(std::string_view key) {
  if (key.size() != std::tuple_size_v<Key> || !key.ends_with("==")) return false;
  for (char c : key.substr(0, 22))
    if (!is_base64_char(c)) return false;
  return true;
}

/// Calls `visit` with each element of all fields of that name, less its parameters.
template <class Visit>
void for_each_offer(const Fields& fields, std::string_view name, Visit visit) {
  for (const Field& field : fields)
    if (ascii::equal_ignoring_case(field.name, name))
      for_each_element(field.value, [&](std::string_view element) {
        visit(ascii::trim(element.substr(0, element.find(';'))));
      });
}

/// Section 4.1, "Server Requirements" of a client: what was not offered cannot be chosen.
bool all_offered(const Response& response, const Request& request, std::string_view name) {
  bool all = true;
  for_each_offer(response.fields, name, [&](std::string_view chosen) {
    bool offered = false;
    for_each_offer(request.fields, name, [&](std::string_view offer) { offered |= offer == chosen; });
    all &= offered;
  });
  return all;
}

}  // namespace

bool compresses(const Response& response) {
  bool found = false;
  for_each_offer(response.fields, kExtensionsField,
                 [&](std::string_view extension) { found |= extension == "permessage-deflate"; });
  return found;
}

const Error* check_request(const Request& request, bool keyed) {
  if (request.fields.count(kVersionField) != 1 || request.fields.find(kVersionField)->value != kVersion)
    return &kVersionError;
  if (!keyed) return nullptr;
  if (request.fields.count(kKeyField) != 1 || !is_key(request.fields.find(kKeyField)->value))
    return &kKeyError;
  return nullptr;
}

Accept accept_of(std::string_view key) {
  SHA_CTX context;
  std::array<unsigned char, SHA_DIGEST_LENGTH> digest;
  SHA1_Init(&context);
  SHA1_Update(&context, key.data(), key.size());
  SHA1_Update(&context, kGuid.data(), kGuid.size());
  SHA1_Final(digest.data(), &context);
  return base64<28>(digest);
}

Key make_key(Random& random) {
  std::array<unsigned char, 16> bytes;
  for (size_t i = 0; i < bytes.size(); i += 8) {
    uint64_t bits = random.next();
    std::memcpy(&bytes[i], &bits, 8);
  }
  return base64<24>(bytes);
}

bool agrees(const Response& response, std::string_view key, const Request& request) {
  Accept wanted = accept_of(key);
  const Field* accept = response.fields.find(kAcceptField);
  if (!accept || accept->value != std::string_view(wanted.data(), wanted.size())) return false;
  const Field* protocol = response.fields.find(kProtocolField);
  if (protocol && (response.fields.count(kProtocolField) > 1 || protocol->value.contains(','))) return false;
  return all_offered(response, request, kProtocolField) && all_offered(response, request, kExtensionsField);
}

}  // namespace sluice::http::websocket
