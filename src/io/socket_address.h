// io::Address as the socket calls want it.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "io/address.h"

namespace sluice::io {

class SocketAddress {
 public:
  explicit SocketAddress(const Address& address) {
    std::memset(&storage_, 0, sizeof storage_);
    if (address.ipv6) {
      storage_.v6.sin6_family = AF_INET6;
      storage_.v6.sin6_port = htons(address.port);
      std::memcpy(&storage_.v6.sin6_addr, address.bytes.data(), 16);
      size_ = sizeof storage_.v6;
    } else {
      storage_.v4.sin_family = AF_INET;
      storage_.v4.sin_port = htons(address.port);
      std::memcpy(&storage_.v4.sin_addr, address.bytes.data(), 4);
      size_ = sizeof storage_.v4;
    }
  }
  /// Room for an address that the kernel fills in.
  SocketAddress() : size_(sizeof storage_) { std::memset(&storage_, 0, sizeof storage_); }

  sockaddr* get() { return &storage_.any; }
  socklen_t size() const { return size_; }
  socklen_t* size_pointer() { return &size_; }

  Address address() const {
    Address out;
    if (storage_.any.sa_family == AF_INET6) {
      out.ipv6 = true;
      out.port = ntohs(storage_.v6.sin6_port);
      std::memcpy(out.bytes.data(), &storage_.v6.sin6_addr, 16);
    } else {
      out.port = ntohs(storage_.v4.sin_port);
      std::memcpy(out.bytes.data(), &storage_.v4.sin_addr, 4);
    }
    return out;
  }

 private:
  union {
    sockaddr any;
    sockaddr_in v4;
    sockaddr_in6 v6;
  } storage_;
  socklen_t size_;
};

}  // namespace sluice::io
