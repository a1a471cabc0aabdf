#include "gateway/http_fetch.h"

#include <algorithm>

#include "base/ascii.h"
#include "http/h1/client_exchange.h"
#include "http/uri.h"
#include "io/linked_token.h"
#include "io/sleep.h"

namespace sluice::gateway {

namespace {

/// One of several addresses that do not answer must not take all the time.
constexpr size_t kMostAddresses = 4;
constexpr int kMostInterim = 8;

/// Of a connection that carries one exchange: nothing comes after it.
class OneExchange final : public http::h1::ClientExchange::Lender {
 public:
  void on_exchange_end(bool) override {}
  http::ClientTunnel& on_upgrade() override { std::abort(); }  // nobody has asked for one
};

class Fetch {
 public:
  Fetch(io::Loop& loop, const FetchRequest& request, const http::TargetUrl& url, io::CancelToken& token)
      : loop_(loop), request_(request), url_(url), token_(token) {}

  io::Task<Fetched> ask(io::Address address) {
    auto stream = co_await loop_.connect(address, token_);
    if (!stream) co_return std::unexpected("it cannot be reached");
    std::unique_ptr<io::Stream> connection = std::move(*stream);
    tls::SessionSlot sessions;
    if (url_.tls) {
      auto secured = request_.tls->connect(loop_, std::move(connection), std::string(url_.host), sessions);
      secured->bind(token_);
      auto shaken = co_await secured->handshake();
      secured->unbind();
      if (!shaken) co_return std::unexpected("its TLS cannot be set up or trusted: " + shaken.error().detail);
      connection = std::move(secured);
    }
    auto answer = co_await exchange(*connection);
    co_return answer;
  }

 private:
  http::Method method() const {
    if (request_.method == "POST") return http::Method::kPost;
    return request_.method == "HEAD" ? http::Method::kHead : http::Method::kGet;
  }

  io::Task<Fetched> exchange(io::Stream& stream) {
    Arena arena;
    http::Request request(arena);
    request.method = method();
    request.method_text = request_.method;
    // From behind the authority: a query stays as it is.
    std::string_view target = std::string_view(request_.url);
    target.remove_prefix(target.find(url_.authority) + url_.authority.size());
    size_t question = target.find('?');
    request.path = target.substr(0, question);
    if (request.path.empty()) request.path = "/";
    if (question != std::string_view::npos) {
      request.has_query = true;
      request.query = target.substr(question + 1);
    }
    if (request.method == http::Method::kPost) request.body = http::BodyLength::known(request_.body.size());
    if (!request_.content_type.empty())
      request.fields.add(http::FieldName::kContentType, request_.content_type);
    if (!request_.accept.empty()) request.fields.add(http::FieldName::kAccept, request_.accept);
    request.fields.add("user-agent", "sluice/" SLUICE_VERSION);

    OneExchange lender;
    http::Limits limits;
    auto& exchange = http::h1::ClientExchange::start({loop_, stream, lender, false}, {token_, arena, limits});
    exchange.begin(request, {.host = url_.authority});
    bool sent = false;
    if (request.body.empty()) {
      auto written = co_await exchange.send_head();
      sent = written.has_value();
    } else {
      auto watch = exchange.watch({});
      auto written = co_await exchange.send_body(http::Body::of(request_.body), watch);
      sent = written.outcome == http::WriteResult::Outcome::kComplete;
    }
    Fetched answer = std::unexpected("it broke off");
    if (sent) answer = co_await read(exchange, arena);
    exchange.end(false);
    co_return answer;
  }

  io::Task<Fetched> read(http::ClientExchange& exchange, Arena& arena) {
    http::Response head(arena);
    for (int interim = 0;; ++interim) {
      head = http::Response(arena);
      auto got = co_await exchange.read_head(head);
      if (!got || interim == kMostInterim) co_return std::unexpected("it says no HTTP");
      if (head.status >= 200) break;
    }
    FetchAnswer answer{.status = head.status, .fields = {}, .body = {}};
    for (const http::Field& field : head.fields)
      answer.fields.emplace_back(ascii::to_lower(field.name), field.value);
    http::BodyReader* body = exchange.body();
    while (body) {
      auto chunk = co_await body->read();
      if (!chunk) co_return std::unexpected("it broke off");
      answer.body += chunk->bytes;
      if (answer.body.size() > request_.most_bytes) co_return std::unexpected("its answer is too long");
      if (chunk->end) break;
    }
    co_return answer;
  }

  io::Loop& loop_;
  const FetchRequest& request_;
  const http::TargetUrl& url_;
  io::CancelToken& token_;
};

}  // namespace

std::string_view FetchAnswer::field(std::string_view name) const {
  auto found = std::ranges::find(fields, name, &std::pair<std::string, std::string>::first);
  return found == fields.end() ? std::string_view() : std::string_view(found->second);
}

io::Task<Fetched> http_fetch(io::Loop& loop, io::Resolver& resolver, FetchRequest request,
                             io::CancelToken& all) {
  io::LinkedToken token(all);
  io::Deadline deadline(loop, loop.now() + request.timeout, token);
  auto url = http::parse_target_url(std::string_view(request.url).substr(0, request.url.find('?')));
  if (!url) co_return std::unexpected("its URL is not one of HTTP");
  if (url->tls && !request.tls) co_return std::unexpected("its URL is not one of HTTP in the clear");
  std::vector<io::Address> addresses;
  if (auto literal = io::Address::parse_ip(url->host, url->port)) {
    addresses.push_back(*literal);
  } else {
    auto resolved = co_await resolver.resolve(std::string(url->host), token);
    if (!resolved) co_return std::unexpected("its name cannot be resolved");
    addresses = std::move(resolved->addresses);
  }
  if (addresses.size() > kMostAddresses) addresses.resize(kMostAddresses);
  Fetched answer = std::unexpected("it has no address");
  Fetch fetch(loop, request, *url, token);
  for (io::Address address : addresses) {
    address.port = url->port;
    answer = co_await fetch.ask(address);
    if (answer || token.cancelled()) break;
  }
  if (!answer && token.reason() == io::CancelReason::kDeadline)
    co_return std::unexpected("it has not answered in time");
  co_return answer;
}

}  // namespace sluice::gateway
