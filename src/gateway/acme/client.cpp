#include "gateway/acme/client.h"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "base/ascii.h"
#include "io/sleep.h"

namespace sluice::gateway::acme {

namespace {

namespace json = boost::json;

constexpr size_t kMostText = 2048;  // of a URL, a token, a nonce
constexpr size_t kMostNames = 100;  // of authorizations and challenges
/// How long a CA may take to look, and to sign.
constexpr Duration kPatience = std::chrono::minutes(3);
constexpr Duration kFirstLook = std::chrono::seconds(1);  // doubles each time, up to kLastLook
constexpr Duration kLastLook = std::chrono::seconds(15);
constexpr Duration kLongestRetry = std::chrono::hours(24);

std::unexpected<Refusal> nonsense(std::string_view what) {
  return std::unexpected(Refusal{fmt::format("it says no {} as RFC 8555 has it", what), true, {}});
}

std::optional<json::object> object_of(std::string_view text) {
  json::error_code error;
  json::parse_options options;
  options.max_depth = 16;
  json::value value = json::parse(json::string_view(text.data(), text.size()), error, {}, options);
  if (error || !value.is_object()) return std::nullopt;
  return std::move(value.as_object());
}

/// A text that may go into a header or a log; empty: there is none.
std::string text_of(const json::object& object, std::string_view name) {
  const json::value* value = object.if_contains(json::string_view(name.data(), name.size()));
  if (!value || !value->is_string()) return {};
  std::string_view text(value->as_string().data(), value->as_string().size());
  bool plain = std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7f; });
  return plain && text.size() <= kMostText ? std::string(text) : std::string();
}

std::string url_of(const json::object& object, std::string_view name) {
  std::string url = text_of(object, name);
  bool good = url.starts_with("https://") && url.find_first_of(" \"\\#") == std::string::npos;
  return good ? url : std::string();
}

std::string quoted(std::string_view text) { return json::serialize(json::string(text.data(), text.size())); }

/// Section 6.7; what has no use here is left out.
Refusal refusal_of(const FetchAnswer& answer) {
  Refusal refusal{fmt::format("it answers with status {}", answer.status), true, {}};
  if (auto problem = object_of(answer.body)) {
    std::string type = text_of(*problem, "type");
    std::string detail = text_of(*problem, "detail");
    if (size_t at = type.rfind(':'); at != std::string::npos) type = type.substr(at + 1);
    if (!type.empty()) refusal.why = fmt::format("it refuses ({}): {}", type, detail);
  }
  if (auto seconds = ascii::parse_decimal(answer.field("retry-after")))
    refusal.retry_after =
        std::min<Duration>(std::chrono::seconds(std::min<uint64_t>(*seconds, 1 << 20)), kLongestRetry);
  return refusal;
}

bool bad_nonce(const FetchAnswer& answer) {
  if (answer.status != 400) return false;
  auto problem = object_of(answer.body);
  return problem && text_of(*problem, "type") == "urn:ietf:params:acme:error:badNonce";
}

Outcome<Order> order_of(const FetchAnswer& answer, std::string url) {
  auto object = object_of(answer.body);
  if (!object) return nonsense("order");
  Order order{.url = std::move(url),
              .status = text_of(*object, "status"),
              .authorizations = {},
              .finalize = url_of(*object, "finalize"),
              .certificate = url_of(*object, "certificate")};
  const json::value* list = object->if_contains("authorizations");
  if (order.finalize.empty() || !list || !list->is_array() || list->as_array().size() > kMostNames)
    return nonsense("order");
  for (const json::value& each : list->as_array()) {
    json::object holder{{"url", each}};
    order.authorizations.push_back(url_of(holder, "url"));
    if (order.authorizations.back().empty()) return nonsense("order");
  }
  if (order.status == "invalid") {
    std::string why = "it has given the order up";
    const json::value* error = object->if_contains("error");
    if (error && error->is_object()) why += ": " + text_of(error->as_object(), "detail");
    return std::unexpected(Refusal{why, true, {}});
  }
  return order;
}

/// The next look comes when the CA says, or after a while that grows.
Duration next_look(const FetchAnswer& answer, Duration& patience) {
  Duration wait = patience;
  patience = std::min(patience * 2, kLastLook);
  auto seconds = ascii::parse_decimal(answer.field("retry-after"));
  if (seconds && *seconds <= 60) wait = std::chrono::seconds(std::max<uint64_t>(*seconds, 1));
  return wait;
}

const Refusal kLate{"it takes too long", true, {}};

}  // namespace

io::Task<Outcome<FetchAnswer>> Client::fetch(FetchRequest request) {
  request.tls = tls_;
  auto answer = co_await http_fetch(loop_, resolver_, std::move(request), token_);
  if (!answer) co_return std::unexpected(Refusal{answer.error(), false, {}});
  std::string_view nonce = answer->field("replay-nonce");
  bool good = !nonce.empty() && nonce.size() <= kMostText && std::ranges::all_of(nonce, [](char c) {
    return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '_';
  });
  if (good) nonce_ = nonce;
  co_return std::move(*answer);
}

io::Task<Outcome<std::string>> Client::take_nonce() {
  if (nonce_.empty()) {
    auto answer = co_await fetch({.method = "HEAD", .url = new_nonce_});
    if (!answer) co_return std::unexpected(answer.error());
    if (nonce_.empty()) co_return nonsense("nonce");
  }
  co_return std::exchange(nonce_, {});
}

/// Section 6.2 to 6.5.
io::Task<Outcome<FetchAnswer>> Client::post(std::string url, std::string payload) {
  for (int tries = 0;; ++tries) {
    auto nonce = co_await take_nonce();
    if (!nonce) co_return std::unexpected(nonce.error());
    FetchRequest request{.method = "POST",
                         .url = url,
                         .content_type = "application/jose+json",
                         .body = key_.sign({.url = url, .nonce = *nonce, .account = account_}, payload)};
    auto answer = co_await fetch(std::move(request));
    if (!answer) co_return answer;
    if (bad_nonce(*answer) && tries + 1 < kMostNonces) continue;
    if (answer->status >= 300) co_return std::unexpected(refusal_of(*answer));
    co_return answer;
  }
}

io::Task<Outcome<void>> Client::begin(std::string directory, std::string email) {
  auto answer = co_await fetch({.url = directory});
  if (!answer) co_return std::unexpected(answer.error());
  if (answer->status != 200) co_return std::unexpected(refusal_of(*answer));
  auto listed = object_of(answer->body);
  if (!listed) co_return nonsense("directory");
  new_nonce_ = url_of(*listed, "newNonce");
  new_account_ = url_of(*listed, "newAccount");
  new_order_ = url_of(*listed, "newOrder");
  if (new_nonce_.empty() || new_account_.empty() || new_order_.empty()) co_return nonsense("directory");

  std::string contact = email.empty() ? "" : ",\"contact\":[" + quoted("mailto:" + email) + "]";
  auto made = co_await post(new_account_, "{\"termsOfServiceAgreed\":true" + contact + "}");
  if (!made) co_return std::unexpected(made.error());
  json::object holder{{"url", json::string(made->field("location").data(), made->field("location").size())}};
  account_ = url_of(holder, "url");
  if (account_.empty()) co_return nonsense("account");
  co_return Outcome<void>();
}

io::Task<Outcome<Order>> Client::new_order(std::vector<std::string> domains) {
  std::string names;
  for (const std::string& domain : domains)
    names += (names.empty() ? "" : ",") + std::string("{\"type\":\"dns\",\"value\":") + quoted(domain) + "}";
  auto answer = co_await post(new_order_, "{\"identifiers\":[" + names + "]}");
  if (!answer) co_return std::unexpected(answer.error());
  json::object holder{
      {"url", json::string(answer->field("location").data(), answer->field("location").size())}};
  std::string url = url_of(holder, "url");
  if (url.empty()) co_return nonsense("order");
  co_return order_of(*answer, std::move(url));
}

io::Task<Outcome<Authorization>> Client::authorization(std::string url) {
  auto answer = co_await post(url, "");
  if (!answer) co_return std::unexpected(answer.error());
  auto object = object_of(answer->body);
  const json::value* name = object ? object->if_contains("identifier") : nullptr;
  const json::value* list = object ? object->if_contains("challenges") : nullptr;
  if (!name || !name->is_object() || !list || !list->is_array() || list->as_array().size() > kMostNames)
    co_return nonsense("authorization");
  Authorization authorization{.url = std::move(url),
                              .domain = text_of(name->as_object(), "value"),
                              .valid = text_of(*object, "status") == "valid",
                              .challenges = {}};
  for (const json::value& each : list->as_array()) {
    if (!each.is_object()) co_return nonsense("authorization");
    Challenge challenge{url_of(each.as_object(), "url"), text_of(each.as_object(), "token")};
    // Section 8.1: base64url, nothing else: it becomes a part of a path.
    bool good = std::ranges::all_of(challenge.token, [](char c) {
      return ascii::is_alpha(c) || ascii::is_digit(c) || c == '-' || c == '_';
    });
    if (good && !challenge.url.empty() && !challenge.token.empty())
      authorization.challenges.emplace(text_of(each.as_object(), "type"), std::move(challenge));
  }
  co_return authorization;
}

io::Task<Outcome<void>> Client::respond(std::string url) {
  auto answer = co_await post(std::move(url), "{}");
  if (!answer) co_return std::unexpected(answer.error());
  co_return Outcome<void>();
}

io::Task<Outcome<void>> Client::await_authorization(std::string url) {
  Instant end = loop_.now() + kPatience;
  Duration patience = kFirstLook;
  for (;;) {
    auto answer = co_await post(url, "");
    if (!answer) co_return std::unexpected(answer.error());
    auto object = object_of(answer->body);
    if (!object) co_return nonsense("authorization");
    std::string status = text_of(*object, "status");
    if (status == "valid") co_return Outcome<void>();
    if (status != "pending") {
      std::string why = "it has not seen what it wants";
      const json::value* list = object->if_contains("challenges");
      for (const json::value& each : list && list->is_array() ? list->as_array() : json::array()) {
        const json::value* error = each.is_object() ? each.as_object().if_contains("error") : nullptr;
        if (error && error->is_object()) why += ": " + text_of(error->as_object(), "detail");
      }
      co_return std::unexpected(Refusal{why, true, {}});
    }
    auto slept = co_await io::sleep_for(loop_, next_look(*answer, patience), token_);
    if (!slept || loop_.now() >= end) co_return std::unexpected(kLate);
  }
}

io::Task<Outcome<Order>> Client::read_order(std::string url) {
  auto answer = co_await post(url, "");
  if (!answer) co_return std::unexpected(answer.error());
  co_return order_of(*answer, std::move(url));
}

io::Task<Outcome<std::string>> Client::finish(Order order, std::string request_der) {
  Instant end = loop_.now() + kPatience;
  Duration patience = kFirstLook;
  bool asked = false;
  while (order.status != "valid") {
    // "pending" shortly after the last authorization became valid, "processing" while it signs (7.1.6).
    if (order.status == "ready" && !std::exchange(asked, true)) {
      auto answer = co_await post(order.finalize, "{\"csr\":\"" + base64url(request_der) + "\"}");
      if (!answer) co_return std::unexpected(answer.error());
      auto next = order_of(*answer, order.url);
      if (!next) co_return std::unexpected(next.error());
      order = std::move(*next);
      continue;
    }
    FetchAnswer silent;
    auto slept = co_await io::sleep_for(loop_, next_look(silent, patience), token_);
    if (!slept || loop_.now() >= end) co_return std::unexpected(kLate);
    auto next = co_await read_order(order.url);
    if (!next) co_return std::unexpected(next.error());
    order = std::move(*next);
  }
  if (order.certificate.empty()) co_return nonsense("certificate");
  auto chain = co_await post(order.certificate, "");
  if (!chain) co_return std::unexpected(chain.error());
  co_return std::move(chain->body);
}

}  // namespace sluice::gateway::acme
