#include "config/schema.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <set>

#include "config/settings_reader.hpp"

namespace espalier::config {
namespace {

// ESPALIER_REGENERATE=1 writes the file instead.
TEST(Schema, GeneratedPageIsNotStale) {
  const std::string path = std::string(ESPALIER_SOURCE) + "/docs/generated/mesh-yaml.md";
  if (std::getenv("ESPALIER_REGENERATE") != nullptr) {
    std::ofstream(path, std::ios::binary) << describe_schema();
  }
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  EXPECT_EQ(text, describe_schema()) << "run config_test with ESPALIER_REGENERATE=1";
}

TEST(Schema, EverySettingHasAReaderAndTheOtherWayRound) {
  std::set<std::string_view> in_schema;
  for (const SchemaKey& row : schema()) {
    if (row.scope == Scope::kSettings && row.support != Support::kNotYet) in_schema.insert(row.key);
  }
  const auto readers = settings_with_reader();
  EXPECT_EQ(in_schema, std::set<std::string_view>(readers.begin(), readers.end()));
}

TEST(Schema, RowsAreWholeAndUnique) {
  std::set<std::pair<Scope, std::string_view>> seen;
  for (const SchemaKey& row : schema()) {
    EXPECT_TRUE(seen.emplace(row.scope, row.key).second) << row.key;
    EXPECT_FALSE(row.type.empty() || row.values.empty() || row.help.empty()) << row.key;
    EXPECT_EQ(find_key(row.scope, row.key), &row);
  }
  // A host and a foreign peer may hold settings beside their own keys: no name may mean both.
  for (const SchemaKey& row : schema()) {
    if (row.scope != Scope::kSettings) continue;
    EXPECT_EQ(find_key(Scope::kHost, row.key), nullptr) << row.key;
    EXPECT_EQ(find_key(Scope::kForeign, row.key), nullptr) << row.key;
  }
}

}  // namespace
}  // namespace espalier::config
