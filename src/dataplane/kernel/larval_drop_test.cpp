#include "dataplane/kernel/larval_drop.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

namespace espalier::dataplane {
namespace {

class Larvals : public ::testing::Test {
 protected:
  Larvals() { EXPECT_NE(mkdtemp(folder_), nullptr); }
  ~Larvals() override {
    for (const char* name : {"/memory", "/setting"}) unlink((folder_ + std::string(name)).c_str());
    rmdir(folder_);
  }
  void set(const char* value) { std::ofstream(path("/setting")) << value << "\n"; }
  std::string setting() {
    std::string line;
    std::ifstream(path("/setting")) >> line;
    return line;
  }
  bool remembered() { return access(path("/memory").c_str(), F_OK) == 0; }
  std::string path(const char* name) { return folder_ + std::string(name); }
  LarvalDrop make() { return LarvalDrop(path("/memory"), path("/setting")); }
  char folder_[32] = "/tmp/espalier-larvalXXXXXX";
};

TEST_F(Larvals, HeldAndRestoredAlsoByTheDaemonAfterACrash) {
  set("1");
  ASSERT_TRUE(make().hold(0).ok());
  EXPECT_EQ(setting(), "0");
  const auto again = make().hold(0);
  ASSERT_TRUE(again.ok());
  EXPECT_NE(again->find("espalierd set it"), std::string::npos);
  EXPECT_TRUE(make().restore().value());
  EXPECT_EQ(setting(), "1");
  EXPECT_FALSE(remembered());
  EXPECT_FALSE(make().restore().value());
}

TEST_F(Larvals, LeftAloneWhereAnotherProgramHasEntries) {
  set("1");
  const auto said = make().hold(3);
  ASSERT_TRUE(said.ok());
  EXPECT_NE(said->find("another program has 3"), std::string::npos);
  EXPECT_EQ(setting(), "1");
  EXPECT_FALSE(remembered());
}

TEST_F(Larvals, WhatWas0AlreadyStays0) {
  set("0");
  ASSERT_TRUE(make().hold(0).ok());
  EXPECT_FALSE(make().restore().value());
  EXPECT_EQ(setting(), "0");
}

TEST_F(Larvals, AFileThatIsNotThereIsSaid) {
  const auto said = make().hold(0);
  ASSERT_FALSE(said.ok());
  EXPECT_NE(said.error().message.find("setting"), std::string::npos);
}

}  // namespace
}  // namespace espalier::dataplane
