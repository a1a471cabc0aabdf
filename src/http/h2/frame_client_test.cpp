#include "http/h2/frame_client.h"

#include <nghttp2/nghttp2.h>

namespace sluice::http::h2::testing {

std::string number(uint64_t value, size_t bytes) {
  std::string text;
  for (size_t i = bytes; i-- > 0;) text.push_back(static_cast<char>(value >> (8 * i)));
  return text;
}

std::string frame(uint8_t type, uint8_t flags, int32_t stream, std::string_view payload) {
  std::string text = number(payload.size(), 3);
  text += number(type, 1) + number(flags, 1) + number(static_cast<uint32_t>(stream), 4);
  return text.append(payload);
}

std::string block(const FieldList& fields) {
  std::string text;
  auto add = [&text](std::string_view piece) {  // RFC 7541, section 5.1, with a prefix of seven bits
    size_t size = piece.size();
    if (size < 127) {
      text.push_back(static_cast<char>(size));
    } else {
      text.push_back(127);
      for (size -= 127; size >= 128; size /= 128) text.push_back(static_cast<char>(size % 128 + 128));
      text.push_back(static_cast<char>(size));
    }
    text.append(piece);
  };
  for (const auto& [name, value] : fields) {
    text.push_back(0);
    add(name);
    add(value);
  }
  return text;
}

std::string preface() { return std::string(kMagic) + frame(kSettings, 0, 0) + frame(kSettings, kAck, 0); }

FieldList get_fields(std::string_view path) {
  return {{":method", "GET"}, {":scheme", "http"}, {":path", std::string(path)}, {":authority", "a.test"}};
}
std::string headers(int32_t stream, const FieldList& fields, bool end) {
  return frame(kHeaders, kEndHeaders | (end ? kEndStream : 0), stream, block(fields));
}
std::string get(int32_t stream, std::string_view path) { return headers(stream, get_fields(path)); }
std::string post(int32_t stream, std::string_view path) {
  FieldList fields = get_fields(path);
  fields[0].second = "POST";
  return headers(stream, fields, false);
}
std::string data(int32_t stream, std::string_view bytes, bool end) {
  return frame(kData, end ? kEndStream : 0, stream, bytes);
}
std::string window(int32_t stream, uint32_t bytes) {
  return frame(kWindowUpdate, 0, stream, number(bytes, 4));
}
std::string reset(int32_t stream, uint32_t code) { return frame(kRstStream, 0, stream, number(code, 4)); }

struct FrameReader::Inflater {
  Inflater() { nghttp2_hd_inflate_new(&inflater); }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;
  ~Inflater() { nghttp2_hd_inflate_del(inflater); }
  nghttp2_hd_inflater* inflater = nullptr;
};

FrameReader::FrameReader(const std::string& received, size_t skip)
    : received_(received), inflater_(std::make_unique<Inflater>()), taken_(skip) {}
FrameReader::~FrameReader() = default;

void FrameReader::look() {
  auto value = [](std::string_view bytes) {
    uint64_t sum = 0;
    for (char c : bytes) sum = sum << 8 | static_cast<uint8_t>(c);
    return sum;
  };
  for (;;) {
    if (received_.size() < taken_) return;
    std::string_view rest = std::string_view(received_).substr(taken_);
    if (rest.size() < 9) return;
    size_t size = value(rest.substr(0, 3));
    if (rest.size() < 9 + size) return;
    taken_ += 9 + size;
    take(static_cast<uint8_t>(rest[3]), static_cast<uint8_t>(rest[4]),
         static_cast<int32_t>(value(rest.substr(5, 4))), rest.substr(9, size));
  }
}

void FrameReader::take(uint8_t type, uint8_t flags, int32_t stream, std::string_view payload) {
  auto value = [payload](size_t from, size_t bytes) {
    uint32_t sum = 0;
    for (char c : payload.substr(from, bytes)) sum = sum << 8 | static_cast<uint8_t>(c);
    return sum;
  };
  ++counts_[type];
  if (type == kGoaway) {
    goaway_last = static_cast<int32_t>(value(0, 4));
    goaway_ = value(4, 4);
  } else if (type == kWindowUpdate) {
    raised_[stream] += value(0, 4);
  } else if (type == kSettings && !(flags & kAck)) {
    for (size_t at = 0; at + 6 <= payload.size(); at += 6)
      settings[static_cast<uint16_t>(value(at, 2))] = value(at + 2, 4);
  } else if (type == kRstStream) {
    answers_[stream].reset = value(0, 4);
  } else if (type == kData) {
    answers_[stream].body.append(payload);
    answers_[stream].ended |= (flags & kEndStream) != 0;
  } else if (type == kHeaders) {
    last_stream_ = std::max(last_stream_, stream);
    take_head(answers_[stream], payload, flags & kEndStream);
  }
}

void FrameReader::take_head(Answer& answer, std::string_view block, bool end) {
  std::map<std::string, std::string> fields;
  auto* at = reinterpret_cast<const uint8_t*>(block.data());
  size_t left = block.size();
  for (;;) {
    nghttp2_nv pair;
    int flags = 0;
    ssize_t used = nghttp2_hd_inflate_hd2(inflater_->inflater, &pair, &flags, at, left, 1);
    ASSERT_GE(used, 0);
    at += used;
    left -= static_cast<size_t>(used);
    if (flags & NGHTTP2_HD_INFLATE_EMIT)
      fields[std::string(reinterpret_cast<char*>(pair.name), pair.namelen)] =
          std::string(reinterpret_cast<char*>(pair.value), pair.valuelen);
    if (flags & NGHTTP2_HD_INFLATE_FINAL) break;
  }
  nghttp2_hd_inflate_end_headers(inflater_->inflater);
  answer.ended |= end;
  auto status = fields.find(":status");
  if (fields.contains(":method")) {
    answer.fields = fields;
  } else if (status == fields.end()) {
    answer.trailers = fields;
  } else if (status->second.starts_with('1')) {
    answer.interim.push_back(status->second);
  } else {
    answer.status = status->second;
    answer.fields = fields;
  }
}

uint32_t FrameReader::goaway() {
  look();
  return goaway_;
}

ServerTest::ServerTest(io::SimOptions options, Codec codec) : world(options), codec_(codec) {
  EXPECT_TRUE(listener_);
  (*listener_)->bind(accepting_);
  scope_.spawn(accept_all());
}

ServerTest::~ServerTest() {
  accepting_.cancel(io::CancelReason::kDrain);
  connections.for_each([](Connection& each) { each.cancel(io::CancelReason::kShed); });
  world.run();
  EXPECT_EQ(scope_.active(), 0u);
  EXPECT_EQ(handler.paths.open, 0);
  EXPECT_EQ(handler.paths.active, 0);
}

io::Task<> ServerTest::accept_all() {
  for (;;) {
    auto stream = co_await (*listener_)->accept();
    if (!stream) break;
    Serving serving{loop, handler, connections, scope_};
    serve(serving, std::move(*stream), 0, codec_);
  }
}

namespace {

TEST(FrameClient, BuildsFramesAsTheRfcDrawsThem) {
  EXPECT_EQ(frame(kPing, kAck, 0, "12345678"), std::string("\0\0\x08\x06\x01\0\0\0\0", 9) + "12345678");
  EXPECT_EQ(block({{"a", "b"}}), std::string("\0\x01", 2) + "a\x01" + "b");
}

}  // namespace
}  // namespace sluice::http::h2::testing
