#include "base/arena.h"

#include <gtest/gtest.h>

namespace sluice {
namespace {

TEST(Arena, UsesItsFirstBlockBeforeItAsksTheSystem) {
  alignas(16) std::byte memory[256];
  Arena arena(memory);
  void* first = arena.allocate(100);
  EXPECT_EQ(first, memory);
  EXPECT_EQ(arena.block_bytes(), 0u);
  arena.allocate(200);
  EXPECT_GE(arena.block_bytes(), Arena::kBlockBytes);
  arena.reset();
  EXPECT_EQ(arena.block_bytes(), 0u);
  EXPECT_EQ(arena.allocate(8), first);
}

TEST(Arena, AlignsWhatItHandsOut) {
  Arena arena;
  for (size_t alignment : {1u, 2u, 4u, 8u, 16u, 64u}) {
    arena.allocate_chars(1);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(arena.allocate(3, alignment)) % alignment, 0u);
  }
}

TEST(Arena, HandsOutMoreThanABlock) {
  Arena arena;
  char* large = arena.allocate_chars(1 << 20);
  std::memset(large, 'x', 1 << 20);
  char* small = arena.allocate_chars(1);
  EXPECT_TRUE(small < large || small >= large + (1 << 20));
}

TEST(Arena, CopiesAndJoinsTexts) {
  Arena arena;
  std::string text = "abc";
  std::string_view copy = arena.copy(text);
  text = "xyz";
  EXPECT_EQ(copy, "abc");
  EXPECT_EQ(arena.copy(""), "");
  EXPECT_EQ(arena.concat("a", std::string("bc"), "", std::string_view("d")), "abcd");
}

}  // namespace
}  // namespace sluice
