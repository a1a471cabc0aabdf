// The field lists of `streams`: what is carried without being HTTP.
#include "config/document.h"
#include "config/document_types.h"

namespace sluice::config {

using namespace std::chrono_literals;

const Struct<StreamTimeouts>& StreamTimeouts::schema() {
  static const auto schema =
      Struct<StreamTimeouts>("stream_timeouts", "How long a stream may take.")
          .field("idle", &StreamTimeouts::idle,
                 "Without a byte in either direction; `0s` for none. When left out an hour, of UDP a minute.")
          .range(0s, 24h * 365);
  return schema;
}

const Struct<StreamLimits>& StreamLimits::schema() {
  static const auto schema =
      Struct<StreamLimits>("stream_limits", "What clients of a stream may bring.")
          .field("connections", &StreamLimits::connections,
                 "How many connections at once; more are closed as they come. 0: as many as the gateway has.")
          .range(0, 10'000'000)
          .unit("connections")
          .field("sessions", &StreamLimits::sessions,
                 "Of UDP: how many clients at once, each a socket; datagrams of more are dropped.")
          .range(1, 1'000'000)
          .unit("sessions")
          .field("datagram", &StreamLimits::datagram,
                 "Of UDP: the largest datagram; larger ones are dropped.")
          .range(1, 65'535)
          .unit("bytes")
          .field("responses", &StreamLimits::responses,
                 "Of UDP: a session ends after so many datagrams of the target, as with DNS after one; 0: "
                 "only when it is idle.")
          .range(0, 1'000'000'000)
          .unit("datagrams");
  return schema;
}

const Struct<Stream>& Stream::schema() {
  static const auto schema =
      Struct<Stream>("stream", "What comes in by a listener and is passed on as it is.")
          .field("listener", &Stream::listener, "The listener it comes in by.")
          .required()
          .field("sni", &Stream::sni,
                 "Only TLS connections for these server names, or for all below `*.suffix`; when left out, "
                 "whatever comes.")
          .one_or_many()
          .field(
              "tls", &Stream::tls,
              "`passthrough`: it is TLS and stays so, only the name is looked at. `terminate`: it is TLS by "
              "the listener's `tls`, and goes on without. When left out it may be anything; with `sni`, "
              "`passthrough`.")
          .field("upstream", &Stream::upstream, "Where it goes.")
          .required()
          .field("timeouts", &Stream::timeouts, "How long it may take.")
          .field("limits", &Stream::limits, "What clients may bring.")
          .field("access_log", &Stream::access_log, "Overrides the gateway's access log.");
  return schema;
}

}  // namespace sluice::config
