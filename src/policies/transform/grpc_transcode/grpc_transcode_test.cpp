#include "policies/transform/grpc_transcode/grpc_transcode.h"

#include "config/testing.h"
#include "policies/transform/grpc_transcode/grpc_fixture.h"

namespace sluice::policies::testing {
namespace {

constexpr std::string_view kProto = R"(
syntax = "proto3";
package shop;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "google/protobuf/timestamp.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/wrappers.proto";
enum Kind { ANY = 0; NOVEL = 1; }
message Author { string name = 1; int32 born = 2; }
message Book {
  string name = 1;
  string title = 2;
  Author author = 3;
  int64 pages = 4;
  Kind kind = 5;
  repeated string tags = 6;
  google.protobuf.Timestamp printed = 7;
  Book next = 8;
  bytes cover = 9;
  map<string, int32> stock = 10;
}
message GetRequest { string name = 1; }
message ListRequest {
  string parent = 1;
  int32 page_size = 2;
  repeated Kind kinds = 3;
  Author author = 4;
  google.protobuf.Timestamp after = 5;
  google.protobuf.FieldMask mask = 6;
  google.protobuf.BoolValue sold = 7;
  bool all = 8;
  double price = 9;
  sint32 shift = 10;
  bytes token = 11;
}
message ListReply { repeated Book books = 1; string next_page = 2; }
message CreateRequest { string parent = 1; Book book = 2; string note = 3; }
message Empty {}
service Books {
  rpc Get(GetRequest) returns (Book) {
    option (google.api.http) = {
      get: "/v1/{name=shelves/*/books/*}"
      additional_bindings { get: "/v1/books/{name}" }
    };
  }
  rpc List(ListRequest) returns (ListReply) {
    option (google.api.http) = { get: "/v1/shelves/{parent}/books" };
  }
  rpc Titles(ListRequest) returns (ListReply) {
    option (google.api.http) = { get: "/v1/{parent}/titles" response_body: "books" };
  }
  rpc Create(CreateRequest) returns (Book) {
    option (google.api.http) = { post: "/v1/shelves/{parent}/books" body: "book" };
  }
  rpc Update(Book) returns (Book) {
    option (google.api.http) = { patch: "/v1/{name=shelves/*/books/*}" body: "*" };
  }
  rpc Archive(GetRequest) returns (Empty) {
    option (google.api.http) = { post: "/v1/{name=shelves/*/books/*}:archive" };
  }
  rpc Delete(GetRequest) returns (Empty) {
    option (google.api.http) = { delete: "/v1/{name=shelves/*/books/*}" };
  }
  rpc Watch(ListRequest) returns (stream Book) {
    option (google.api.http) = { get: "/v1/watch" };
  }
  rpc Import(stream Book) returns (ListReply) {
    option (google.api.http) = { post: "/v1/import" body: "*" };
  }
  rpc Chat(stream Author) returns (stream Author) {
    option (google.api.http) = { post: "/v1/chat" body: "*" };
  }
  rpc Cover(GetRequest) returns (google.api.HttpBody) {
    option (google.api.http) = { get: "/v1/covers/{name}" };
  }
  rpc Unbound(GetRequest) returns (Author);
}
)";

class GrpcTranscodeTest : public GrpcPolicyTest {
 protected:
  GrpcTranscodeTest() {
    environment = config::testing::environment_of({}, {{"shop.proto", std::string(kProto)}});
  }

  static std::string api(std::string_view config = {}, std::string_view more = {}) {
    return "apis: { a: { upstream: any, policies: [ { grpc_transcode: { descriptors: shop.proto" +
           std::string(config.empty() ? "" : ", ") + std::string(config) + " } } ]" + std::string(more) +
           " } }\n";
  }
  /// What the service was called with: "POST /shop.Books/Get".
  static std::string called() { return service.seen.substr(0, service.seen.find('\n')); }
  std::string one_message() const {
    EXPECT_EQ(service.messages.size(), 1u);
    return service.messages.empty() ? std::string() : service.messages.front();
  }
};

// google/api/http.proto, and protobuf's wire format.
TEST_F(GrpcTranscodeTest, PathAndQueryBecomeFieldsOfTheMessage) {
  struct Case {
    std::string_view target, call, message;
  };
  start(api());
  using namespace std::string_view_literals;
  for (const Case& each : {
           Case{"/v1/shelves/1/books/2", "/shop.Books/Get", "\x0a\x11shelves/1/books/2"},
           Case{"/v1/books/7", "/shop.Books/Get",
                "\x0a\x01"
                "7"},
           Case{"/v1/books/a%2Fb%20c", "/shop.Books/Get",
                "\x0a\x05"
                "a/b c"},
           Case{"/v1/shelves/1/books", "/shop.Books/List",
                "\x0a\x01"
                "1"},
           Case{"/v1/shelves/1/books?page_size=5", "/shop.Books/List",
                "\x10\x05\x0a\x01"
                "1"},
           Case{"/v1/shelves/1/books?pageSize=300", "/shop.Books/List",
                "\x10\xac\x02\x0a\x01"
                "1"},
           Case{"/v1/shelves/1/books?page_size=-1", "/shop.Books/List",
                "\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x0a\x01"
                "1"},
           Case{"/v1/shelves/1/books?kinds=NOVEL&kinds=0", "/shop.Books/List",
                "\x18\x01\x18\x00\x0a\x01"
                "1"sv},
           Case{"/v1/shelves/1/books?author.name=x+y&author.born=2", "/shop.Books/List",
                "\x22\x05\x0a\x03x y\x22\x02\x10\x02\x0a\x01"
                "1"},
           Case{"/v1/shelves/1/books?after=1970-01-01T00:00:05Z", "/shop.Books/List",
                "\x2a\x04\x08\x05\x10\x00\x0a\x01"
                "1"sv},
           Case{"/v1/shelves/1/books?mask=nextPage,a", "/shop.Books/List",
                "\x32\x0e\x0a\x09next_page\x0a\x01"
                "a\x0a\x01"
                "1"},
           Case{"/v1/shelves/1/books?sold=true", "/shop.Books/List",
                "\x3a\x02\x08\x01\x0a\x01"
                "1"},
           Case{"/v1/shelves/1/books?all=true&shift=-2", "/shop.Books/List",
                "\x40\x01\x50\x03\x0a\x01"
                "1"},
           Case{"/v1/shelves/1/books?price=0.5", "/shop.Books/List",
                "\x49\0\0\0\0\0\0\xe0\x3f\x0a\x01"
                "1"sv},
           Case{"/v1/shelves/1/books?token=_-8", "/shop.Books/List",
                "\x5a\x02\xff\xef\x0a\x01"
                "1"},
       }) {
    service = {};
    service.pieces = {framed("")};
    Answer answer = get(each.target);
    EXPECT_EQ(answer.status, 200) << each.target << " " << answer.body;
    EXPECT_EQ(called(), "POST " + std::string(each.call)) << each.target;
    EXPECT_EQ(one_message(), each.message) << each.target;
  }
}

TEST_F(GrpcTranscodeTest, WhatAUrlSaysWronglyIsRefusedWithItsField) {
  start(api());
  for (auto [target, detail] : {
           std::pair{"/v1/shelves/1/books?page_size=x", "`page_size` is not of the type int32"},
           {"/v1/shelves/1/books?page_size=3000000000", "`page_size` is not of the type int32"},
           {"/v1/shelves/1/books?page_size=1&page_size=2", "`page_size` is given more than once"},
           {"/v1/shelves/1/books?page_size=1&pageSize=2", "`page_size` is given more than once"},
           {"/v1/shelves/1/books?nope=1", "the query's `nope` is not a field of `shop.ListRequest`"},
           {"/v1/shelves/1/books?author=1", "the query's `author` is a message"},
           {"/v1/shelves/1/books?author.nope=1", "the query's `author.nope` is not a field of `shop.Author`"},
           {"/v1/shelves/1/books?kinds.x=1", "the query's `kinds.x` goes through a field"},
           {"/v1/shelves/1/books?parent=2", "the query's `parent` comes in the path"},
           {"/v1/shelves/1/books?kinds=POEM", "`kinds` is not a value of `shop.Kind`"},
           {"/v1/shelves/1/books?all=yes", "`all` is not of the type bool"},
           {"/v1/shelves/1/books?price=inf", "`price` is not of the type double"},
           {"/v1/shelves/1/books?after=yesterday", "`after` is not a `google.protobuf.Timestamp`"},
           {"/v1/shelves/1/books?token=%25", "`token` is not base64"},
           {"/v1/shelves/%FF/books", "`parent` is not UTF-8"},
       }) {
    Answer answer = get(target);
    EXPECT_EQ(answer.status, 400) << target;
    EXPECT_EQ(answer.code(), "bad_parameter") << target;
    EXPECT_NE(answer.body.find(detail), std::string::npos) << target << " " << answer.body;
    EXPECT_EQ(service.seen, "") << target;
  }
  reload(api("ignore_unknown_query_parameters: true"));
  EXPECT_EQ(get("/v1/shelves/1/books?nope=1&author.nope=1").status, 502);  // the service says nothing
  reload(api("ignored_query_parameters: [key]"));
  EXPECT_EQ(get("/v1/shelves/1/books?key=1").status, 502);
  EXPECT_EQ(get("/v1/shelves/1/books?nope=1").status, 400);
}

TEST_F(GrpcTranscodeTest, ABodyIsTheMessageOrOneFieldAndTheUrlWins) {
  struct Case {
    std::string_view method, target, body, call, message;
  };
  start(api());
  for (const Case& each : {
           Case{"POST", "/v1/shelves/1/books", R"({"title":"x"})", "/shop.Books/Create",
                "\x12\x03\x12\x01x\x0a\x01"
                "1"},
           Case{"POST", "/v1/shelves/1/books?note=n", R"( {"title":"x"} )", "/shop.Books/Create",
                "\x12\x03\x12\x01x\x1a\x01n\x0a\x01"
                "1"},
           Case{"POST", "/v1/shelves/1/books", "", "/shop.Books/Create",
                "\x0a\x01"
                "1"},
           Case{"PATCH", "/v1/shelves/1/books/2",
                R"({"name":"other","pages":"7","tags":["a","b"],"author":{"born":1}})", "/shop.Books/Update",
                "\x0a\x05other\x20\x07\x32\x01"
                "a\x32\x01"
                "b\x1a\x02\x10\x01\x0a\x11shelves/1/books/2"},
           Case{"POST", "/v1/shelves/1/books/2:archive", "", "/shop.Books/Archive",
                "\x0a\x11shelves/1/books/2"},
           Case{"DELETE", "/v1/shelves/1/books/2", "", "/shop.Books/Delete", "\x0a\x11shelves/1/books/2"},
       }) {
    service = {};
    service.pieces = {framed("")};
    std::string fields = "Content-Type: application/json; charset=utf-8\r\nContent-Length: " +
                         std::to_string(each.body.size()) + "\r\n";
    Answer answer = ask(request(each.method, each.target, fields) + std::string(each.body));
    EXPECT_EQ(answer.status, 200) << each.target << " " << answer.body;
    EXPECT_EQ(called(), "POST " + std::string(each.call));
    EXPECT_EQ(one_message(), each.message) << each.target;
    EXPECT_NE(service.seen.find("Content-Type: application/grpc\n"), std::string::npos);
    EXPECT_NE(service.seen.find("te_trailers"), std::string::npos);
  }
}

TEST_F(GrpcTranscodeTest, ABadBodyIsRefusedAndTheServiceNotCalled) {
  start(api("max_message: 100"));
  std::string deep(70, '[');
  for (auto [body, status, detail] : {
           std::tuple<std::string, int, std::string_view>{R"({"pages":"x"})", 400, "pages"},
           {R"({"author":{"born":"x"}})", 400, "author.born"},
           {R"({"tags":["a",{}]})", 400, "tags"},
           {R"({"nope":1})", 400, "nope"},
           {R"({"author":{"nope":1}})", 400, "nope"},
           {"{", 400, "not JSON"},
           {"{} {}", 400, "not JSON"},
           {"{'title':'x'}", 400, "not JSON"},
           {R"({"title":"x",})", 400, "not JSON"},
           {"[1]", 400, "message"},
           {"{\"title\":\"\xff\"}", 400, "UTF-8"},
           {deep, 400, "nests too deep"},
           {"{\"title\":\"" + std::string(100, 'x') + "\"}", 413, "larger"},
       }) {
    Answer answer = ask(
        request("PATCH", "/v1/shelves/1/books/2",
                "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n") +
        body);
    EXPECT_EQ(answer.status, status) << body;
    EXPECT_EQ(answer.code(), status == 400 ? "bad_json" : "message_too_large") << body;
    EXPECT_NE(answer.body.find(detail), std::string::npos) << body << " " << answer.body;
    EXPECT_EQ(service.seen, "") << body;
  }
  // One value is one field: it cannot bring another.
  EXPECT_EQ(post("/v1/shelves/1/books", "application/json", R"({},"note":"x")").code(), "bad_json");
  EXPECT_EQ(post("/v1/shelves/1/books", "text/plain", "{}").code(), "unsupported_media_type");
  EXPECT_EQ(post("/v1/shelves/1/books", "application/json", "{}", "Content-Encoding: gzip\r\n").status, 415);
  EXPECT_EQ(post("/v1/shelves/1/books/2:archive", "application/json", "{}").code(), "unexpected_body");
  EXPECT_EQ(service.seen, "");
  reload(api("ignore_unknown_fields: true"));
  EXPECT_EQ(post("/v1/shelves/1/books", "application/json", R"({"nope":1})").status, 502);
}

TEST_F(GrpcTranscodeTest, AnAnswerIsJsonAsThePrintOptionsSay) {
  using namespace std::string_view_literals;
  struct Case {
    std::string_view config, target, message, json;
  };
  bool started = false;
  for (const Case& each : {
           Case{"", "/v1/books/1", "\x12\x01t\x20\x05\x28\x01",
                R"({"title":"t","pages":"5","kind":"NOVEL"})"},
           Case{"", "/v1/books/1", "", "{}"},
           Case{"print: { always_print_enums_as_ints: true }", "/v1/books/1", "\x28\x01", R"({"kind":1})"},
           Case{"print: { add_whitespace: true }", "/v1/books/1", "\x12\x01t", "{\n \"title\": \"t\"\n}\n"},
           Case{"print: { always_print_primitive_fields: true }", "/v1/shelves/1/books", "",
                R"({"books":[],"nextPage":""})"},
           Case{"print: { preserve_proto_field_names: true }", "/v1/shelves/1/books", "\x12\x01x",
                R"({"next_page":"x"})"},
           Case{"print: { always_print_primitive_fields: true }", "/v1/s/titles", "\x0a\x00\x12\x01x"sv,
                R"([{"name":"","title":"","pages":"0","kind":"ANY","tags":[],"cover":"","stock":{}}])"},
           Case{"", "/v1/s/titles",
                "\x0a\x03\x12\x01"
                "a\x0a\x03\x12\x01"
                "b\x12\x01x",
                R"([{"title":"a"},{"title":"b"}])"},
           Case{"", "/v1/s/titles", "\x12\x01x", "[]"},
       }) {
    if (std::exchange(started, true))
      reload(api(each.config));
    else
      start(api(each.config));
    service = {};
    service.pieces = {framed(each.message)};
    service.head = {{"x-initial", "yes"}, {"grpc-accept-encoding", "gzip"}};
    Answer answer = get(each.target);
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(answer.body, each.json);
    EXPECT_EQ(answer.field("content-type"), "application/json");
    EXPECT_EQ(answer.field("content-length"), std::to_string(each.json.size()));
    EXPECT_EQ(answer.field("x-initial"), "yes");
    EXPECT_EQ(answer.field("grpc-accept-encoding"), "");
  }
}

TEST_F(GrpcTranscodeTest, AFailedCallIsAProblemWithItsHttpStatus) {
  start(api());
  for (bool in_head : {true, false}) {
    service = {};
    std::map<std::string, std::string> status{{"grpc-status", "5"}, {"grpc-message", "no %22book%22"}};
    (in_head ? service.head : service.trailers) = status;
    if (in_head) service.trailers.clear();
    Answer answer = get("/v1/books/1");
    EXPECT_EQ(answer.status, 404);
    EXPECT_EQ(answer.code(), "not_found");
    EXPECT_EQ(answer.field("content-type"), "application/problem+json");
    EXPECT_NE(answer.body.find(R"("detail":"no \"book\"")"), std::string::npos) << answer.body;
    EXPECT_EQ(answer.field("grpc-status"), "");
  }
  EXPECT_NE(access_log().find("\"error_by\":\"upstream\""), std::string::npos);
  EXPECT_NE(access_log().find("\"method\":\"GET\""), std::string::npos);
}

TEST_F(GrpcTranscodeTest, WhatIsNoAnswerOfACallIs502) {
  start(api("max_message: 100"));
  struct Case {
    std::string_view name;
    std::function<void()> set;
  };
  for (const Case& each : {
           Case{"no message", [] {}},
           Case{"two messages", [] { service.pieces = {framed("") + framed("")}; }},
           Case{"no status", [] { service.pieces = {framed("")}, service.trailers.clear(); }},
           Case{"half a message", [] { service.pieces = {framed("abc").substr(0, 6)}; }},
           Case{"not a message", [] { service.pieces = {framed("\x0a\x05x")}; }},
           Case{"compressed", [] { service.pieces = {framed("", 1)}; }},
           Case{"too large", [] { service.pieces = {framed("\x0a\x64" + std::string(100, 'x'))}; }},
           Case{"broken off", [] { service.pieces = {framed("")}, service.breaks = true; }},
           Case{"not gRPC", [] { service.content_type = "text/html"; }},
       }) {
    service = {};
    each.set();
    Answer answer = get("/v1/books/1");
    EXPECT_EQ(answer.status, 502) << each.name << " " << answer.body;
    EXPECT_EQ(answer.field("content-type"), "application/problem+json") << each.name;
  }
}

TEST_F(GrpcTranscodeTest, AStreamOfAnswersIsLinesOrEvents) {
  start(api());
  service.pieces = {framed("\x12\x01"
                           "a"),
                    framed("\x12\x01"
                           "b")
                        .substr(0, 3),
                    framed("\x12\x01"
                           "b")
                            .substr(3) +
                        framed("")};
  Answer answer = get("/v1/watch");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("content-type"), "application/x-ndjson");
  EXPECT_EQ(answer.body, "{\"title\":\"a\"}\n{\"title\":\"b\"}\n{}\n");

  answer = get("/v1/watch", "Accept: text/html, text/event-stream;q=0.5\r\n");
  EXPECT_EQ(answer.field("content-type"), "text/event-stream");
  EXPECT_EQ(answer.field("cache-control"), "no-cache");
  EXPECT_EQ(answer.body, "data: {\"title\":\"a\"}\n\ndata: {\"title\":\"b\"}\n\ndata: {}\n\n");
}

TEST_F(GrpcTranscodeTest, AStreamThatFailsSaysSoAtItsEnd) {
  start(api());
  service.pieces = {
      framed("\x12\x01"
             "a")};
  service.trailers = {{"grpc-status", "8"}, {"grpc-message", "too much"}};
  Answer answer = get("/v1/watch");
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.body.starts_with("{\"title\":\"a\"}\n{\"error\":{")) << answer.body;
  EXPECT_EQ(answer.code(), "resource_exhausted");
  answer = get("/v1/watch", "Accept: text/event-stream\r\n");
  EXPECT_NE(answer.body.find("\n\nevent: error\ndata: {"), std::string::npos) << answer.body;

  service.trailers.clear();
  EXPECT_EQ(get("/v1/watch").status, 0) << "no status: nobody must take it for whole";
  service = {};
  service.head = {{"grpc-status", "7"}};
  EXPECT_EQ(get("/v1/watch").status, 403) << "a failure before the first message is the answer's status";
}

TEST_F(GrpcTranscodeTest, AStreamOfRequestsIsAnArrayOrValuesOneAfterAnother) {
  start(api());
  std::vector<std::string> two{
      "\x12\x01"
      "a",
      "\x12\x01"
      "b"};
  for (auto [type, body, messages] : {
           std::tuple<std::string_view, std::string_view, std::vector<std::string>>{
               "application/json", R"([{"title":"a"},{"title":"b"}])", two},
           {"application/json", R"( [ {"title":"a"} , {"title":"b"} ] )", two},
           {"application/json", "{\"title\":\"a\"}\n{\"title\":\"b\"}\n", two},
           {"application/x-ndjson", "{\"title\":\"a\"}\n\n{\"title\":\"b\"}", two},
           {"application/json", "[]", {}},
           {"application/json", "", {}},
       }) {
    service = {};
    service.pieces = {framed("")};
    Answer answer = post("/v1/import", type, body);
    EXPECT_EQ(answer.status, 200) << body << " " << answer.body;
    EXPECT_EQ(service.messages, messages) << body;
  }
  for (std::string_view body :
       {"[{}", "[{},]", "[{} {}]", "[{}]]", "[{}] {}", "{},{}", "{", "[1]", "x", "[{\"pages\":\"x\"}]"}) {
    service = {};
    Answer answer = post("/v1/import", "application/json", body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_EQ(answer.code(), "bad_json") << body;
  }
  EXPECT_EQ(post("/v1/import", "application/x-ndjson", "[{}]").status, 400);
}

TEST_F(GrpcTranscodeTest, BytesOfAnyTypeGoOutAsTheyAre) {
  start(api());
  service.pieces = {framed("\x0a\x09image/png\x12\x03PNG")};
  Answer answer = get("/v1/covers/1");
  EXPECT_EQ(answer.field("content-type"), "image/png");
  EXPECT_EQ(answer.body, "PNG");
}

TEST_F(GrpcTranscodeTest, CallsOfGrpcItselfPassUntouched) {
  start(api());
  service.pieces = {framed("raw")};
  Answer answer = post("/shop.Books/Get", "application/grpc", framed("x"));
  EXPECT_EQ(answer.field("content-type"), "application/grpc");
  EXPECT_EQ(answer.body, framed("raw"));
  EXPECT_EQ(service.messages, std::vector<std::string>{"x"});
  EXPECT_EQ(get("/other").status, 404) << "the routes of the API are its methods and their bindings";
  EXPECT_EQ(ask(request("PUT", "/v1/books/1")).status, 405);
}

TEST_F(GrpcTranscodeTest, MethodsWithoutABindingAreServedWhenAskedFor) {
  start(api());
  EXPECT_EQ(post("/shop.Books/Unbound", "application/json", "{}").status, 404) << "no binding, no route";
  reload(api("auto_mapping: true"));
  service.pieces = {framed("\x0a\x01n")};
  Answer answer = post("/shop.Books/Unbound", "application/json", R"({"name":"x"})");
  EXPECT_EQ(answer.body, R"({"name":"n"})");
  EXPECT_EQ(one_message(), "\x0a\x01x");
}

TEST_F(GrpcTranscodeTest, AHeadRequestIsAnsweredWithoutABody) {
  start(api());
  service.pieces = {framed("\x12\x01t")};
  Answer answer = ask(request("HEAD", "/v1/books/1"));
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("content-length"), "13");
}

// Contract, section 2: "per-method policies apply after transcoding".
TEST_F(GrpcTranscodeTest, ABindingHasThePoliciesOfItsMethodsRoute) {
  start(api("", R"(, routes: [
    { name: get, path: /shop.Books/Get, policies: [ { headers: { response: { set: { x-route: get } } } } ] },
    { name: rest, path: "/shop.Books/**", policies: [ { api_key: {} } ] } ])"));
  service.pieces = {framed("")};
  Answer answer = get("/v1/books/1");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.field("x-route"), "get");
  EXPECT_EQ(get("/v1/shelves/1/books").status, 401) << "what protects the call protects its bindings";
  EXPECT_EQ(post("/shop.Books/Unbound", "application/grpc", "").field("grpc-status"), "16");
  EXPECT_NE(access_log().find("\"route\":\"get\""), std::string::npos);
  reload(api("", R"(, routes: [
    { name: get, path: /shop.Books/Get, policies: [ { grpc_transcode: { enabled: false } } ] } ])"));
  EXPECT_EQ(get("/v1/books/1").status, 404) << "switched off for the method, its bindings are gone";
  EXPECT_EQ(get("/v1/shelves/1/books").status, 200);
}

TEST_F(GrpcTranscodeTest, RoutesAreNamedByTheirMethodAndCounted) {
  start(api());
  service.pieces = {framed("")};
  get("/v1/books/1");
  EXPECT_EQ(metric("sluice_requests_total{api=\"a\",route=\"shop.Books/Get\",code_class=\"2xx\"}"), "1");
}

TEST_F(GrpcTranscodeTest, MistakesAreSaidWhenTheConfigurationIsLoaded) {
  auto with = [&](std::string_view text) {
    environment = config::testing::environment_of({}, {{"shop.proto", std::string(text)}});
    EXPECT_FALSE(compile(api())) << text;
    return problems;
  };
  std::string head =
      "syntax = \"proto3\";\npackage p;\nimport \"google/api/annotations.proto\";\nmessage M { string a = 1; "
      "repeated string l = 2; M m = 3; }\n";
  auto bound = [&](std::string_view rule) {
    return with(head + "service S { rpc R(M) returns (M) { option (google.api.http) = { " +
                std::string(rule) + " }; } }\n");
  };
  EXPECT_NE(with("nonsense").find("shop.proto:1:1"), std::string::npos) << problems;
  EXPECT_NE(with(head).find("no service"), std::string::npos) << problems;
  EXPECT_NE(with(head + "service S { rpc R(M) returns (M); }").find("no method has"), std::string::npos)
      << problems;
  EXPECT_NE(with(head + "service S { rpc R(Nope) returns (M); }").find("Nope"), std::string::npos)
      << problems;
  EXPECT_NE(with("import \"nope.proto\";").find("imports `nope.proto`"), std::string::npos) << problems;
  EXPECT_NE(bound("get: \"v1\"").find("must start with `/`"), std::string::npos) << problems;
  EXPECT_NE(bound("get: \"/v1/{nope}\"").find("`nope` is not a field of `p.M`"), std::string::npos)
      << problems;
  EXPECT_NE(bound("get: \"/v1/{l}\"").find("is a list"), std::string::npos) << problems;
  EXPECT_NE(bound("get: \"/v1/{m}\"").find("is a message"), std::string::npos) << problems;
  EXPECT_NE(bound("post: \"/v1\" body: \"nope\"").find("body: `nope`"), std::string::npos) << problems;
  EXPECT_NE(bound("get: \"/v1\" response_body: \"nope\"").find("response_body: `nope`"), std::string::npos)
      << problems;
  EXPECT_NE(bound("get: \"/v1\" additional_bindings { get: \"/v1\" }").find("nothing ranks them"),
            std::string::npos)
      << problems;
  environment = config::testing::environment_of({}, {{"shop.proto", std::string(kProto)}, {"bad.pb", "x"}});
  EXPECT_FALSE(compile(api("services: [shop.Nope]")));
  EXPECT_FALSE(compile(
      "policies: [ { grpc_transcode: { descriptors: shop.proto } } ]\napis: { a: { upstream: any } }\n"));
  EXPECT_NE(problems.find("stands on an API"), std::string::npos) << problems;
  EXPECT_FALSE(
      compile("apis: { a: { upstream: any, policies: [ { grpc_transcode: { descriptors: bad.pb } } ] } }\n"));
  EXPECT_NE(problems.find("is no descriptor set"), std::string::npos) << problems;
}

TEST_F(GrpcTranscodeTest, AChangedFileIsAChangedApi) {
  start(api());
  auto before = snapshot->apis[0];
  reload(api());
  EXPECT_EQ(snapshot->apis[0], before);
  std::string text(kProto);
  text.replace(text.find("/v1/books/{name}"), 16, "/v2/books/{name}");
  environment = config::testing::environment_of({}, {{"shop.proto", text}});
  reload(api());
  EXPECT_NE(snapshot->apis[0], before);
  service.pieces = {framed("")};
  EXPECT_EQ(get("/v2/books/1").status, 200);
  EXPECT_EQ(get("/v1/books/1").status, 404);
}

TEST_F(GrpcTranscodeTest, ImportsAreFoundBesideTheFileAndAbove) {
  std::string types = "syntax = \"proto3\"; package shop; message M { string a = 1; }";
  std::string main =
      "syntax = \"proto3\"; package shop; import \"google/api/annotations.proto\"; import "
      "\"shop/v1/types.proto\";\n"
      "service S { rpc R(M) returns (M) { option (google.api.http) = { get: \"/x\" }; } }";
  environment = config::testing::environment_of(
      {}, {{"protos/shop/v1/types.proto", types}, {"protos/shop/v1/main.proto", main}});
  for (std::string_view files :
       {"protos/shop/v1/main.proto", "[protos/shop/v1/main.proto, protos/shop/v1/types.proto]",
        "[protos/shop/v1/types.proto, protos/shop/v1/main.proto]"})
    EXPECT_TRUE(compile("apis: { a: { upstream: any, policies: [ { grpc_transcode: { descriptors: " +
                        std::string(files) + " } } ] } }\n"))
        << problems;
}

}  // namespace
}  // namespace sluice::policies::testing
