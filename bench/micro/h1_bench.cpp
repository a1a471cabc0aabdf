// What the HTTP/1 codec costs a message: the figures that the hot path is held to (see bench/README.md).
#include <benchmark/benchmark.h>

#include "http/h1/chunked_decoder.h"
#include "http/h1/head_scanner.h"
#include "http/h1/request_parser.h"
#include "http/h1/response_parser.h"
#include "http/h1/serializer.h"
#include "http/path.h"

namespace sluice::http::h1 {
namespace {

constexpr std::string_view kRequest =
    "GET /api/v1/users/42?expand=orders HTTP/1.1\r\n"
    "Host: api.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n"
    "Accept: application/json, text/plain, */*\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "X-API-Key: 0123456789abcdef0123456789abcdef\r\n"
    "Cookie: session=abcdef0123456789; theme=dark\r\n"
    "X-Request-Id: 4bf92f3577b34da6a3ce929d\r\n"
    "Connection: keep-alive\r\n"
    "\r\n";
constexpr std::string_view kResponse =
    "HTTP/1.1 200 OK\r\n"
    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
    "Content-Type: application/json\r\n"
    "Content-Length: 1024\r\n"
    "Server: users\r\n"
    "Cache-Control: no-store\r\n"
    "ETag: \"0123456789\"\r\n"
    "\r\n";

void scan_request(benchmark::State& state) {
  HeadScanner scanner(Side::kRequest, {});
  for (auto _ : state) {
    scanner.reset();
    benchmark::DoNotOptimize(scanner.feed(kRequest));
  }
}
BENCHMARK(scan_request);

void parse_request_of_8_fields(benchmark::State& state) {
  alignas(16) std::byte memory[4096];
  Limits limits;
  for (auto _ : state) {
    Arena arena(memory);
    Request request(arena);
    benchmark::DoNotOptimize(parse_request(kRequest, limits, request));
    benchmark::DoNotOptimize(request);
  }
}
BENCHMARK(parse_request_of_8_fields);

void parse_response_of_6_fields(benchmark::State& state) {
  alignas(16) std::byte memory[4096];
  Limits limits;
  for (auto _ : state) {
    Arena arena(memory);
    Response response(arena);
    benchmark::DoNotOptimize(parse_response(kResponse, Method::kGet, limits, response));
    benchmark::DoNotOptimize(response);
  }
}
BENCHMARK(parse_response_of_6_fields);

void intern_8_names(benchmark::State& state) {
  constexpr std::string_view kNames[] = {"host",      "User-Agent", "Accept",       "Accept-Encoding",
                                         "X-API-Key", "cookie",     "X-Request-Id", "Connection"};
  for (auto _ : state)
    for (std::string_view name : kNames) {
      benchmark::DoNotOptimize(name);
      benchmark::DoNotOptimize(intern_field_name(name));
    }
}
BENCHMARK(intern_8_names);

void normalise_plain_path(benchmark::State& state) {
  Arena arena;
  std::string_view path = "/api/v1/users/42/orders/2024-01";
  for (auto _ : state) {
    benchmark::DoNotOptimize(path);
    benchmark::DoNotOptimize(normalise_path(path, arena));
  }
}
BENCHMARK(normalise_plain_path);

void write_request(benchmark::State& state) {
  Arena heads;
  Request request(heads);
  (void)parse_request(kRequest, {}, request);
  std::byte memory[4096];
  for (auto _ : state) {
    Arena arena(memory);
    benchmark::DoNotOptimize(write_request_head(request, {.host = request.authority}, arena));
  }
}
BENCHMARK(write_request);

void write_response(benchmark::State& state) {
  Arena heads;
  Response response(heads);
  (void)parse_response(kResponse, Method::kGet, {}, response);
  std::byte memory[4096];
  for (auto _ : state) {
    Arena arena(memory);
    benchmark::DoNotOptimize(write_response_head(response, {}, arena));
  }
}
BENCHMARK(write_response);

void decode_16_chunks_of_4k(benchmark::State& state) {
  std::string body;
  for (int i = 0; i < 16; ++i) body += "1000\r\n" + std::string(4096, 'x') + "\r\n";
  body += "0\r\n\r\n";
  Arena arena;
  Fields trailers(arena);
  for (auto _ : state) {
    ChunkedDecoder decoder(Side::kResponse, {}, trailers);
    std::string_view input = body;
    while (!input.empty()) benchmark::DoNotOptimize(decoder.next(input));
    arena.reset();
  }
}
BENCHMARK(decode_16_chunks_of_4k);

}  // namespace
}  // namespace sluice::http::h1

BENCHMARK_MAIN();
