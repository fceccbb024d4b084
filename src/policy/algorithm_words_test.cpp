#include "policy/algorithm_words.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>

namespace espalier::policy {
namespace {

using wire::ike::TransformType;

std::string cell(unsigned number) { return number == 0 ? "-" : std::to_string(number); }

std::string synonyms_of(const AlgorithmWord& row) {
  std::string text;
  for (const AlgorithmWord& other : algorithm_words()) {
    if (other.use != WordUse::kSynonym || other.type != row.type || other.id != row.id ||
        other.key_bits != row.key_bits) {
      continue;
    }
    text += (text.empty() ? "`" : ", `") + std::string(other.word) + "`";
  }
  return text;
}

std::string section(TransformType type, std::string_view title) {
  std::string text = "\n## " + std::string(title) + " (transform type " +
                     std::to_string(static_cast<unsigned>(type)) +
                     ")\n\n| word | also | IANA number | key, bits |\n|---|---|---|---|\n";
  std::string kernel;
  std::string refused;
  for (const AlgorithmWord& row : algorithm_words()) {
    if (row.type != type) continue;
    if (row.kernel_only) {
      if (row.use == WordUse::kSupported) {
        kernel += (kernel.empty() ? "`" : " `") + std::string(row.word) + "`";
      }
      continue;
    }
    if (row.use == WordUse::kSupported) {
      text += "| `" + std::string(row.word) + "` | " + synonyms_of(row) + " | " +
              std::to_string(row.id) + " | " + cell(row.key_bits) + " |\n";
    }
    if (row.use == WordUse::kUnsupported) {
      refused += (refused.empty() ? "`" : " `") + std::string(row.word) + "`";
    }
  }
  if (!kernel.empty()) {
    text +=
        "\nFor ESP by the kernel's dataplane (`--dataplane kernel`), and where they are named: " +
        kernel + "\n";
  }
  if (!refused.empty()) text += "\nRefused by name: " + refused + "\n";
  return text;
}

std::string describe_algorithms() {
  std::string text =
      "# Algorithms and their words\n\n"
      "Printed from `src/policy/algorithm_words.cpp`. The words are strongSwan's; a proposal is a "
      "few of them joined by hyphens. The numbers are those of the IANA registry for IKEv2; a peer "
      "may offer others, they are never chosen. IKE uses a cipher with built-in integrity with a "
      "PRF, ESP takes none; the last section is ESP's alone.\n";
  text += section(TransformType::kEncr, "Encryption");
  text += section(TransformType::kPrf, "Pseudorandom functions");
  text += section(TransformType::kInteg, "Integrity");
  text += section(TransformType::kDh, "Key exchange");
  text += section(TransformType::kEsn, "Extended sequence numbers");
  return text;
}

// ESPALIER_REGENERATE=1 writes the file instead.
TEST(AlgorithmWords, GeneratedPageIsNotStale) {
  const std::string path = std::string(ESPALIER_SOURCE) + "/docs/generated/algorithms.md";
  if (std::getenv("ESPALIER_REGENERATE") != nullptr) {
    std::ofstream(path, std::ios::binary) << describe_algorithms();
  }
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  EXPECT_EQ(text, describe_algorithms()) << "run policy_test with ESPALIER_REGENERATE=1";
}

// A synonym without its word, or two words of one transform, would be printed as the wrong one.
TEST(AlgorithmWords, EachTransformHasOneWord) {
  for (const AlgorithmWord& row : algorithm_words()) {
    int supported = 0;
    for (const AlgorithmWord& other : algorithm_words()) {
      supported += other.use == WordUse::kSupported && other.type == row.type &&
                   other.id == row.id && other.key_bits == row.key_bits;
    }
    if (row.use == WordUse::kUnsupported) continue;
    EXPECT_EQ(supported, 1) << row.word;
  }
}

}  // namespace
}  // namespace espalier::policy
