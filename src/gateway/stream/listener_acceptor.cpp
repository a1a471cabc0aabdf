#include "gateway/stream/listener_acceptor.h"

#include "gateway/stream/stream_session.h"
#include "gateway/worker.h"
#include "http/serve.h"
#include "io/proxy_protocol.h"
#include "io/sleep.h"
#include "io/stream_head.h"
#include "tls/client_hello.h"

namespace sluice::gateway {

namespace {

using config::ListenerProxyProtocol;
using telemetry::ErrorBy;

/// A fatal `unrecognized_name` (RFC 8446, section 6; RFC 6066, section 3).
constexpr std::string_view kUnrecognizedName{"\x15\x03\x03\x00\x02\x02\x70", 7};

/// A connection of which it is not known yet who serves it.
class Opening final : public http::Connection {
 public:
  Opening(Worker& worker, const ListenerSettings& settings, std::shared_ptr<HandshakeReport> handshakes,
          std::unique_ptr<io::Stream> stream)
      : worker_(worker),
        number_(settings.number),
        proxy_protocol_(settings.proxy_protocol),
        streams_(settings.streams),
        tls_(settings.tls),
        handshakes_(std::move(handshakes)),
        stream_(std::move(stream)),
        head_(worker.loop(), *stream_),
        began_(worker.loop().now()) {
    stream_->bind(token_);
    worker_.connections().push_back(*this);
    worker_.count_connections(number_, 1, 0);
  }
  ~Opening() {
    worker_.count_connections(number_, -1, 0);
    if (stream_) worker_.release(stream_->peer());
  }

  /// It has come to ask, so it is heard: the time for that is bounded.
  void drain() override {}
  void cancel(io::CancelReason reason) override { token_.cancel(reason); }

  /// False: the connection is not served.
  io::Task<bool> look() {
    io::Deadline deadline(worker_.loop(), began_ + worker_.timeouts().header, token_);
    if (proxy_protocol_ != ListenerProxyProtocol::kOff) {
      bool good = co_await read_proxy_header();
      if (!good) co_return false;
    }
    if (streams_) {
      plan_ = streams_->without_look();
      if (!plan_) {
        bool found = co_await read_client_hello();
        if (!found) co_return false;
      }
    }
    if (tls_ && (!plan_ || plan_->terminates)) {
      bool secured = co_await secure();
      // A CA has seen what it came for (RFC 8737, section 3).
      co_return secured && stream_->security()->protocol != tls::kChallengeProtocol;
    }
    co_return true;
  }

  /// After `look` has said yes.
  std::unique_ptr<io::Stream> take() {
    head_.give_back();
    stream_->unbind();
    return std::move(stream_);
  }
  /// Null: HTTP.
  std::shared_ptr<const StreamPlan> plan() { return std::move(plan_); }
  StreamOpening opening() { return std::move(opening_); }

 private:
  io::Task<bool> read_proxy_header() {
    const io::Address peer = stream_->peer();
    if (!worker_.snapshot().trusts(peer)) {
      if (proxy_protocol_ == ListenerProxyProtocol::kTrusted) co_return true;
      refuse("proxy_untrusted");
      co_return false;
    }
    for (;;) {
      auto header = io::parse_proxy_header(head_.bytes());
      if (header) co_return accept_header(*header);
      if (header.error() == io::ProxyHeaderProblem::kMalformed) {
        refuse("proxy_header_malformed");
        co_return false;
      }
      auto more = co_await head_.more();
      if (!more) {
        refuse_for(more.error(), "proxy_header_timeout");
        co_return false;
      }
    }
  }

  /// From now on the connection is the client's: it counts as one of its own.
  bool accept_header(const io::ProxyHeader& header) {
    head_.consume(header.size);
    if (!header.known) return true;
    opening_.destination = header.destination;
    worker_.release(stream_->peer());
    stream_->set_peer(header.source.unmapped());
    if (worker_.admit(stream_->peer())) return true;
    stream_->abort();
    stream_.reset();
    return false;
  }

  io::Task<bool> read_client_hello() {
    for (;;) {
      auto hello = tls::parse_client_hello(head_.bytes());
      if (hello) {
        opening_.server_name = std::move(hello->server_name);
        plan_ = streams_->find(opening_.server_name);
        if (plan_ || tls_) co_return true;
        iovec alert{const_cast<char*>(kUnrecognizedName.data()), kUnrecognizedName.size()};
        auto written = co_await stream_->write({&alert, 1});
        std::ignore = written;  // it is refused either way
        count_and_log("unknown_server_name");
        co_return false;
      }
      if (hello.error() != tls::ClientHelloProblem::kIncomplete) {
        if (tls_) co_return true;  // the handshake has the right alert for it
        refuse("client_hello_malformed");
        co_return false;
      }
      auto more = co_await head_.more();
      if (!more) {
        refuse_for(more.error(), "client_hello_timeout");
        co_return false;
      }
    }
  }

  /// The handshake with those whose TLS ends here.
  io::Task<bool> secure() {
    head_.give_back();
    stream_->unbind();
    auto secured = tls_->accept(worker_.loop(), std::move(stream_));
    tls::TlsStream& stream = *secured;
    stream_ = std::move(secured);
    if (plan_) stream.ignore_protocols();
    stream.bind(token_);
    auto outcome = co_await stream.handshake();
    if (outcome) {
      handshakes_->succeeded(*stream.security());
      co_return true;
    }
    // A drain is no fault of the client's.
    if (token_.reason() != io::CancelReason::kDrain)
      handshakes_->failed(outcome.error(), stream.peer(), stream.security()->server_name,
                          worker_.loop().now());
    co_return false;
  }

  /// Reading failed: the client's doing, or ours.
  void refuse_for(const io::Error& error, std::string_view late) {
    if (error.code == io::ErrorCode::kFull) return refuse("client_hello_malformed");
    if (token_.reason() == io::CancelReason::kDeadline) return refuse(late);
    stream_->abort();  // it left, or we do, before anything was said
  }
  void refuse(std::string_view code) {
    stream_->abort();
    count_and_log(code);
  }
  void count_and_log(std::string_view code) {
    worker_.count_refused(code);
    telemetry::AccessRecord record;
    record.host = opening_.server_name;
    record.protocol = streams_ ? "tls" : "tcp";
    record.error_by = ErrorBy::kClient;
    record.error_code = code;
    worker_.log_connection(record, number_, stream_->peer(), worker_.loop().now() - began_);
  }

  Worker& worker_;
  const uint16_t number_;
  const ListenerProxyProtocol proxy_protocol_;
  const std::shared_ptr<const StreamRoutes> streams_;  // null: HTTP alone
  const std::shared_ptr<const tls::ServerContext> tls_;
  const std::shared_ptr<HandshakeReport> handshakes_;
  std::unique_ptr<io::Stream> stream_;
  io::StreamHead head_;
  io::CancelToken token_;
  const Instant began_;
  std::shared_ptr<const StreamPlan> plan_;
  StreamOpening opening_;
};

void serve_http(Worker& worker, std::unique_ptr<io::Stream> stream, const ListenerSettings& settings) {
  http::Serving serving{worker.loop(), worker, worker.connections(), worker.scope()};
  http::Codec codec = settings.codec();
  // Over TLS it was negotiated (RFC 9113, section 3.2).
  if (const tls::ConnectionSecurity* security = stream->security())
    codec = security->protocol == "h2" ? http::Codec::kHttp2 : http::Codec::kHttp1;
  http::serve(serving, std::move(stream), settings.number, codec);
}

/// A coroutine of its own, so that nothing of it stays while the connection is served. Its settings are its
/// own, for the listener may go meanwhile.
io::Task<> open_connection(Worker& worker, ListenerSettings settings,
                           std::shared_ptr<HandshakeReport> handshakes, std::unique_ptr<io::Stream> stream) {
  Opening connection(worker, settings, std::move(handshakes), std::move(stream));
  bool good = co_await connection.look();
  if (!good) co_return;
  auto plan = connection.plan();
  StreamOpening opening = connection.opening();
  opening.listener = settings.number;
  auto taken = connection.take();
  if (plan)
    worker.scope().spawn(serve_stream(worker, std::move(taken), std::move(plan), std::move(opening)));
  else
    serve_http(worker, std::move(taken), settings);
}

}  // namespace

ListenerAcceptor::ListenerAcceptor(Worker& worker, const ListenerSettings& settings)
    : worker_(worker),
      settings_(settings),
      handshakes_(std::make_shared<HandshakeReport>(worker.metrics(), worker.tls_metrics(settings.name),
                                                    settings.name)) {}

bool ListenerAcceptor::admit(const io::Address& peer) { return worker_.admit(peer); }

void ListenerAcceptor::shed() { worker_.count_limit("descriptors"); }

void ListenerAcceptor::accepted(std::unique_ptr<io::Stream> stream) {
  bool looks = settings_.proxy_protocol != ListenerProxyProtocol::kOff || settings_.streams || settings_.tls;
  if (!looks) return serve_http(worker_, std::move(stream), settings_);
  worker_.scope().spawn(open_connection(worker_, settings_, handshakes_, std::move(stream)));
}

}  // namespace sluice::gateway
