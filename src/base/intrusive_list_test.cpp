#include "base/intrusive_list.h"

#include <gtest/gtest.h>

#include <string>

namespace sluice {
namespace {

struct Item : ListHook {
  explicit Item(char given) : name(given) {}
  char name;
};

std::string names(IntrusiveList<Item>& list) {
  std::string out;
  list.for_each([&](Item& item) { out += item.name; });
  return out;
}

TEST(IntrusiveList, KeepsOrderAtBothEnds) {
  Item a('a'), b('b'), c('c');
  IntrusiveList<Item> list;
  list.push_back(b);
  list.push_back(c);
  list.push_front(a);
  EXPECT_EQ(names(list), "abc");
  EXPECT_EQ(list.back().name, 'c');
  EXPECT_EQ(list.pop_front().name, 'a');
  EXPECT_FALSE(a.linked());
  EXPECT_EQ(names(list), "bc");
}

TEST(IntrusiveList, AnElementLeavesByItselfAndWhenItIsDestroyed) {
  Item a('a'), c('c');
  IntrusiveList<Item> list;
  list.push_back(a);
  {
    Item b('b');
    list.push_back(b);
    list.push_back(c);
  }
  EXPECT_EQ(names(list), "ac");
  a.unlink();
  a.unlink();
  EXPECT_EQ(names(list), "c");
}

TEST(IntrusiveList, AVisitMayUnlinkItsElement) {
  Item a('a'), b('b'), c('c');
  IntrusiveList<Item> list;
  for (Item* item : {&a, &b, &c}) list.push_back(*item);
  list.for_each([](Item& item) { item.unlink(); });
  EXPECT_TRUE(list.empty());
}

TEST(IntrusiveList, SplicingMovesEverything) {
  Item a('a'), b('b'), c('c');
  IntrusiveList<Item> one;
  IntrusiveList<Item> two;
  one.push_back(a);
  two.push_back(b);
  two.push_back(c);
  one.splice_back(two);
  EXPECT_EQ(names(one), "abc");
  EXPECT_TRUE(two.empty());
  one.splice_back(two);
  EXPECT_EQ(names(one), "abc");
}

}  // namespace
}  // namespace sluice
