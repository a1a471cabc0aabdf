#include "gateway/stream/stream_compiler.h"

#include <algorithm>

namespace sluice::gateway {

namespace {

// Without a byte, where a stream does not say (config::StreamTimeouts).
constexpr Duration kStreamIdle = std::chrono::hours(1);
constexpr Duration kDatagramIdle = std::chrono::minutes(1);

}  // namespace

void StreamCompiler::compile(const config::Document& document, const UpstreamsByName& upstreams,
                             telemetry::Families& metrics, Snapshot& next) {
  std::erase_if(states_, [](const auto& state) { return state.second.expired(); });
  std::map<std::string_view, std::shared_ptr<StreamRoutes>> by_listener;
  for (const auto& [name, stream] : document.streams) {
    auto settings = std::ranges::find(next.listeners, stream.listener, &ListenerSettings::name);
    bool udp = settings->protocol == config::ListenerProtocol::kUdp;
    std::weak_ptr<StreamState>& known = states_[name];
    auto plan = std::make_shared<StreamPlan>();
    plan->name = name;
    plan->upstream = upstreams.at(stream.upstream);
    plan->state = known.lock();
    if (!plan->state) plan->state = std::make_shared<StreamState>();
    known = plan->state;
    plan->metrics = metrics.stream(name);
    plan->tls = stream.tls || !stream.sni.empty();
    plan->terminates = stream.tls == config::StreamTls::kTerminate;
    plan->idle = stream.timeouts.idle.value_or(udp ? kDatagramIdle : kStreamIdle);
    plan->most = udp ? stream.limits.sessions : stream.limits.connections;
    plan->datagram = stream.limits.datagram;
    plan->responses = stream.limits.responses;
    plan->log = stream.access_log.format.value_or(document.gateway.access_log.format) !=
                config::AccessLogFormat::kOff;
    auto& routes = by_listener[stream.listener];
    if (!routes) routes = std::make_shared<StreamRoutes>();
    if (stream.sni.empty()) routes->add({}, plan);
    for (const std::string& server_name : stream.sni) routes->add(server_name, plan);
  }
  for (ListenerSettings& settings : next.listeners)
    if (auto found = by_listener.find(settings.name); found != by_listener.end())
      settings.streams = found->second;
}

}  // namespace sluice::gateway
