// `headers`: changes fields of the request on its way to the upstream and of the answer on its way back.
#pragma once

#include <string>
#include <vector>

#include "config/types.h"
#include "gateway/policy_types.h"
#include "http/fields.h"

namespace sluice::policies {

struct FieldChanges {
  config::Map<std::string> set;
  config::Map<std::string> add;
  std::vector<std::string> remove;
  static const config::Struct<FieldChanges>& schema();
};

struct HeadersConfig {
  FieldChanges request;
  FieldChanges response;
  static const config::Struct<HeadersConfig>& schema();
};

/// Removes, then sets, then adds. Names are interned when the configuration is compiled.
class Headers final : public gateway::Policy {
 public:
  explicit Headers(const HeadersConfig& configured);
  Hooks hooks() const override { return {.request = !request_.empty(), .response = !response_.empty()}; }
  gateway::Step on_request(gateway::Exchange& exchange) const override;
  void on_response(gateway::Exchange& exchange) const override;

  static const gateway::PolicyType& type();

 private:
  class Changes {
   public:
    explicit Changes(const FieldChanges& configured);
    bool empty() const { return set_.empty() && add_.empty() && remove_.empty(); }
    void apply(http::Fields& fields) const;

   private:
    struct Named {
      std::string name;
      std::string value;
      http::FieldName id;
    };
    std::vector<Named> set_;
    std::vector<Named> add_;
    std::vector<Named> remove_;
  };

  Changes request_;
  Changes response_;
};

}  // namespace sluice::policies
