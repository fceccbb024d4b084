#include "cli/path_search.hpp"

#include <algorithm>

namespace espalier::cli {
namespace {

using Answer = PathProber::Answer;

// A path has few narrow places, and each is told of once.
constexpr std::size_t kMaxTold = 12;
// 16 halvings find one size in 65536.
constexpr std::size_t kMaxHalvings = 18;
// The ICMP error to a first packet may be late or lost.
constexpr int kQuietRounds = 2;

class Searcher {
 public:
  Searcher(PathProber& prober, const ProbeProgress& progress)
      : prober_(prober), progress_(progress) {}

  Result<PathProber::Outcome> once(std::size_t octets) {
    TRY_ASSIGN(const PathProber::Outcome outcome, prober_.probe(octets));
    ++result.probes;
    if (progress_) progress_(octets, outcome);
    if (outcome.answer == Answer::kTooBig && outcome.mtu > 0) result.told_mtu = outcome.mtu;
    if (outcome.answer == Answer::kAnswered) {
      result.passed = std::max(result.passed.value_or(0), octets);
    }
    return outcome;
  }
  Result<PathProber::Outcome> twice_if_silent(std::size_t octets) {
    TRY_ASSIGN(const PathProber::Outcome outcome, once(octets));
    if (outcome.answer != Answer::kSilent) return outcome;
    return once(octets);
  }

  PathSearch result;

 private:
  PathProber& prober_;
  const ProbeProgress& progress_;
};

}  // namespace

Result<PathSearch> ask_path(PathProber& prober, std::size_t from, const ProbeProgress& progress) {
  Searcher search(prober, progress);
  std::size_t size = from;
  int quiet = 0;
  while (quiet < kQuietRounds && search.result.probes < kMaxTold) {
    TRY_ASSIGN(const PathProber::Outcome outcome, search.once(size));
    if (outcome.answer == Answer::kAnswered) break;
    if (outcome.answer == Answer::kSilent) {
      ++quiet;
      continue;
    }
    quiet = 0;
    size = outcome.mtu > 0 && outcome.mtu < size ? outcome.mtu : size / 2;
  }
  if (!search.result.told_mtu && search.result.passed) search.result.told_mtu = size;
  return search.result;
}

Result<PathSearch> largest_answered(PathProber& prober, std::size_t least, std::size_t most,
                                    const ProbeProgress& progress) {
  Searcher search(prober, progress);
  std::size_t high = std::max(least, most);  // may pass
  // Down to where nobody says that it is too big: mostly that is the answer.
  for (std::size_t i = 0; i < kMaxHalvings; ++i) {
    TRY_ASSIGN(const PathProber::Outcome outcome, search.twice_if_silent(high));
    if (outcome.answer == Answer::kAnswered) return search.result;
    if (outcome.answer == Answer::kSilent) break;
    const std::size_t smaller = outcome.mtu > 0 && outcome.mtu < high ? outcome.mtu : high - 1;
    if (smaller < least) return search.result;
    high = smaller;
  }
  TRY_ASSIGN(const PathProber::Outcome least_outcome, search.twice_if_silent(least));
  if (least_outcome.answer != Answer::kAnswered) return search.result;
  std::size_t low = least;  // passes; high does not
  for (std::size_t i = 0; i < kMaxHalvings && low + 1 < high; ++i) {
    const std::size_t middle = low + (high - low) / 2;
    TRY_ASSIGN(const PathProber::Outcome outcome, search.twice_if_silent(middle));
    (outcome.answer == Answer::kAnswered ? low : high) = middle;
  }
  return search.result;
}

}  // namespace espalier::cli
