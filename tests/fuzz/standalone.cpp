// A plain main for a fuzz target: replays the files of the corpus folders, then mutations of them
// and random octets, for a bounded time. Where libFuzzer is not at hand it keeps decoders honest.
// The seed is printed when the target dies (the sanitizer's report follows), and given back with
// --seed.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Input = std::vector<std::uint8_t>;

std::vector<Input> read_corpus(const std::string& folder) {
  std::vector<Input> out;
  std::error_code ignored;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder, ignored)) {
    if (!entry.is_regular_file()) continue;
    std::ifstream file(entry.path(), std::ios::binary);
    out.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return out;
}

Input mutate(Input input, std::mt19937_64& random) {
  const std::size_t rounds = 1 + random() % 8;
  for (std::size_t i = 0; i < rounds; ++i) {
    if (input.empty() || random() % 6 == 0) {
      const std::size_t grow = random() % 64;
      for (std::size_t j = 0; j < grow; ++j) input.push_back(static_cast<std::uint8_t>(random()));
      continue;
    }
    const std::size_t at = random() % input.size();
    switch (random() % 5) {
      case 0: input[at] ^= static_cast<std::uint8_t>(1u << random() % 8); break;
      case 1: input[at] = static_cast<std::uint8_t>(random()); break;
      case 2: input[at] = random() % 2 == 0 ? 0 : 0xff; break;
      case 3: input.resize(at); break;
      default:
        input.insert(input.end(), input.begin(),
                     input.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(at, 512)));
    }
    if (input.size() > 65536) input.resize(65536);
  }
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = 3;
  std::uint64_t seed = std::random_device{}();
  std::vector<Input> corpus;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--seconds" && i + 1 < argc) {
      seconds = std::atof(argv[++i]);
    } else if (argument == "--seed" && i + 1 < argc) {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else {
      for (Input& input : read_corpus(argument)) corpus.push_back(std::move(input));
    }
  }
  std::fprintf(stderr, "corpus %zu files, seed %llu\n", corpus.size(),
               static_cast<unsigned long long>(seed));
  for (const Input& input : corpus) LLVMFuzzerTestOneInput(input.data(), input.size());
  if (corpus.empty()) corpus.push_back({});
  std::mt19937_64 random(seed);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::uint64_t runs = 0;
  while (std::chrono::steady_clock::now() < end) {
    const Input input = mutate(corpus[random() % corpus.size()], random);
    LLVMFuzzerTestOneInput(input.data(), input.size());
    ++runs;
  }
  std::fprintf(stderr, "%llu runs\n", static_cast<unsigned long long>(runs));
  return 0;
}
