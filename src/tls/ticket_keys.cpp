#include "tls/ticket_keys.h"

#include <openssl/rand.h>

#include <stdexcept>

namespace sluice::tls {

namespace {

TicketKey random_key() {
  TicketKey key;
  static_assert(sizeof key == TicketKey::kBytes);
  if (RAND_priv_bytes(reinterpret_cast<unsigned char*>(&key), sizeof key) != 1)
    throw std::runtime_error("OpenSSL gives no random bytes");
  return key;
}

}  // namespace

TicketKeys::TicketKeys() : keys_(std::make_shared<const TicketKeyList>(TicketKeyList{random_key()})) {}

void TicketKeys::rotate() {
  TicketKeyList next{random_key()};
  auto before = keys();
  for (const TicketKey& key : *before)
    if (next.size() <= kKept) next.push_back(key);
  std::lock_guard lock(mutex_);
  keys_ = std::make_shared<const TicketKeyList>(std::move(next));
}

}  // namespace sluice::tls
