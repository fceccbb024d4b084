#include "config/words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace espalier::config {
namespace {

using ::testing::HasSubstr;

TEST(Words, EditDistance) {
  EXPECT_EQ(edit_distance("", ""), 0u);
  EXPECT_EQ(edit_distance("dpd", ""), 3u);
  EXPECT_EQ(edit_distance("lifetime", "lifetimes"), 1u);
  EXPECT_EQ(edit_distance("sartt", "start"), 2u);
  EXPECT_EQ(edit_distance("satrt", "start"), 1u) << "neighbours swapped are one edit";
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3u);
  EXPECT_EQ(edit_distance(std::string(5000, 'a'), std::string(9000, 'b')), 64u);
}

TEST(Words, Nearest) {
  EXPECT_EQ(nearest("hsots", {"mesh", "hosts", "pairs"}), "hosts");
  EXPECT_EQ(nearest("Hosts", {"mesh", "hosts", "pairs"}), "hosts");
  EXPECT_EQ(nearest("xyzzy", {"mesh", "hosts", "pairs"}), "");
  EXPECT_EQ(nearest("qq", {"id"}), "") << "a word with nothing in common is not near";
  EXPECT_EQ(suggestion("xyzzy", {"mesh", "hosts"}), "; known here are: mesh, hosts");
}

TEST(Words, HostNames) {
  for (const char* good : {"a", "bender", "Bender-2", "bender.example.net", "3com", "a.1"}) {
    EXPECT_TRUE(check_host_name(good).ok()) << good;
  }
  for (const char* bad :
       {"", ".", "a.", ".a", "a..b", "-a", "a-", "a_b", "a b", "0100", "10.1", "\xc3\xa4"}) {
    EXPECT_FALSE(check_host_name(bad).ok()) << bad;
  }
  EXPECT_TRUE(check_host_name(std::string(63, 'a')).ok());
  EXPECT_FALSE(check_host_name(std::string(64, 'a')).ok());
  std::string fqdn;
  for (int i = 0; i < 127; ++i) fqdn += "a.";
  EXPECT_FALSE(check_host_name(fqdn + "aa").ok());
  EXPECT_TRUE(check_host_name(fqdn.substr(0, 253)).ok());
}

TEST(Words, MeshNames) {
  for (const char* good : {"prod", "a", "7", "planet-express_2.net"}) {
    EXPECT_TRUE(check_mesh_name(good).ok()) << good;
  }
  for (const char* bad : {"", "-a", ".a", "a b", "a/b", "\xc3\xa4"}) {
    EXPECT_FALSE(check_mesh_name(bad).ok()) << bad;
  }
  EXPECT_FALSE(check_mesh_name(std::string(64, 'a')).ok());
}

TEST(Words, FileNames) {
  for (const char* good : {"attic.secret", "a/b.secret", "A_b-3"}) {
    EXPECT_TRUE(check_file_name(good).ok()) << good;
  }
  for (const char* bad : {"", "/etc/passwd", "../x", "a/../b", "a//b", "a/", ".x", "a b", "a\\b"}) {
    EXPECT_FALSE(check_file_name(bad).ok()) << bad;
  }
  EXPECT_THAT(check_file_name("/etc/passwd").error().message, HasSubstr("relative to private/"));
}

}  // namespace
}  // namespace espalier::config
