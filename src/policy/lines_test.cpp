#include "policy/lines.hpp"

#include <gtest/gtest.h>

namespace espalier::policy {
namespace {

TEST(Lines, NameThePlaceAndAreNoPartOfTheValue) {
  Lines lines;
  EXPECT_EQ(where(lines, Setting::kMode), "");
  lines.file = {std::string("mesh.yaml")};
  lines[Setting::kPeer] = 7;
  EXPECT_EQ(where(lines, Setting::kPeer), " (the peer: mesh.yaml:7)");
  EXPECT_EQ(where(lines, Setting::kMode),
            " ('mode' is a default here: set it in 'defaults' of mesh.yaml, or at mesh.yaml:7)");
  lines[Setting::kMode] = 3;
  EXPECT_EQ(where(lines, Setting::kMode), " ('mode': mesh.yaml:3)");
  EXPECT_EQ(lines, Lines());
  EXPECT_FALSE(lines.is_same(Lines()));
}

}  // namespace
}  // namespace espalier::policy
