#include "rate_model.h"

#include "config/types.h"

namespace sluice::sim {

LimitDecision RateModel::take(const std::string& limit, const Rate& rate, const std::string& key,
                              uint64_t cost, Instant now) {
  auto count = static_cast<int64_t>(rate.count);
  Duration interval((rate.period.count() + count - 1) / count);
  Duration capacity = interval * static_cast<int64_t>(rate.burst);
  Duration& full_at = full_at_[{limit, key}];
  Duration at = now.time_since_epoch();
  Duration filled = std::max(full_at, at);
  Duration with_this = filled + interval * static_cast<int64_t>(cost);
  LimitDecision decision;
  decision.allowed = with_this - at <= capacity;
  if (decision.allowed) full_at = filled = with_this;
  decision.remaining = static_cast<uint64_t>((capacity - (filled - at)) / interval);
  auto seconds = [](Duration time) {
    return static_cast<uint64_t>(std::chrono::ceil<std::chrono::seconds>(time).count());
  };
  decision.full_in = seconds(filled - at);
  if (!decision.allowed && interval * static_cast<int64_t>(cost) <= capacity)
    decision.again_in = std::max<uint64_t>(1, seconds(with_this - at - capacity));
  decision.count = rate.count;
  decision.period = seconds(rate.period);
  return decision;
}

namespace {

const SimPolicies::OnPass* current = nullptr;
const SimPolicies::OnEnd* current_end = nullptr;

struct ProbeConfig {
  std::string limit;
  bool ends = false;
  static const config::Struct<ProbeConfig>& schema() {
    static const auto schema = config::Struct<ProbeConfig>("sim_probe", "Tells the simulator who passes.")
                                   .field("limit", &ProbeConfig::limit, "The limit behind it.")
                                   .required()
                                   .field("ends", &ProbeConfig::ends, "Tells it of ends too.");
    return schema;
  }
};

class Probe final : public gateway::Policy {
 public:
  explicit Probe(const ProbeConfig& configured) : limit_(configured.limit), ends_(configured.ends) {}
  Hooks hooks() const override { return {.request = true, .end = ends_}; }
  gateway::Step on_request(gateway::Exchange& exchange) const override {
    (*current)(exchange, limit_);
    return gateway::Step::next();
  }
  void on_end(const gateway::Exchange& exchange) const noexcept override { (*current_end)(exchange, limit_); }

 private:
  const std::string limit_;
  const bool ends_;
};

const gateway::PolicyType& probe_type() {
  static const gateway::PolicyType type{
      .name = "sim_probe",
      .schema = &ProbeConfig::schema(),
      .build = [](const void* config, const gateway::PolicyContext&)
          -> std::expected<std::shared_ptr<const gateway::Policy>, std::string> {
        return std::make_shared<const Probe>(*static_cast<const ProbeConfig*>(config));
      },
  };
  return type;
}

}  // namespace

SimPolicies::SimPolicies(OnPass on_pass, OnEnd on_end)
    : on_pass_(std::move(on_pass)), on_end_(std::move(on_end)) {
  current = &on_pass_;
  current_end = &on_end_;
}

SimPolicies::~SimPolicies() {
  current = nullptr;
  current_end = nullptr;
}

const gateway::PolicyType* SimPolicies::type(std::string_view name) const {
  return name == probe_type().name ? &probe_type() : real_.type(name);
}

const config::StructBase* SimPolicies::find(std::string_view name) const {
  const gateway::PolicyType* found = type(name);
  return found ? found->schema : nullptr;
}

std::span<const std::string_view> SimPolicies::names() const {
  static const std::vector<std::string_view> all = [this] {
    std::vector<std::string_view> names(real_.names().begin(), real_.names().end());
    names.push_back(probe_type().name);
    return names;
  }();
  return all;
}

}  // namespace sluice::sim
