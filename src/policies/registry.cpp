#include "policies/registry.h"

#include "policies/access/api_key/api_key.h"
#include "policies/traffic/rate_limit/rate_limit.h"
#include "policies/traffic/subscription/subscription.h"
#include "policies/traffic/throttle/throttle.h"
#include "policies/traffic/websocket/websocket.h"
#include "policies/transform/error_pages/error_pages.h"
#include "policies/transform/grpc_transcode/grpc_transcode.h"
#include "policies/transform/grpc_web/grpc_web.h"
#include "policies/transform/headers/headers.h"
#include "policies/transform/request_id/request_id.h"
#include "policies/transform/rewrite/rewrite.h"

namespace sluice::policies {

namespace {

const gateway::PolicyType* const kTypes[] = {
    &ApiKey::type(),         //
    &ErrorPages::type(),     //
    &GrpcTranscode::type(),  //
    &GrpcWeb::type(),        //
    &Headers::type(),        //
    &RateLimit::type(),      //
    &RequestId::type(),      //
    &Rewrite::type(),        //
    &Subscription::type(),   //
    &Throttle::type(),       //
    &WebSocket::type(),      //
};

}  // namespace

const gateway::PolicyType* Registry::type(std::string_view name) const {
  for (const gateway::PolicyType* type : kTypes)
    if (type->name == name) return type;
  return nullptr;
}

const config::StructBase* Registry::find(std::string_view name) const {
  const gateway::PolicyType* found = type(name);
  return found ? found->schema : nullptr;
}

std::span<const std::string_view> Registry::names() const {
  static const auto names = [] {
    std::array<std::string_view, std::size(kTypes)> all;
    for (size_t i = 0; i < all.size(); ++i) all[i] = kTypes[i]->name;
    return all;
  }();
  return names;
}

}  // namespace sluice::policies
