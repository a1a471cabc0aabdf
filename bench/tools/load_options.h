// The command line of bench_load and the request bytes made from it.
#pragma once

#include <algorithm>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "net.h"

namespace bench {

struct LoadOptions {
  sockaddr_in address{};
  std::string host = "bench.test";
  std::vector<std::string> targets;
  std::vector<std::string> headers;
  std::string key_header = "X-API-Key";
  std::vector<std::string> keys;
  size_t connections = 1;
  double seconds = 0;
  uint64_t requests = 0;
  double warmup = 0;
  uint64_t tick_us = 0;  // open loop: requests become due in bursts this far apart; 0: each at its own time
  double rate = 0;       // requests a second; 0: closed loop
  int64_t expect_bytes = -1;  // of a 2xx answer's body
  unsigned sources = 1;       // 127.0.0.1 to 127.0.0.N
  uint64_t deadline_ms = 0;   // a 2xx within it of being sent counts as good
  bool hold = false;
  bool tls = false;
  std::vector<int> pids;

  static LoadOptions parse(int argc, char** argv) {
    LoadOptions o;
    for (Options options(argc, argv); options.next();) {
      const std::string_view name = options.name();
      if (name == "--address")
        o.address = parse_address(options.value());
      else if (name == "--host")
        o.host = options.value();
      else if (name == "--target")
        o.targets.emplace_back(options.value());
      else if (name == "--targets")
        o.targets = lines_of(options.value());
      else if (name == "--header")
        o.headers.emplace_back(options.value());
      else if (name == "--key-header")
        o.key_header = options.value();
      else if (name == "--key")
        o.keys.emplace_back(options.value());
      else if (name == "--keys")
        o.keys = lines_of(options.value());
      else if (name == "--connections")
        o.connections = parse_number<size_t>(options.value());
      else if (name == "--seconds")
        o.seconds = parse_number<double>(options.value());
      else if (name == "--requests")
        o.requests = parse_number<uint64_t>(options.value());
      else if (name == "--warmup")
        o.warmup = parse_number<double>(options.value());
      else if (name == "--tick-us")
        o.tick_us = parse_number<uint64_t>(options.value());
      else if (name == "--rate")
        o.rate = parse_number<double>(options.value());
      else if (name == "--expect-bytes")
        o.expect_bytes = parse_number<int64_t>(options.value());
      else if (name == "--deadline-ms")
        o.deadline_ms = parse_number<uint64_t>(options.value());
      else if (name == "--sources")
        o.sources = parse_number<unsigned>(options.value());
      else if (name == "--pid")
        o.pids.push_back(parse_number<int>(options.value()));
      else if (name == "--hold")
        o.hold = true;
      else if (name == "--tls")
        o.tls = true;
      else
        options.unknown();
    }
    if (o.address.sin_family == 0 || o.targets.empty()) die("--address and --target are needed");
    if (!o.hold && o.seconds <= 0 && o.requests == 0) die("--seconds, --requests or --hold is needed");
    return o;
  }

  /// Every combination that is sent, in turn: request i uses target i and key i, each list wrapping round.
  std::vector<std::string> request_texts() const {
    std::string fixed = "Host: " + host + "\r\n";
    for (const std::string& header : headers) fixed += header + "\r\n";
    std::vector<std::string> texts(std::max<size_t>({1, targets.size(), keys.size()}));
    for (size_t i = 0; i < texts.size(); ++i) {
      texts[i] = "GET " + targets[i % targets.size()] + " HTTP/1.1\r\n" + fixed;
      if (!keys.empty()) texts[i] += key_header + ": " + keys[i % keys.size()] + "\r\n";
      texts[i] += "\r\n";
    }
    return texts;
  }

 private:
  static std::vector<std::string> lines_of(std::string_view path) {
    std::ifstream file{std::string(path)};
    if (!file) die("cannot read " + std::string(path));
    std::vector<std::string> lines;
    for (std::string line; std::getline(file, line);) {
      if (!line.empty()) lines.push_back(line);
    }
    return lines;
  }
};

}  // namespace bench
