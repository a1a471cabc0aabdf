// The quick start: two small HTTP servers to stand behind the gateway, a configuration for them, and what to
// try.
#pragma once

#include <expected>
#include <memory>
#include <string>
#include <thread>

#include "config/loader.h"

namespace sluice::cli {

/// examples/demo.yaml, as it was when the binary was built.
config::Input demo_input();

/// Prints lines that can be copied into another terminal.
void print_demo_summary();

/// `users` on 127.0.0.1:7001 and `orders` on 127.0.0.1:7002, on a thread of their own.
class DemoBackends {
 public:
  DemoBackends();
  ~DemoBackends();
  std::expected<void, std::string> start();

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace sluice::cli
