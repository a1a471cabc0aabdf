// Host names to numbers: exact ones, then `*.suffix`, then the rest. The first entry of a name stays.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace sluice::tls {

class NameTable {
 public:
  /// In lower case.
  void add(std::string_view name, uint32_t number) {
    if (name.starts_with("*."))
      suffixes_.emplace(name.substr(1), number);
    else
      exact_.emplace(name, number);
  }
  /// For names that nothing else fits.
  void add_rest(uint32_t number) {
    if (!rest_) rest_ = number;
  }

  /// `*.` stands for one label, as in certificates (RFC 6125, section 6.4.3); null: nothing fits.
  const uint32_t* find_one_label(std::string_view name) const {
    if (const uint32_t* exact = find(exact_, name)) return exact;
    size_t dot = name.find('.');
    if (dot != 0 && dot != name.npos)
      if (const uint32_t* suffix = find(suffixes_, name.substr(dot))) return suffix;
    return rest_ ? &*rest_ : nullptr;
  }
  /// `*.` stands for any number of labels, as in the hosts of an API; the longest suffix wins.
  const uint32_t* find_any_depth(std::string_view name) const {
    if (const uint32_t* exact = find(exact_, name)) return exact;
    if (!suffixes_.empty())
      for (size_t dot = name.find('.', 1); dot < name.size(); dot = name.find('.', dot + 1))
        if (const uint32_t* suffix = find(suffixes_, name.substr(dot))) return suffix;
    return rest_ ? &*rest_ : nullptr;
  }

 private:
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Table = std::unordered_map<std::string, uint32_t, Hash, std::equal_to<>>;
  static const uint32_t* find(const Table& table, std::string_view name) {
    auto found = table.find(name);
    return found == table.end() ? nullptr : &found->second;
  }

  Table exact_;
  Table suffixes_;  // with their dot: ".example.com"
  std::optional<uint32_t> rest_;
};

}  // namespace sluice::tls
