#include "http/origin.h"

#include <gtest/gtest.h>

namespace sluice::http {
namespace {

TEST(OriginPattern, FitsTheOriginsThatItNames) {
  struct Row {
    std::string_view pattern;
    std::string_view origin;
    bool fits;
  };
  for (const Row& row : {Row{"https://shop.example", "https://shop.example", true},
                         {"https://shop.example", "HTTPS://Shop.Example", true},
                         {"https://shop.example", "http://shop.example", false},
                         {"https://shop.example", "https://shop.example:8443", false},
                         {"https://shop.example", "https://shop.example.evil.test", false},
                         {"https://shop.example", "https://evil.test/?https://shop.example", false},
                         {"https://shop.example:8443", "https://shop.example:8443", true},
                         {"https://*.shop.example", "https://a.shop.example", true},
                         {"https://*.shop.example", "https://a.b.shop.example", true},
                         {"https://*.shop.example", "https://shop.example", false},
                         {"https://*.shop.example", "https://.shop.example", false},
                         {"https://*.shop.example", "https://evilshop.example", false},
                         {"https://*.shop.example", "https://evil.test/.shop.example", false},
                         {"https://*.shop.example", "https://evil.test:1.shop.example", false},
                         {"https://*.shop.example", "http://a.shop.example", false},
                         {"https://*.shop.example", "https://a.shop.example:8443", false},
                         {"http://[::1]:8080", "http://[::1]:8080", true},
                         {"null", "null", true},
                         {"null", "", false}}) {
    auto pattern = OriginPattern::parse(row.pattern);
    ASSERT_TRUE(pattern) << row.pattern << ": " << pattern.error();
    EXPECT_EQ(pattern->matches(row.origin), row.fits) << row.pattern << " " << row.origin;
    EXPECT_EQ(pattern->text(), row.pattern);
  }
}

TEST(OriginPattern, RefusesWhatIsNone) {
  for (std::string_view text : {"", "*", "shop.example", "https://", "https://shop.example/", "https://*",
                                "https://a.*.example", "://shop.example", "https://a@b", "1s://a"})
    EXPECT_FALSE(OriginPattern::parse(text)) << text;
}

}  // namespace
}  // namespace sluice::http
