#include "dataplane/preflight/rule_walk.hpp"

namespace espalier::dataplane::preflight {
namespace {

// iptables refuses loops, and nft chains deeper than 16.
constexpr int kMaxDepth = 16;

class Walk {
 public:
  explicit Walk(const Chains& chains) : chains_(chains) {}

  Judgement of_base(const Chain& chain) {
    maybe_accepted_ = false;
    const End end = through(chain, 0);
    if (end == End::kAccepted) return {};
    const bool dropped = end == End::kDropped || chain.drops;
    if (!dropped) return {};
    if (end != End::kDropped) where_ = "the policy of chain " + chain.name;
    return {maybe_accepted_ ? Fate::kUnclear : Fate::kDropped, where_};
  }

 private:
  enum class End : std::uint8_t { kThrough, kAccepted, kDropped };

  // A rule that may match and accepts keeps a later drop from being certain; one that may match and
  // drops is somebody else's affair, as far as can be seen.
  End through(const Chain& chain, int depth) {
    for (const Rule& rule : chain.rules) {
      if (rule.match == Match::kNo) continue;
      const bool sure = rule.match == Match::kYes;
      switch (rule.verdict) {
        case Rule::Verdict::kNone: break;
        case Rule::Verdict::kAccept:
          if (sure) return End::kAccepted;
          maybe_accepted_ = true;
          break;
        case Rule::Verdict::kDrop:
          if (!sure) break;
          where_ = "the rule '" + rule.text + "' of chain " + chain.name;
          return End::kDropped;
        case Rule::Verdict::kReturn:
          if (sure) return End::kThrough;
          break;
        case Rule::Verdict::kJump:
        case Rule::Verdict::kGoto: {
          const auto target = chains_.find(rule.target);
          if (target == chains_.end() || depth >= kMaxDepth) break;
          const End end = through(target->second, depth + 1);
          if (!sure) {
            if (end == End::kAccepted) maybe_accepted_ = true;
            break;
          }
          if (end != End::kThrough) return end;
          if (rule.verdict == Rule::Verdict::kGoto) return End::kThrough;
          break;
        }
      }
    }
    return End::kThrough;
  }

  const Chains& chains_;
  bool maybe_accepted_ = false;
  std::string where_;
};

}  // namespace

Judgement walk(const Chains& chains) {
  Judgement worst;
  for (const auto& [name, chain] : chains) {
    if (!chain.base) continue;
    Judgement one = Walk(chains).of_base(chain);
    if (one.fate > worst.fate) worst = std::move(one);
  }
  return worst;
}

}  // namespace espalier::dataplane::preflight
