// The names behind the numbers: families of metrics and their series, the workers' shards, and the text a
// scrape gets (Prometheus text format 0.0.4). Resolving a series takes a lock and is for start-up and
// compilation, not for requests.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "telemetry/metrics.h"

namespace sluice::telemetry {

enum class MetricKind : uint8_t { kCounter, kGauge, kHistogram };

/// What a family is; all texts are static.
struct FamilyDefinition {
  std::string_view name;
  std::string_view help;
  MetricKind kind = MetricKind::kCounter;
  /// At most two, from the general to the special ("api", "route"); their values come with each series.
  std::vector<std::string_view> labels = {};
  /// A last label whose values are known beforehand; each series is then a `Group` over them.
  std::string_view fixed_label = {};
  std::vector<std::string_view> fixed_values = {};
  /// Most series (label sets; a histogram is one) ever shown; see Registry.
  uint32_t max_series = 600;
  /// What one unit of a gauge's slots is worth: 1e-6 shows parts per million as a ratio.
  double unit = 1;
};

/// Handles stay valid and keep their meaning as long as the registry lives: the same labels give the same
/// handle, so counters go on over reloads. Nothing is ever removed; what is *shown* is bounded:
///
/// - A group of series with labels gets its lines at the first scrape after it was counted into (gauges:
/// after
///   it was resolved). When three quarters of `max_series` are given away (with a single label: all but one
///   group's worth), later groups are shown summed up as route="other" of their API, and when the last
///   quarter is used up too, as api="other",route="other". What was folded stays folded, so that no counter
///   goes back.
/// - Beyond `kMaxGroups` label sets a family hands out the handle of "other" itself.
///
/// All methods may be called from any thread.
class Registry {
 public:
  static constexpr uint32_t kMaxGroups = 65'536;
  using FamilyId = uint32_t;

  Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;
  ~Registry();

  FamilyId add_family(FamilyDefinition definition);
  /// Changes `max_series`; for groups that have no line yet and are not folded.
  void set_max_series(FamilyId family, uint32_t max_series);

  /// The series of a family: the first slot of its group. `Families` wraps these into typed handles.
  uint32_t resolve(FamilyId family, std::initializer_list<std::string_view> label_values);

  /// A value that is asked for at scrape, on the scraping thread, and added to what the workers counted
  /// there. `read` must not call the registry.
  void add_source(Counter counter, std::function<uint64_t()> read);
  void add_source(Gauge gauge, std::function<int64_t()> read);

  /// A shard for one thread; lives as long as the registry, so that a thread's counts outlive it.
  WorkerMetrics& attach();

  /// The whole exposition. Content type: kContentType.
  std::string scrape();
  static constexpr std::string_view kContentType = "text/plain; version=0.0.4; charset=utf-8";

 private:
  struct Series;
  struct Family;

  uint32_t resolve_locked(Family& family, std::span<const std::string_view> label_values);
  Series& series_locked(Family& family, std::string labels, uint32_t first_label_bytes);
  uint32_t allocate_slots(uint32_t count);
  uint64_t read_slot(uint32_t slot) const;
  bool counted(const Family& family, const Series& series) const;
  void place(Family& family, Series& series);
  Series& fold_target(Family& family, const Series& series);
  void write_family(Family& family, std::string& out);

  std::mutex mutex_;
  std::vector<std::unique_ptr<Family>> families_;
  std::vector<std::unique_ptr<WorkerMetrics>> shards_;
  std::unordered_multimap<uint32_t, std::function<uint64_t()>> sources_;
  uint32_t next_slot_ = WorkerMetrics::kScratchSlots;
};

/// One thread's way from a static name (an error's code, a limit's name) to its counter: a small table of its
/// own, so that only the first use of a name by a thread resolves it. Names must live for ever; they are a
/// bounded set.
class NamedCounters {
 public:
  NamedCounters(Registry& registry, Registry::FamilyId family);
  Counter operator[](std::string_view name);

 private:
  static constexpr size_t kEntries = 256;  // twice the names that are kept; beyond, every use resolves
  struct Entry {
    std::string_view name;
    Counter counter;
  };
  Registry& registry_;
  Registry::FamilyId family_;
  size_t used_ = 0;
  std::unique_ptr<Entry[]> entries_;
};

}  // namespace sluice::telemetry
