// What CPU time other processes have used, read at the very edges of the measured window.
#pragma once

#include <dirent.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "net.h"

namespace bench {

struct CpuTime {
  uint64_t total_ns = 0;    // user and system, from the scheduler's own nanosecond account
  uint64_t user_ticks = 0;  // clock ticks of 1/100 s: good enough for the share
  uint64_t system_ticks = 0;

  static CpuTime of(const std::vector<int>& pids) {
    CpuTime sum;
    for (const int pid : pids) sum.add(pid);
    return sum;
  }

 private:
  void add(int pid) {
    const std::string process = "/proc/" + std::to_string(pid);
    const std::string tasks = process + "/task";
    DIR* directory = opendir(tasks.c_str());
    if (directory == nullptr) die_errno(tasks);
    while (const dirent* entry = readdir(directory)) {
      if (entry->d_name[0] == '.') continue;
      // A thread may end while we look; its time is lost then, which the long-lived workers measured here
      // never do.
      if (FILE* file = std::fopen((tasks + "/" + entry->d_name + "/schedstat").c_str(), "r")) {
        unsigned long long ns = 0;
        if (std::fscanf(file, "%llu", &ns) == 1) total_ns += ns;
        std::fclose(file);
      }
    }
    closedir(directory);
    if (FILE* file = std::fopen((process + "/stat").c_str(), "r")) {
      unsigned long long user = 0;
      unsigned long long system = 0;
      // proc(5): fields 14 and 15; the name in field 2 may hold spaces but ends with the last ')'.
      if (std::fscanf(file, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
                      &system) == 2) {
        user_ticks += user;
        system_ticks += system;
      }
      std::fclose(file);
    }
  }
};

}  // namespace bench
