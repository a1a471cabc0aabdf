// Digests of parts of the configuration: of their text as the field lists write it.
#pragma once

#include <string_view>

#include "config/json_writer.h"
#include "config/struct_type.h"
#include "config/types.h"
#include "gateway/snapshot.h"

namespace sluice::gateway {

/// Of any bytes.
ContentDigest digest_of(std::string_view bytes);
/// Of both, in this order.
ContentDigest combine(const ContentDigest& a, const ContentDigest& b);

/// Of a struct with a field list.
template <class T>
ContentDigest digest_of_struct(const T& value) {
  auto json = config::JsonWriter::for_digest();
  config::type_of<T>().write(&value, json);
  return digest_of(json.text());
}

}  // namespace sluice::gateway
