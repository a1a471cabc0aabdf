#include "http/h1/serializer.h"

namespace sluice::http::h1 {
namespace {

constexpr size_t kFieldSyntax = 4;  // ": " and CRLF
/// Room for what is not counted piece by piece: versions, status, our own field names, the empty line.
constexpr size_t kFixedRoom = 256;

/// Writes into memory whose size was worked out before.
class Writer {
 public:
  Writer(Arena& arena, size_t room) : start_(arena.allocate_chars(room)), at_(start_), end_(start_ + room) {}

  void text(std::string_view piece) {
    assert(piece.size() <= static_cast<size_t>(end_ - at_));
    if (!piece.empty()) std::memcpy(at_, piece.data(), piece.size());
    at_ += piece.size();
  }
  void number(uint64_t value) { at_ = std::to_chars(at_, end_, value).ptr; }
  void field(std::string_view name, std::string_view value) {
    assert(name.size() + value.size() + kFieldSyntax <= static_cast<size_t>(end_ - at_));
    char* at = copy(at_, name);
    std::memcpy(at, ": ", 2);
    at = copy(at + 2, value);
    std::memcpy(at, "\r\n", 2);
    at_ = at + 2;
  }
  /// Fields that stand in memory as `field` writes them are copied in one piece: those that came one after
  /// another and that nobody has touched.
  void fields(const Fields& fields) {
    const Field* at = fields.all().data();
    const Field* end = at + fields.size();
    while (at != end) {
      if (!stands_written(*at)) {
        field(at->name, at->value);
        ++at;
        continue;
      }
      const char* first = at->name.data();
      const char* last = end_of(at->value);
      for (++at; at != end && follows(last, *at) && stands_written(*at); ++at) last = end_of(at->value);
      text({first, static_cast<size_t>(last - first)});
      text("\r\n");
    }
  }
  void length(uint64_t bytes) {
    text("Content-Length: ");
    number(bytes);
    text("\r\n");
  }
  void chunked() { text("Transfer-Encoding: chunked\r\n"); }
  std::string_view written() const { return {start_, static_cast<size_t>(at_ - start_)}; }

 private:
  static const char* end_of(std::string_view text) { return text.data() + text.size(); }
  static bool stands_written(const Field& field) {
    const char* name_end = end_of(field.name);
    return name_end + 2 == field.value.data() && std::memcmp(name_end, ": ", 2) == 0;
  }
  /// Whether nothing but a CRLF is between a value's end and the next field.
  static bool follows(const char* value_end, const Field& next) {
    return value_end + 2 == next.name.data() && std::memcmp(value_end, "\r\n", 2) == 0;
  }

  /// Returns where it ends. Most names and values are short: two moves that overlap are cheaper than a call.
  static char* copy(char* to, std::string_view text) {
    const char* from = text.data();
    size_t size = text.size();
    if (size > 32)
      std::memcpy(to, from, size);
    else if (size >= 16)
      move_ends<16>(to, from, size);
    else if (size >= 8)
      move_ends<8>(to, from, size);
    else if (size >= 4)
      move_ends<4>(to, from, size);
    else
      for (size_t i = 0; i < size; ++i) to[i] = from[i];
    return to + size;
  }
  template <size_t kBytes>
  static void move_ends(char* to, const char* from, size_t size) {
    std::array<char, kBytes> first;
    std::array<char, kBytes> last;
    std::memcpy(first.data(), from, kBytes);
    std::memcpy(last.data(), from + size - kBytes, kBytes);
    std::memcpy(to, first.data(), kBytes);
    std::memcpy(to + size - kBytes, last.data(), kBytes);
  }

  char* start_;
  char* at_;
  char* end_;
};

size_t bytes_of(const Fields& fields) {
  size_t total = 0;
  for (const Field& field : fields) total += field.name.size() + field.value.size() + kFieldSyntax;
  return total;
}

void write_connection(Writer& out, ConnectionOption option, std::string_view upgrade, bool te_trailers) {
  if (te_trailers) out.text("TE: trailers\r\n");
  std::string_view te = te_trailers ? "TE" : "";
  std::string_view and_te = te_trailers ? ", TE" : "";
  std::string_view name;
  switch (option) {
    case ConnectionOption::kNone:
      if (te_trailers) out.field("Connection", te);
      return;
    case ConnectionOption::kKeepAlive:
      name = "keep-alive";
      break;
    case ConnectionOption::kClose:
      name = "close";
      break;
    case ConnectionOption::kUpgrade:
      out.field("Upgrade", upgrade);
      name = "Upgrade";
      break;
  }
  out.text("Connection: ");
  out.text(name);
  out.text(and_te);
  out.text("\r\n");
}

void write_response_framing(Writer& out, const Response& response, const ResponseHeadOptions& options) {
  if (response.status < 200 || response.status == 204)
    return;  // RFC 9110, section 8.6; RFC 9112, section 6.1
  switch (response.body.kind) {
    case BodyLength::Kind::kKnown:
      return out.length(response.body.bytes);
    case BodyLength::Kind::kUnknown:
      if (options.chunked && response.status != 304) out.chunked();
      return;
    case BodyLength::Kind::kNone:
      if (response.status != 304 && !options.answers_head) out.length(0);
      return;
  }
}

}  // namespace

std::string_view write_request_head(const Request& request, const RequestHeadOptions& options, Arena& arena) {
  Writer out(arena, kFixedRoom + request.method_text.size() + options.base_path.size() + request.path.size() +
                        request.query.size() + options.host.size() + options.upgrade.size() +
                        bytes_of(request.fields));
  out.text(request.method_text.empty() ? method_text(request.method) : request.method_text);
  out.text(" ");
  if (request.path != "*") out.text(options.base_path);
  out.text(request.path);
  if (request.has_query) {
    out.text("?");
    out.text(request.query);
  }
  out.text(" HTTP/1.1\r\nHost: ");
  out.text(options.host);
  out.text("\r\n");
  out.fields(request.fields);
  if (request.body.kind == BodyLength::Kind::kKnown) out.length(request.body.bytes);
  if (request.body.kind == BodyLength::Kind::kUnknown) out.chunked();
  write_connection(out, options.connection, options.upgrade, options.te_trailers);
  out.text("\r\n");
  return out.written();
}

std::string_view write_response_head(const Response& response, const ResponseHeadOptions& options,
                                     Arena& arena) {
  std::string_view reason = response.reason.empty() ? reason_phrase(response.status) : response.reason;
  Writer out(arena, kFixedRoom + reason.size() + response.upgrade.size() + options.date.size() +
                        bytes_of(response.fields));
  out.text("HTTP/1.1 ");
  out.number(response.status);
  out.text(" ");
  out.text(reason);
  out.text("\r\n");
  if (!options.date.empty() && !response.fields.has(FieldName::kDate)) out.field("Date", options.date);
  out.fields(response.fields);
  write_response_framing(out, response, options);
  if (!response.upgrade.empty()) {
    out.field("Upgrade", response.upgrade);  // RFC 9110, section 15.5.22
    out.text("Connection: Upgrade\r\n");
  }
  write_connection(out, options.connection, {}, false);
  out.text("\r\n");
  return out.written();
}

ChunkLine::ChunkLine(uint64_t size) : start_(sizeof bytes_) {
  constexpr char kHex[] = "0123456789abcdef";
  bytes_[--start_] = '\n';
  bytes_[--start_] = '\r';
  do {
    bytes_[--start_] = kHex[size & 15];
    size >>= 4;
  } while (size != 0);
}

std::string_view write_last_chunk(const Fields& trailers, Arena& arena) {
  if (trailers.empty()) return kLastChunk;
  Writer out(arena, kFixedRoom + bytes_of(trailers));
  out.text("0\r\n");
  out.fields(trailers);
  out.text("\r\n");
  return out.written();
}

}  // namespace sluice::http::h1
