// What the router is built from: the matching half of an API and of its routes, as plain values, and what can
// be wrong with them. Results of a match are indexes into these same lists.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace sluice::gateway {

struct ConditionSpec {
  enum class Kind : uint8_t {
    kHeader,  // any field of that name has exactly this value
    kQuery,   // any parameter of that name has, decoded, exactly this value
    kBody,    // the scalar at the JSON path `name` has exactly this text (see body_condition.h)
    kSuffix,  // the path ends in this value, behind something else: ":cancel"
  };
  Kind kind = Kind::kHeader;
  std::string name;
  std::string value;
};

struct RouteSpec {
  std::string name;                  // for messages only
  std::string path;                  // below the API's: "/a/{id}", "/a/{rest**}", "/a/**"; empty: "/**"
  std::vector<std::string> methods;  // empty: every method
  std::vector<ConditionSpec> conditions;
  int32_t priority = 0;  // the higher wins
};

struct ApiSpec {
  std::string name;                 // for messages only
  std::vector<uint16_t> listeners;  // empty: all
  std::vector<std::string> hosts;   // "api.example.com", "*.example.com"; empty: any
  std::string path = "/";           // a prefix of whole segments; one trailing slash does not count
};

/// Bounds on one configuration; beyond them it is refused.
inline constexpr size_t kMaxParameters = 16;       // a route
inline constexpr size_t kMaxPatternSegments = 64;  // of a path
inline constexpr size_t kMaxConditions = 32;       // a route
inline constexpr size_t kMaxHostBytes = 253;       // RFC 1035, section 2.3.4, written out
inline constexpr size_t kMaxBuildErrors = 64;      // the rest is not reported

/// A configuration error. `first` and `second` number the routes (ApiRouter) or the APIs (RootRouter) as
/// given.
struct BuildError {
  enum class Kind : uint8_t { kPath, kHost, kMethod, kCondition, kLimit, kTie };
  Kind kind = Kind::kPath;
  uint32_t first = 0;
  uint32_t second = 0;  // the other one of a tie; else `first`
  std::string message;  // a sentence; of a tie it names both
};

}  // namespace sluice::gateway
