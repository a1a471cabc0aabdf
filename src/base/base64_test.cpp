#include "base/base64.h"

#include <gtest/gtest.h>

namespace sluice::base64 {
namespace {

// RFC 4648, section 10
constexpr std::pair<std::string_view, std::string_view> kVectors[] = {
    {"", ""},
    {"f", "Zg=="},
    {"fo", "Zm8="},
    {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="},
    {"fooba", "Zm9vYmE="},
    {"foobar", "Zm9vYmFy"},
};

TEST(Base64, TheVectorsOfTheRfc) {
  for (auto [bytes, text] : kVectors) {
    std::string out;
    append_encoded(bytes, out);
    EXPECT_EQ(out, text);
    EXPECT_EQ(decode(text), bytes);
    EXPECT_EQ(decode(text.substr(0, text.find('='))), bytes) << "without padding";
  }
}

TEST(Base64, EveryByteAndBothAlphabets) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  std::string text;
  append_encoded(all, text);
  EXPECT_EQ(decode(text), all);
  EXPECT_EQ(decode("-_8="), decode("+/8="));
}

TEST(Base64, WhatIsNoBase64IsRefused) {
  for (std::string_view text :
       {"Z", "Zg=", "=", "====", "Zg==Zg==", "Z g=", "Zg=\n", "Zm9v=", "Zm9vY", "Z===", "Zg=a"})
    EXPECT_FALSE(decode(text)) << text;
}

TEST(Base64, PaddedPiecesOneAfterAnother) {
  std::string text = "Zg==Zm8=Zm9vZm9vYg==";
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    StreamDecoder decoder;
    std::string out;
    for (size_t at = 0; at < text.size(); at += piece)
      EXPECT_TRUE(decoder.decode(std::string_view(text).substr(at, piece), out));
    EXPECT_TRUE(decoder.between_groups());
    EXPECT_EQ(out, "ffofoofoob");
  }
  StreamDecoder decoder;
  std::string out;
  EXPECT_TRUE(decoder.decode("Zm9vY", out));
  EXPECT_FALSE(decoder.between_groups());
}

}  // namespace
}  // namespace sluice::base64
