// A main for fuzz targets where libFuzzer is not: replays a corpus, then runs mutations of it for a
// bounded time.
//
//   TARGET [--seconds N] [--seed N] [--max-octets N] PATH...
//
// Every PATH is a file, or a folder that is replayed with all that is under it. The mutations are
// the same for the same corpus and seed, however many of them a machine gets through. An input that
// crashes, or that takes longer than kHangSeconds, is written to ./crash-HASH, and that file is an
// argument to reproduce it with. Exit: 0, or 64 for wrong usage.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
// Targets that need it may define it, as for libFuzzer.
extern "C" __attribute__((weak)) int LLVMFuzzerInitialize(int* argc, char*** argv);
// Only there in a build with sanitizers.
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());
// A fault that a sanitizer finds ends in abort(), so that on_signal sees it.
extern "C" const char* __asan_default_options() { return "abort_on_error=1"; }
extern "C" const char* __ubsan_default_options() { return "abort_on_error=1:print_stacktrace=1"; }
extern "C" const char* __tsan_default_options() { return "abort_on_error=1"; }

namespace {

using Input = std::vector<std::uint8_t>;

constexpr unsigned kHangSeconds = 10;

// The input that runs now. Globals, as a signal handler has nothing else.
const std::uint8_t* volatile current_data = nullptr;
volatile std::size_t current_size = 0;
volatile sig_atomic_t running = 0;
std::uint64_t runs = 0;
std::uint64_t runs_at_last_alarm = ~std::uint64_t{0};

void say(const char* text) {
  [[maybe_unused]] const ssize_t ignored = write(STDERR_FILENO, text, std::strlen(text));
}

// Async-signal-safe: writes the current input to ./crash-HASH, once.
void write_crash() {
  if (running == 0) return;
  running = 0;
  std::uint64_t hash = 0xcbf29ce484222325u;  // FNV-1a
  for (std::size_t i = 0; i < current_size; ++i) hash = (hash ^ current_data[i]) * 0x100000001b3u;
  char path[] = "./crash-0000000000000000";
  for (std::size_t i = 0; i < 16; ++i) path[8 + i] = "0123456789abcdef"[hash >> (60 - 4 * i) & 15];
  const int file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  std::size_t done = 0;
  while (file >= 0 && done < current_size) {
    const ssize_t count = write(file, current_data + done, current_size - done);
    if (count <= 0) break;
    done += static_cast<std::size_t>(count);
  }
  say(file >= 0 && done == current_size ? "the input that ended the run: "
                                        : "the input that ended the run could not be written to ");
  say(path);
  say("\n");
  if (file >= 0) close(file);
}

void on_signal(int number) {
  write_crash();
  signal(number, SIG_DFL);
  raise(number);
}

void on_alarm(int) {
  if (running != 0 && runs == runs_at_last_alarm) {
    say("an input takes too long\n");
    abort();
  }
  runs_at_last_alarm = runs;
  alarm(kHangSeconds);
}

void install_handlers() {
  static char stack[65536];  // a fault may be that the stack ran out
  stack_t alternate{};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof stack;
  sigaltstack(&alternate, nullptr);
  struct sigaction action {};
  action.sa_handler = on_signal;
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGABRT, &action, nullptr);
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(write_crash);  // the sanitizer has its own for the others
  } else {
    for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) sigaction(number, &action, nullptr);
  }
  action.sa_handler = on_alarm;
  sigaction(SIGALRM, &action, nullptr);
  alarm(kHangSeconds);
}

void run(const Input& input) {
  // The exact size on the heap, so that one octet too far is a fault that a sanitizer sees.
  const Input copy(input.begin(), input.end());
  static const std::uint8_t kNothing = 0;
  current_data = copy.empty() ? &kNothing : copy.data();
  current_size = copy.size();
  running = 1;
  LLVMFuzzerTestOneInput(current_data, current_size);
  running = 0;
  ++runs;
}

class Mutator {
 public:
  Mutator(const std::vector<Input>& corpus, std::uint64_t seed, std::size_t max_octets)
      : corpus_(corpus), max_octets_(max_octets), state_(seed) {}

  // A corpus entry with one to eight changes.
  Input next() {
    Input input = corpus_[below(corpus_.size())];
    for (std::size_t i = 1 + below(8); i > 0; --i) change(input);
    if (input.size() > max_octets_) input.resize(max_octets_);
    return input;
  }

 private:
  std::uint64_t draw() {  // splitmix64
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::size_t below(std::size_t limit) { return limit == 0 ? 0 : draw() % limit; }
  std::uint8_t octet() {
    static constexpr std::uint8_t kTelling[] = {0, 1, 2, 3, 4, 7, 8, 16, 0x7f, 0x80, 0xfe, 0xff};
    return below(2) == 0 ? kTelling[below(std::size(kTelling))] : static_cast<std::uint8_t>(draw());
  }

  void change(Input& input) {
    const std::size_t at = below(input.size());
    switch (input.empty() ? 5 : below(9)) {
      case 0: input[at] ^= static_cast<std::uint8_t>(1u << below(8)); break;
      case 1: input[at] = octet(); break;
      case 2: input.resize(at); break;
      case 3: length_field(input, at); break;
      case 4: erase(input, at); break;
      case 5: insert(input, at); break;
      case 6: repeat(input, at); break;
      case 7: splice(input, at); break;
      default: true_length(input, at); break;
    }
  }

  void put(Input& input, std::size_t at, std::size_t octets, std::uint64_t value) {
    for (std::size_t i = 0; i < octets && at + i < input.size(); ++i) {
      input[at + i] = static_cast<std::uint8_t>(value >> (8 * (octets - 1 - i)));
    }
  }
  // A big-endian number at `at` becomes one that a length field is likely to be wrong with.
  void length_field(Input& input, std::size_t at) {
    const std::size_t octets = std::size_t{1} << below(3);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < octets && at + i < input.size(); ++i)
      value = value << 8 | input[at + i];
    const std::uint64_t choices[] = {0,
                                     1,
                                     value + 1,
                                     value - 1,
                                     value * 2,
                                     input.size() - at,
                                     input.size() - at + 1,
                                     input.size(),
                                     ~std::uint64_t{0},
                                     0x7fffffff};
    put(input, at, octets, choices[below(std::size(choices))]);
  }
  // Whoever checks the length of all first gets it right now and then, at the places where our
  // formats have it.
  void true_length(Input& input, std::size_t at) {
    if (below(4) == 0) return put(input, at, 2, input.size() - at);
    if (below(2) == 0) return put(input, 24, 4, input.size());  // IKE
    if (below(2) == 0)
      return put(input, 0, 4, input.size() - std::min<std::size_t>(4, input.size()));
    put(input, 2, 2, input.size());
  }
  void erase(Input& input, std::size_t at) {
    const std::size_t count = 1 + below(std::min<std::size_t>(input.size() - at, 64));
    const auto begin = input.begin() + static_cast<std::ptrdiff_t>(at);
    input.erase(begin, begin + static_cast<std::ptrdiff_t>(std::min(count, input.size() - at)));
  }
  void insert(Input& input, std::size_t at) {
    Input octets(1 + below(below(8) == 0 ? 1024 : 16));
    for (std::uint8_t& value : octets) value = octet();
    insert_at(input, at, octets);
  }
  // A piece of the input once more, or many times.
  void repeat(Input& input, std::size_t at) {
    const std::size_t count = 1 + below(std::min<std::size_t>(input.size() - at, 128));
    const auto begin = input.begin() + static_cast<std::ptrdiff_t>(at);
    const Input piece(begin,
                      begin + static_cast<std::ptrdiff_t>(std::min(count, input.size() - at)));
    for (std::size_t i = below(16) == 0 ? below(256) : 1; i > 0 && input.size() < max_octets_;
         --i) {
      insert_at(input, at, piece);
    }
  }
  void splice(Input& input, std::size_t at) {
    const Input& other = corpus_[below(corpus_.size())];
    input.resize(at);
    const std::size_t from = below(other.size());
    input.insert(input.end(), other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
  }
  static void insert_at(Input& input, std::size_t at, const Input& octets) {
    input.insert(input.begin() + static_cast<std::ptrdiff_t>(at), octets.begin(), octets.end());
  }

  const std::vector<Input>& corpus_;
  std::size_t max_octets_;
  std::uint64_t state_;
};

struct Options {
  std::uint64_t seconds = 0;
  std::uint64_t seed = 1;
  std::uint64_t max_octets = 65536 + 16;  // beyond the largest datagram
  std::vector<std::string> paths;
};

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::optional<Options> parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    std::uint64_t* target = nullptr;
    if (word == "--seconds") target = &options.seconds;
    if (word == "--seed") target = &options.seed;
    if (word == "--max-octets") target = &options.max_octets;
    if (target == nullptr) {
      if (word.starts_with("--")) return std::nullopt;
      options.paths.emplace_back(word);
      continue;
    }
    const auto value = i + 1 < argc ? number(argv[++i]) : std::nullopt;
    if (!value) return std::nullopt;
    *target = *value;
  }
  return options;
}

Input read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return Input(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

// Every file under the paths, in the order of their names, so that a run is the same everywhere.
std::vector<Input> load(const std::vector<std::string>& paths) {
  namespace fs = std::filesystem;
  std::vector<fs::path> files;
  for (const std::string& path : paths) {
    std::error_code error;
    if (fs::is_regular_file(path, error)) files.emplace_back(path);
    if (!fs::is_directory(path, error)) {
      if (!fs::exists(path, error)) std::printf("%s: not there\n", path.c_str());
      continue;
    }
    for (const auto& entry : fs::recursive_directory_iterator(path, error)) {
      if (entry.is_regular_file(error)) files.push_back(entry.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<Input> corpus;
  for (const fs::path& file : files) corpus.push_back(read(file));
  return corpus;
}

}  // namespace

int main(int argc, char** argv) {
  if (LLVMFuzzerInitialize != nullptr) LLVMFuzzerInitialize(&argc, &argv);
  const std::optional<Options> options = parse_options(argc, argv);
  if (!options) {
    std::fprintf(stderr, "usage: %s [--seconds N] [--seed N] [--max-octets N] PATH...\n", argv[0]);
    return 64;
  }
  std::vector<Input> corpus = load(options->paths);
  if (corpus.empty()) {
    std::printf("no corpus: starting from an empty input and one of 64 zero octets\n");
    corpus = {Input(), Input(64)};
  }
  install_handlers();
  for (const Input& input : corpus) run(input);
  const std::uint64_t replayed = runs;

  using Clock = std::chrono::steady_clock;
  const Clock::time_point end = Clock::now() + std::chrono::seconds(options->seconds);
  Mutator mutator(corpus, options->seed, options->max_octets);
  while (Clock::now() < end) {
    for (int i = 0; i < 64; ++i) run(mutator.next());
  }
  std::printf("ran %llu inputs: %llu of the corpus, %llu mutations with seed %llu\n",
              static_cast<unsigned long long>(runs), static_cast<unsigned long long>(replayed),
              static_cast<unsigned long long>(runs - replayed),
              static_cast<unsigned long long>(options->seed));
  return 0;
}
