#include "telemetry/registry.h"

#include <fmt/format.h>

#include <cassert>
#include <deque>

#include "base/hash.h"
#include "telemetry/text.h"

namespace sluice::telemetry {
namespace {

constexpr std::string_view kOther = "other";
constexpr uint32_t kNone = UINT32_MAX;

uint32_t slots_of(MetricKind kind) {
  return kind == MetricKind::kHistogram ? Histogram::kSlots : Counter::kSlots;
}

std::string_view kind_text(MetricKind kind) {
  switch (kind) {
    case MetricKind::kCounter:
      return "counter";
    case MetricKind::kGauge:
      return "gauge";
    case MetricKind::kHistogram:
      return "histogram";
  }
  return {};
}

/// Appends `name="value"`, escaped as the text format wants it; what is not UTF-8 becomes U+FFFD.
void append_label(std::string& out, std::string_view name, std::string_view value) {
  if (!out.empty()) out += ',';
  out.append(name).append("=\"");
  const char* end = value.data() + value.size();
  for (const char* at = value.data(); at < end;) {
    size_t size = utf8_sequence(at, end);
    if (size == 0) {
      out += "\xEF\xBF\xBD";
    } else if (*at == '\\' || *at == '"') {
      out.append({'\\', *at});
    } else if (*at == '\n') {
      out += "\\n";
    } else {
      out.append(at, size);
    }
    at += size == 0 ? 1 : size;
  }
  out += '"';
}

/// Nanoseconds as seconds, exact and without trailing zeros: "0.0001".
std::string seconds_text(uint64_t ns) {
  std::string text = fmt::format("{}.{:09}", ns / 1'000'000'000, ns % 1'000'000'000);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

const std::array<std::string, kBuckets>& bucket_labels() {
  static const auto labels = [] {
    std::array<std::string, kBuckets> made;
    for (size_t i = 0; i < kBucketBounds.size(); ++i) made[i] = seconds_text(kBucketBounds[i]);
    made.back() = "+Inf";
    return made;
  }();
  return labels;
}

}  // namespace

/// One label set of a family, and with it the whole group over the fixed label.
struct Registry::Series {
  enum class State : uint8_t { kHidden, kShown, kFolded };

  std::string labels;          // `api="x",route="y"`
  uint32_t first_label_bytes;  // of `api="x"`
  uint32_t slot = 0;
  State state = State::kHidden;
  Series* folded_into = nullptr;
  std::vector<uint64_t>
      folded;  // what this scrape added from others; empty if nobody was ever folded into it
};

struct Registry::Family {
  FamilyDefinition definition;
  uint32_t width = 1;  // series in a group
  std::deque<Series> series;
  std::unordered_map<std::string_view, Series*> by_labels;  // keys are the series' own texts
  Series* other = nullptr;                                  // all labels "other"; null without labels
  uint32_t shown_named = 0;                                 // series
  uint32_t shown_other = 0;                                 // route="other" of one API each

  uint32_t slots() const { return width * slots_of(definition.kind); }
  uint32_t named_limit() const {
    uint32_t most = definition.max_series;
    if (definition.labels.size() == 2) return most - most / 4;
    return most > width ? most - width : 0;
  }
  uint32_t other_limit() const {
    uint32_t rest = definition.max_series - named_limit();
    return rest > width ? rest - width : 0;
  }
};

Registry::Registry() = default;
Registry::~Registry() = default;

Registry::FamilyId Registry::add_family(FamilyDefinition definition) {
  std::lock_guard lock(mutex_);
  assert(definition.labels.size() <= 2);
  auto family = std::make_unique<Family>();
  family->definition = std::move(definition);
  if (!family->definition.fixed_label.empty())
    family->width = static_cast<uint32_t>(family->definition.fixed_values.size());
  assert(family->slots() <= WorkerMetrics::kScratchSlots);
  Family& added = *family;
  families_.push_back(std::move(family));
  constexpr std::string_view kOthers[] = {kOther, kOther};
  resolve_locked(added, std::span(kOthers).first(added.definition.labels.size()));
  if (!added.definition.labels.empty()) added.other = &added.series.front();
  return static_cast<FamilyId>(families_.size() - 1);
}

void Registry::set_max_series(FamilyId family, uint32_t max_series) {
  std::lock_guard lock(mutex_);
  families_[family]->definition.max_series = max_series;
}

uint32_t Registry::resolve(FamilyId family, std::initializer_list<std::string_view> label_values) {
  std::lock_guard lock(mutex_);
  return resolve_locked(*families_[family], {label_values.begin(), label_values.size()});
}

uint32_t Registry::resolve_locked(Family& family, std::span<const std::string_view> label_values) {
  assert(label_values.size() == family.definition.labels.size());
  std::string labels;
  uint32_t first_label_bytes = 0;
  for (size_t i = 0; i < label_values.size(); ++i) {
    append_label(labels, family.definition.labels[i], label_values[i]);
    if (i == 0) first_label_bytes = static_cast<uint32_t>(labels.size());
  }
  return series_locked(family, std::move(labels), first_label_bytes).slot;
}

Registry::Series& Registry::series_locked(Family& family, std::string labels, uint32_t first_label_bytes) {
  if (auto found = family.by_labels.find(labels); found != family.by_labels.end()) return *found->second;
  bool full = family.series.size() >= kMaxGroups;
  uint32_t slot = full ? kNone : allocate_slots(family.slots());
  if (slot == kNone && family.other) return *family.other;
  Series& made = family.series.emplace_back();
  made.labels = std::move(labels);
  made.first_label_bytes = first_label_bytes;
  made.slot = slot == kNone ? 0 : slot;
  family.by_labels.emplace(made.labels, &made);
  return made;
}

/// A group never straddles two chunks.
uint32_t Registry::allocate_slots(uint32_t count) {
  constexpr uint32_t kChunk = WorkerMetrics::kChunkSlots;
  uint32_t first = next_slot_;
  if (first % kChunk + count > kChunk) first += kChunk - first % kChunk;
  uint32_t chunks = (first + count + kChunk - 1) / kChunk;
  if (chunks > WorkerMetrics::kMaxChunks) return kNone;
  for (auto& shard : shards_) shard->grow_to(chunks);
  next_slot_ = first + count;
  return first;
}

void Registry::add_source(Counter counter, std::function<uint64_t()> read) {
  std::lock_guard lock(mutex_);
  sources_.emplace(counter.slot, std::move(read));
}

void Registry::add_source(Gauge gauge, std::function<int64_t()> read) {
  std::lock_guard lock(mutex_);
  sources_.emplace(gauge.slot, [read = std::move(read)] { return static_cast<uint64_t>(read()); });
}

WorkerMetrics& Registry::attach() {
  std::lock_guard lock(mutex_);
  auto shard = std::make_unique<WorkerMetrics>();
  shard->grow_to((next_slot_ + WorkerMetrics::kChunkSlots - 1) / WorkerMetrics::kChunkSlots);
  shards_.push_back(std::move(shard));
  return *shards_.back();
}

uint64_t Registry::read_slot(uint32_t slot) const {
  uint64_t sum = 0;
  for (const auto& shard : shards_) sum += shard->read(slot)->load(std::memory_order_relaxed);
  auto [first, last] = sources_.equal_range(slot);
  for (auto source = first; source != last; ++source) sum += source->second();
  return sum;
}

bool Registry::counted(const Family& family, const Series& series) const {
  for (uint32_t i = 0; i < family.slots(); ++i)
    if (read_slot(series.slot + i) != 0) return true;
  return false;
}

/// Decides, once and for all, whether a group that has been counted into is shown by name or folded.
void Registry::place(Family& family, Series& series) {
  if (series.state != Series::State::kHidden) return;
  bool from_the_start = family.definition.labels.empty() ||
                        (family.definition.kind == MetricKind::kGauge && &series != family.other);
  if (!from_the_start && !counted(family, series)) return;
  if (family.definition.labels.empty() || &series == family.other) {
    series.state = Series::State::kShown;
  } else if (family.shown_named + family.width <= family.named_limit()) {
    series.state = Series::State::kShown;
    family.shown_named += family.width;
  } else {
    series.state = Series::State::kFolded;
    Series& target = fold_target(family, series);
    if (&target == &series) {
      series.state = Series::State::kShown;  // a route that is itself called "other"
      return;
    }
    target.state = Series::State::kShown;
    target.folded.resize(family.slots());
    series.folded_into = &target;
  }
}

Registry::Series& Registry::fold_target(Family& family, const Series& series) {
  if (family.definition.labels.size() < 2) return *family.other;
  std::string labels = series.labels.substr(0, series.first_label_bytes);
  append_label(labels, family.definition.labels[1], kOther);
  auto found = family.by_labels.find(labels);
  if (found != family.by_labels.end() && found->second->state == Series::State::kShown) return *found->second;
  bool folded_itself = found != family.by_labels.end() && found->second != &series &&
                       found->second->state == Series::State::kFolded;
  if (folded_itself || family.shown_other + family.width > family.other_limit()) return *family.other;
  Series& target = series_locked(family, std::move(labels), series.first_label_bytes);
  if (&target != family.other) family.shown_other += family.width;
  return target;
}

void Registry::write_family(Family& family, std::string& out) {
  const FamilyDefinition& definition = family.definition;
  // `place` may add series at the end, which are visited too.
  for (size_t i = 0; i < family.series.size(); ++i) place(family, family.series[i]);
  for (Series& series : family.series) std::fill(series.folded.begin(), series.folded.end(), 0);
  for (const Series& series : family.series)
    if (series.folded_into)
      for (uint32_t i = 0; i < family.slots(); ++i)
        series.folded_into->folded[i] += read_slot(series.slot + i);

  out += fmt::format("# HELP {} {}\n# TYPE {} {}\n", definition.name, definition.help, definition.name,
                     kind_text(definition.kind));
  auto into = std::back_inserter(out);
  auto value = [&](const Series& series, uint32_t offset) {
    return read_slot(series.slot + offset) + (series.folded.empty() ? 0 : series.folded[offset]);
  };
  auto write_series = [&](const Series& series, const std::string& labels, uint32_t offset) {
    std::string braced = labels.empty() ? "" : "{" + labels + "}";
    if (definition.kind == MetricKind::kHistogram) {
      uint64_t count = 0;
      std::string_view comma = labels.empty() ? "" : ",";
      for (uint32_t b = 0; b < kBuckets; ++b) {
        count += value(series, offset + b);
        fmt::format_to(into, "{}_bucket{{{}{}le=\"{}\"}} {}\n", definition.name, labels, comma,
                       bucket_labels()[b], count);
      }
      fmt::format_to(into, "{}_sum{} {}\n{}_count{} {}\n", definition.name, braced,
                     seconds_text(value(series, offset + kBuckets)), definition.name, braced, count);
    } else if (definition.kind == MetricKind::kGauge) {
      auto units = static_cast<int64_t>(value(series, offset));
      if (definition.unit == 1) fmt::format_to(into, "{}{} {}\n", definition.name, braced, units);
      if (definition.unit != 1)
        fmt::format_to(into, "{}{} {}\n", definition.name, braced,
                       static_cast<double>(units) * definition.unit);
    } else {
      fmt::format_to(into, "{}{} {}\n", definition.name, braced, value(series, offset));
    }
  };
  for (const Series& series : family.series) {
    if (series.state != Series::State::kShown) continue;
    for (uint32_t i = 0; i < family.width; ++i) {
      std::string labels = series.labels;
      if (!definition.fixed_label.empty())
        append_label(labels, definition.fixed_label, definition.fixed_values[i]);
      write_series(series, labels, i * slots_of(definition.kind));
    }
  }
}

std::string Registry::scrape() {
  std::lock_guard lock(mutex_);
  std::string out;
  out.reserve(16 * 1024);
  for (auto& family : families_) write_family(*family, out);
  return out;
}

NamedCounters::NamedCounters(Registry& registry, Registry::FamilyId family)
    : registry_(registry), family_(family), entries_(std::make_unique<Entry[]>(kEntries)) {}

Counter NamedCounters::operator[](std::string_view name) {
  if (name.empty()) return {};
  size_t at = hash64(name) % kEntries;
  while (!entries_[at].name.empty()) {
    if (entries_[at].name == name) return entries_[at].counter;
    at = (at + 1) % kEntries;
  }
  Counter counter{registry_.resolve(family_, {name})};
  if (used_ < kEntries / 2) {
    entries_[at] = {name, counter};
    ++used_;
  }
  return counter;
}

}  // namespace sluice::telemetry
