#include "base/shared_list.hpp"

#include <gtest/gtest.h>

#include <string>

namespace espalier {
namespace {

using List = SharedList<std::string>;

TEST(SharedList, IsAListThatCopiesShare) {
  const List one{"a", "b"};
  const List copy = one;
  EXPECT_EQ(&one.front(), &copy.front());
  EXPECT_EQ(copy.size(), 2u);
  EXPECT_EQ(copy.back(), "b");
  EXPECT_EQ(copy[1], "b");
  std::string all;
  for (const std::string& word : copy) all += word;
  EXPECT_EQ(all, "ab");
}

TEST(SharedList, ComparesByWhatItLists) {
  EXPECT_EQ(List({"a"}), List({"a"}));
  EXPECT_FALSE(List({"a"}) == List({"b"}));
  EXPECT_FALSE(List({"a"}) == List());
}

TEST(SharedList, EmptyIsEmpty) {
  EXPECT_TRUE(List().empty());
  EXPECT_TRUE(List(std::vector<std::string>()).empty());
  EXPECT_EQ(List(), List(std::vector<std::string>()));
  EXPECT_EQ(List().begin(), List().end());
  EXPECT_TRUE(List().list().empty());
}

}  // namespace
}  // namespace espalier
