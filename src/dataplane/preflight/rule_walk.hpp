// A packet's way through chains of rules. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "dataplane/preflight/firewall.hpp"

namespace espalier::dataplane::preflight {

enum class Match : std::uint8_t { kNo, kMaybe, kYes };
inline Match both(Match a, Match b) { return a < b ? a : b; }

struct Rule {
  enum class Verdict : std::uint8_t { kNone, kAccept, kDrop, kReturn, kJump, kGoto };
  Match match = Match::kYes;
  Verdict verdict = Verdict::kNone;
  std::string target;  // of a jump
  std::string text;
};

struct Chain {
  std::string name;  // for messages: "input of table inet filter"
  std::vector<Rule> rules;
  bool base = false;   // packets to this host enter here
  bool drops = false;  // its policy
};

// By a name that jumps use.
using Chains = std::map<std::string, Chain>;

// Through every base chain: a packet passes when all let it.
Judgement walk(const Chains& chains);

}  // namespace espalier::dataplane::preflight
