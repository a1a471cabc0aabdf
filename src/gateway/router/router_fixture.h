// What the router's tests share: a request that owns what its view borrows, and short ways to build and ask.
#pragma once

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "gateway/router/root_router.h"

namespace sluice::gateway::testing {

class TestRequest {
 public:
  TestRequest(std::string method, std::string path, std::string host = "api.example.com")
      : method_(std::move(method)), path_(std::move(path)), host_(std::move(host)), fields_(arena_) {
    view_.host = host_;
    view_.path = path_;
    view_.method = http::parse_method(method_);
    view_.method_text = method_;
    view_.fields = &fields_;
  }
  TestRequest(const TestRequest&) = delete;

  TestRequest& header(std::string_view name, std::string_view value) {
    fields_.add(arena_.copy(name), arena_.copy(value));
    return *this;
  }
  TestRequest& query(std::string_view text) {
    view_.query = arena_.copy(text);
    return *this;
  }
  TestRequest& listener(uint16_t number) {
    view_.listener = number;
    return *this;
  }
  const RequestView& view() const { return view_; }

 private:
  std::string method_;
  std::string path_;
  std::string host_;
  Arena arena_;
  http::Fields fields_;
  RequestView view_;
};

inline RouteSpec route(std::string path, std::vector<std::string> methods = {},
                       std::vector<ConditionSpec> conditions = {}, int32_t priority = 0) {
  return {path, path, std::move(methods), std::move(conditions), priority};
}
inline ConditionSpec header(std::string name, std::string value) {
  return {ConditionSpec::Kind::kHeader, std::move(name), std::move(value)};
}
inline ConditionSpec query(std::string name, std::string value) {
  return {ConditionSpec::Kind::kQuery, std::move(name), std::move(value)};
}
inline ConditionSpec body(std::string path, std::string value) {
  return {ConditionSpec::Kind::kBody, std::move(path), std::move(value)};
}

/// One API at "/api" on any host, which must compile.
inline std::shared_ptr<const RootRouter> one_api(const std::vector<RouteSpec>& routes,
                                                 std::string path = "/api",
                                                 bool keep_repeated_slashes = false) {
  auto router = ApiRouter::build(routes, keep_repeated_slashes);
  if (!router) throw std::runtime_error(router.error()[0].message);
  std::vector<ApiEntry> apis(1);
  apis[0].spec.name = "api";
  apis[0].spec.path = std::move(path);
  apis[0].router = *router;
  auto root = RootRouter::build(apis);
  if (!root) throw std::runtime_error(root.error()[0].message);
  return *root;
}

/// What came out, in short: the route's number, "404", "405: GET, HEAD" or "body".
inline std::string answer(const RootRouter& router, const RequestView& request,
                          const BodyPrefix* prefix = nullptr) {
  Match match = router.match(request, prefix);
  switch (match.outcome) {
    case Outcome::kMatched:
      return std::to_string(match.route);
    case Outcome::kNeedBody:
      return "body";
    case Outcome::kNoApi:
      return "404 no api";
    case Outcome::kNoRoute:
      return "404";
    case Outcome::kMethodNotAllowed:
      return "405: " + router.allow(request, prefix);
  }
  return "";
}
inline std::string answer(const RootRouter& router, std::string method, std::string path) {
  TestRequest request(std::move(method), std::move(path));
  return answer(router, request.view());
}

}  // namespace sluice::gateway::testing
