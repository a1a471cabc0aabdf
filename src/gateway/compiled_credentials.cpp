#include "gateway/compiler.h"

namespace sluice::gateway {

CompiledCredentials compile_credentials(const config::Document& document, const store::KeyedHasher& hasher) {
  CompiledCredentials compiled;
  for (const auto& [name, consumer] : document.consumers) {
    auto number = static_cast<uint32_t>(compiled.consumers.size());
    std::vector<store::Subscription> subscriptions;
    for (const config::Subscription& each : consumer.subscriptions)
      subscriptions.push_back({each.api, each.plan});
    compiled.consumers.push_back(
        store::Consumer::of(name, consumer.groups, consumer.roles, std::move(subscriptions)));
    for (const config::Credential& credential : consumer.credentials) {
      if (!credential.api_key) continue;
      // The loader has seen to it that no two are the same.
      compiled.entries.push_back(
          {hasher(*credential.api_key), number, store::PublicPrefix::of(*credential.api_key)});
    }
  }
  return compiled;
}

}  // namespace sluice::gateway
