// A chunked body: splitting changes nothing; written anew it is read as the same body.
#include <string>

#include "check.h"
#include "http/h1/chunked_decoder.h"
#include "http/h1/serializer.h"

using namespace sluice;
using namespace sluice::http;

namespace {

struct Outcome {
  std::string body = {};
  std::string trailers = {};
  std::string_view code = {};
  bool done = false;
  size_t used = 0;
  bool operator==(const Outcome&) const = default;
};

Outcome decode(std::string_view bytes, size_t piece_size, const Limits& limits, Fields& trailers) {
  h1::ChunkedDecoder decoder(h1::Side::kRequest, limits, trailers);
  Outcome outcome;
  while (!bytes.empty() && !outcome.done && outcome.code.empty()) {
    std::string_view piece = bytes.substr(0, piece_size);
    std::string_view input = piece;
    while (!input.empty() && !outcome.done) {
      auto step = decoder.next(input);
      if (!step) {
        outcome.code = step.error().code;
        break;
      }
      outcome.body += step->data;
      outcome.done = step->done;
    }
    if (outcome.code.empty()) outcome.used += piece.size() - input.size();
    bytes.remove_prefix(piece.size());
  }
  if (!outcome.code.empty()) outcome.used = 0;
  for (const Field& field : trailers) {
    outcome.trailers += field.name;
    outcome.trailers += ':';
    outcome.trailers += field.value;
    outcome.trailers += '\n';
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes(reinterpret_cast<const char*>(data), size);
  Limits limits;
  limits.chunk_line = 40;
  limits.trailer_bytes = 200;
  limits.request_fields = 5;
  Arena arena;
  Fields trailers(arena);
  Outcome whole = decode(bytes, bytes.size(), limits, trailers);
  for (size_t piece_size : {1, 2, 7}) {
    Fields others(arena);
    SLUICE_FUZZ_CHECK(decode(bytes, piece_size, limits, others) == whole);
  }
  if (!whole.done) return 0;
  SLUICE_FUZZ_CHECK(whole.used <= bytes.size());
  std::string again;
  if (!whole.body.empty()) {
    again += h1::ChunkLine(whole.body.size()).text();
    again += whole.body;
    again += h1::kChunkEnd;
  }
  again += h1::write_last_chunk(trailers, arena);
  limits.trailer_bytes *= 2;
  Fields second(arena);
  Outcome outcome = decode(again, again.size(), limits, second);
  SLUICE_FUZZ_CHECK(outcome.done && outcome.used == again.size());
  SLUICE_FUZZ_CHECK(outcome.body == whole.body && outcome.trailers == whole.trailers);
  return 0;
}
