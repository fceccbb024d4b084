#include "daemon/journal_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include "dataplane/kernel/left.hpp"

namespace espalier::daemon {
namespace {

using ike::journal::Entry;

// /dev/shm is in memory wherever Linux has it.
struct JournalTest : testing::Test {
  void SetUp() override {
    char name[] = "/dev/shm/espalier-journal-XXXXXX";
    if (mkdtemp(name) == nullptr) GTEST_SKIP() << "no /dev/shm here";
    run = name;
  }
  void TearDown() override {
    if (run.empty()) return;
    dataplane::remove_journal(run);
    rmdir(run.c_str());
  }
  std::string contents() const {
    std::ifstream in(run + "/journal", std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  void put(const std::string& octets) const {
    std::ofstream(run + "/journal", std::ios::binary | std::ios::trunc) << octets;
  }
  static Entry entry(std::uint64_t spi, std::string_view text) {
    return {IkeSpi(spi), SecretBytes(as_bytes(text))};
  }
  std::vector<std::string> read() const {
    auto file = JournalFile::open(run);
    std::vector<std::string> out;
    if (!file) return {"error: " + file.error().message};
    for (const SecretBytes& record : file->take_records()) out.push_back(to_text(record.reveal()));
    return out;
  }
  std::string run;
};

TEST_F(JournalTest, the_last_record_of_each_sa_is_found_again) {
  auto file = JournalFile::open(run);
  ASSERT_TRUE(file) << file.error().message;
  ASSERT_TRUE(file->replace({}));
  ASSERT_TRUE(file->append({entry(1, "one"), entry(2, "two")}));
  ASSERT_TRUE(file->append({entry(1, "one again"), entry(2, "")}));
  ASSERT_TRUE(file->append({entry(3, "three")}));
  EXPECT_EQ(read(), (std::vector<std::string>{"one again", "three"}));
  ASSERT_TRUE(file->replace({entry(9, "nine")}));
  ASSERT_TRUE(file->append({entry(10, "ten")}));
  EXPECT_EQ(read(), (std::vector<std::string>{"nine", "ten"}));
  struct stat status {};
  ASSERT_EQ(stat((run + "/journal").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

// Wherever the daemon was when it ended: every whole batch counts, and no part of another.
TEST_F(JournalTest, a_batch_cut_short_does_not_count) {
  auto file = JournalFile::open(run);
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->replace({}));
  const std::size_t head = contents().size();
  ASSERT_TRUE(file->append({entry(1, "one")}));
  const std::size_t first = contents().size();
  ASSERT_TRUE(file->append({entry(1, "uno"), entry(2, "two")}));
  const std::string whole = contents();
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    put(whole.substr(0, size));
    std::vector<std::string> wanted;
    if (size >= first && size >= head) wanted = {"one"};
    if (size == whole.size()) wanted = {"uno", "two"};
    EXPECT_EQ(read(), wanted) << size;
  }
  for (std::size_t at = first; at < whole.size(); ++at) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 1);
    put(flipped);
    EXPECT_EQ(read(), std::vector<std::string>{"one"}) << at;
  }
}

TEST_F(JournalTest, another_boot_or_format_is_void) {
  auto file = JournalFile::open(run);
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->replace({entry(1, "one")}));
  std::string whole = contents();
  whole[30] = static_cast<char>(whole[30] ^ 1);  // of the boot's id
  put(whole);
  auto again = JournalFile::open(run);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->take_records().empty());
  EXPECT_NE(again->why_void().find("another boot"), std::string::npos);
}

TEST_F(JournalTest, one_that_others_may_read_is_void) {
  auto file = JournalFile::open(run);
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->replace({entry(1, "one")}));
  ASSERT_EQ(chmod((run + "/journal").c_str(), 0640), 0);
  auto again = JournalFile::open(run);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->take_records().empty());
  EXPECT_NE(again->why_void(), "");
}

TEST_F(JournalTest, a_link_is_not_followed) {
  ASSERT_EQ(symlink("/dev/shm/elsewhere-of-espalier", (run + "/journal").c_str()), 0);
  EXPECT_FALSE(JournalFile::open(run));
}

TEST(JournalOnDisk, is_refused) {
  // The folder of the test program is on a disk, as far as anybody knows; where it is not, there is
  // nothing to see.
  char name[] = "espalier-journal-XXXXXX";
  ASSERT_NE(mkdtemp(name), nullptr);
  const auto file = JournalFile::open(name);
  if (!file) {
    EXPECT_EQ(file.error().code, ErrorCode::kUnsupported);
  }
  dataplane::remove_journal(name);
  rmdir(name);
}

TEST_F(JournalTest, it_asks_to_be_replaced_when_it_has_grown) {
  auto file = JournalFile::open(run);
  ASSERT_TRUE(file);
  ASSERT_TRUE(file->replace({}));
  const std::string big(100'000, 'x');
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(file->append({entry(1, big)}));
  EXPECT_FALSE(file->wants_replacing());
  ASSERT_TRUE(file->append({entry(1, big)}));
  EXPECT_TRUE(file->wants_replacing());
  ASSERT_TRUE(file->replace({entry(1, big)}));
  EXPECT_FALSE(file->wants_replacing());
}

}  // namespace
}  // namespace espalier::daemon
