#include "sim/explorer.hpp"

#include <fmt/format.h>

#include <unordered_map>
#include <unordered_set>

#include "sim/explorer_state.hpp"

namespace espalier::sim {
namespace {

struct Hash {
  std::size_t operator()(const Fingerprint& f) const { return f.a; }
};

class Search {
 public:
  Search(const Scenario& scenario, const Budget& budget, std::string* trail)
      : scenario_(scenario), budget_(budget), trail_(trail != nullptr ? *trail : own_trail_) {}

  Report run() {
    const PairState begin(scenario_, budget_);
    visit(begin);
    return report_;
  }

 private:
  bool stop() const { return !report_.violation.empty() || !report_.exhaustive; }
  void visit(const PairState& state);
  void fail(const std::string& what);
  void run_on(const PairState& state);
  void check_merge(const PairState& state, const Fingerprint& known);
  std::uint64_t successors(const PairState& state) const;

  const Scenario& scenario_;
  const Budget& budget_;
  std::string own_trail_;
  std::string& trail_;
  Report report_;
  std::unordered_set<Fingerprint, Hash> seen_;
  // When merges are checked: what came of a state, and the steps that first led to it.
  struct Known {
    std::uint64_t successors = 0;
    std::string trail;
  };
  std::unordered_map<Fingerprint, Known, Hash> known_;
  std::size_t merges_ = 0;
  std::size_t depth_ = 0;
};

void Search::fail(const std::string& what) {
  report_.violation = what;
  report_.path = trail_;
  auto story = replay(scenario_, budget_, report_.path);
  report_.story = story ? *story : story.error().message;
}

void Search::run_on(const PairState& state) {
  ++report_.quiet;
  PairState after = state;
  const auto took = after.run_until_whole(budget_.whole_within);
  if (!took) {
    const std::string fault = after.unwhole().empty() ? after.violation() : after.unwhole();
    return fail(
        fmt::format("{:.0f} s after all was quiet: {}", seconds(budget_.whole_within), fault));
  }
  if (*took <= report_.slowest) return;
  report_.slowest = *took;
  report_.slowest_path = trail_;
}

std::uint64_t Search::successors(const PairState& state) const {
  std::uint64_t digest = 0;
  for (const Step& step : state.steps()) {
    PairState next = state;
    next.take(step);
    const Fingerprint f = fingerprint(next);
    digest += (f.a ^ f.b * 3) | 1;
  }
  return digest;
}

void Search::check_merge(const PairState& state, const Fingerprint& known) {
  if (budget_.check_merges == 0 || ++merges_ % budget_.check_merges != 0) return;
  if (successors(state) != known_.at(known).successors) {
    fail(
        "a state that looks like one seen before does not go on like it: its fingerprint lacks "
        "something. The steps to the other: " +
        known_.at(known).trail);
  }
}

void Search::visit(const PairState& state) {
  const Fingerprint print = fingerprint(state);
  if (!seen_.insert(print).second) return check_merge(state, print);
  if (budget_.check_merges != 0) known_[print] = {successors(state), trail_};
  ++report_.states;
  report_.deepest = std::max(report_.deepest, depth_);
  if (report_.states >= budget_.states_max) report_.exhaustive = false;
  if (std::string what = state.violation(); !what.empty()) return fail(what);
  if (state.quiet()) run_on(state);
  for (const Step& step : state.steps()) {
    if (stop()) return;
    ++depth_;
    const std::size_t length = trail_.size();
    trail_ += (length == 0 ? "" : " ") + step.token();
    ++report_.transitions;
    PairState next = state;
    next.take(step);
    visit(next);
    trail_.resize(length);
    --depth_;
  }
}

bool matters(Act a, Act b) { return a == b && (a == Act::kRekeyChild || a == Act::kRekeyIke); }

}  // namespace

Report explore(const Scenario& scenario, const Budget& budget, std::string* trail) {
  return Search(scenario, budget, trail).run();
}

Result<std::string> replay(const Scenario& scenario, const Budget& budget,
                           const std::string& path) {
  PairState state(scenario, budget);
  state.keep_log();
  std::string story;
  std::size_t at = 0;
  while (at < path.size()) {
    const std::size_t space = std::min(path.find(' ', at), path.size());
    const std::string token = path.substr(at, space - at);
    at = space + 1;
    std::optional<Step> found;
    for (const Step& step : state.steps()) {
      if (step.token() == token) found = step;
    }
    if (!found) {
      return make_error(ErrorCode::kInvalidArgument,
                        fmt::format("the step '{}' is not possible there", token));
    }
    story += fmt::format("{:9.3f} s  {}\n", seconds(state.now().time_since_epoch()),
                         state.describe(*found));
    state.take(*found);
    for (const std::string& line : state.take_log()) story += line + "\n";
  }
  const std::string now = state.violation();
  if (now.empty() && state.quiet()) {
    story += "           then, without faults:\n";
    static_cast<void>(state.run_until_whole(budget.whole_within).has_value());
    for (const std::string& line : state.take_log()) story += line + "\n";
  }
  return story;
}

std::vector<Scenario> all_scenarios() {
  static constexpr std::array<Act, 4> kActs{Act::kRekeyChild, Act::kRekeyIke, Act::kDeleteChild,
                                            Act::kCloseIke};
  const auto acts = [](Act act) {
    return act == Act::kCloseIke ? std::vector<Act>{act, Act::kOpenIke} : std::vector<Act>{act};
  };
  const auto keeps = [](Act act) { return act == Act::kRekeyChild || act == Act::kRekeyIke; };
  std::vector<Scenario> all;
  all.push_back({"start", false, {{{Act::kStart}, {Act::kStart}}}, false, true});
  for (const Act act : kActs) {
    for (std::size_t who = 0; who < 2; ++who) {
      Scenario one;
      one.name = fmt::format("{} by {}", name(act), who == 0 ? "bender" : "flexo");
      one.acts[who] = acts(act);
      one.keeps_traffic = keeps(act);
      all.push_back(std::move(one));
    }
  }
  for (const Act a : kActs) {
    for (const Act b : kActs) {
      for (const bool fall : {false, true}) {
        if (fall && !matters(a, b)) continue;
        Scenario two;
        two.name = fmt::format("{} against {}{}", name(a), name(b), fall ? ", nonces fall" : "");
        two.acts = {acts(a), acts(b)};
        two.nonces_fall = fall;
        two.keeps_traffic = keeps(a) && keeps(b);
        all.push_back(std::move(two));
      }
    }
  }
  return all;
}

}  // namespace espalier::sim
