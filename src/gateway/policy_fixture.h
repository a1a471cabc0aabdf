// For tests of chains: a policy that notes when each of its hooks is called, and does what it is told.
#pragma once

#include <stdexcept>

#include "config/types.h"
#include "gateway/exchange.h"
#include "gateway/policy_types.h"
#include "io/sleep.h"

namespace sluice::gateway::testing {

enum class MarkDoes : uint8_t { kPass, kAnswer, kThrow, kThrowOnResponse, kWait, kWaitAnswer, kWaitThrow };

struct MarkConfig {
  std::string note;
  MarkDoes does = MarkDoes::kPass;
  static const config::Struct<MarkConfig>& schema();
};

/// `a>` in the request phase, `a<` in the response phase, `a.` at the end, in the order in which it happens.
inline std::string mark_trace;

class Mark final : public Policy {
 public:
  static constexpr Refusal kRefusal{403, "marked", "The mark says no."};

  explicit Mark(MarkConfig configured) : config_(std::move(configured)) {}
  Hooks hooks() const override { return {.request = true, .response = true, .end = true}; }

  Step on_request(Exchange& exchange) const override {
    note('>');
    switch (config_.does) {
      case MarkDoes::kAnswer:
        return exchange.refuse(kRefusal);
      case MarkDoes::kThrow:
        throw std::runtime_error("request phase");
      case MarkDoes::kWait:
      case MarkDoes::kWaitAnswer:
      case MarkDoes::kWaitThrow:
        return Step::wait(wait(exchange));
      default:
        return Step::next();
    }
  }
  void on_response(Exchange& exchange) const override {
    note('<');
    if (config_.does == MarkDoes::kThrowOnResponse) throw std::runtime_error("response phase");
    exchange.response.fields.add("X-Mark", config_.note);
  }
  void on_end(const Exchange&) const noexcept override { note('.'); }

  static const PolicyType& type() {
    static const PolicyType type{
        .name = "mark",
        .schema = &MarkConfig::schema(),
        .build = [](const void* config,
                    const PolicyContext&) -> std::expected<std::shared_ptr<const Policy>, std::string> {
          const auto& configured = *static_cast<const MarkConfig*>(config);
          if (configured.note == "bad") return std::unexpected("this note is refused");
          return std::make_shared<const Mark>(configured);
        },
        .decides = true,
    };
    return type;
  }

 private:
  void note(char phase) const { mark_trace.append(config_.note).push_back(phase); }
  io::Task<Step> wait(Exchange& exchange) const {
    auto slept =
        co_await io::sleep_for(exchange.loop(), std::chrono::milliseconds(10), exchange.server.token);
    std::ignore = slept;
    note(')');
    if (config_.does == MarkDoes::kWaitThrow) throw std::runtime_error("waiting");
    if (config_.does == MarkDoes::kWaitAnswer) co_return exchange.refuse(kRefusal);
    co_return Step::next();
  }

  MarkConfig config_;
};

class MarkPolicies final : public PolicyTypes {
 public:
  const PolicyType* type(std::string_view name) const override {
    return name == "mark" ? &Mark::type() : nullptr;
  }
  const config::StructBase* find(std::string_view name) const override {
    return name == "mark" ? &MarkConfig::schema() : nullptr;
  }
  std::span<const std::string_view> names() const override {
    static constexpr std::string_view kNames[] = {"mark"};
    return kNames;
  }
};

}  // namespace sluice::gateway::testing

template <>
struct sluice::config::EnumTraits<sluice::gateway::testing::MarkDoes> {
  using Does = gateway::testing::MarkDoes;
  static constexpr EnumName<Does> kNames[] = {{"pass", Does::kPass},
                                              {"answer", Does::kAnswer},
                                              {"throw", Does::kThrow},
                                              {"wait", Does::kWait},
                                              {"wait_answer", Does::kWaitAnswer},
                                              {"wait_throw", Does::kWaitThrow},
                                              {"throw_on_response", Does::kThrowOnResponse}};
};

inline const sluice::config::Struct<sluice::gateway::testing::MarkConfig>&
sluice::gateway::testing::MarkConfig::schema() {
  static const auto schema = config::Struct<MarkConfig>("mark", "Notes its calls.")
                                 .field("note", &MarkConfig::note, "What it writes.")
                                 .field("does", &MarkConfig::does, "What it does besides.");
  return schema;
}
