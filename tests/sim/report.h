// What `./dev sim` says at the end.
#pragma once

#include <chrono>

#include "run.h"

namespace sluice::sim {

class Report {
 public:
  Report(bool json, bool trace) : json_(json), trace_(trace) {}
  void add(const RunResult& result);
  /// Prints; true when nothing failed.
  bool finish();

 private:
  void print_failure(const RunResult& result) const;
  void print_text() const;
  void print_json() const;

  bool json_;
  bool trace_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
  double took_ = 0;
  uint64_t seeds_ = 0;
  uint64_t calls_ = 0, answered_ = 0, closed_ = 0, refused_ = 0, reloads_ = 0, events_ = 0;
  std::array<uint64_t, io::kFaultKinds> faults_{};
  std::vector<RunResult> failed_;
};

}  // namespace sluice::sim
