// Rules as iptables-save prints them.
#include <set>

#include "dataplane/preflight/firewall.hpp"
#include "dataplane/preflight/rule_walk.hpp"
#include "dataplane/preflight/words.hpp"

namespace espalier::dataplane::preflight {
namespace {

using Words = std::vector<std::string>;

class RuleReader {
 public:
  RuleReader(const Words& words, const Probe& probe) : words_(words), probe_(probe) {}

  // -A CHAIN ...
  Rule read(std::string text) {
    rule_.text = std::move(text);
    at_ = 2;
    while (at_ < words_.size()) one();
    return rule_;
  }

 private:
  std::string take() { return at_ < words_.size() ? words_[at_++] : std::string(); }
  void match(bool yes) {
    rule_.match = both(rule_.match, yes != inverted_ ? Match::kYes : Match::kNo);
  }
  void maybe() { rule_.match = both(rule_.match, Match::kMaybe); }

  void one() {
    std::string word = take();
    inverted_ = word == "!";
    if (inverted_) word = take();
    if (word == "-j" || word == "-g") return target(word == "-g");
    if (word == "-m") {
      // The name of a match whose words follow; one of these alone says nothing.
      static const std::set<std::string> kKnown = {"udp",   "tcp",       "multiport",
                                                   "state", "conntrack", "comment"};
      if (!kKnown.contains(take())) maybe();
      return;
    }
    if (word == "-p") {
      const std::string protocol = take();
      return match(protocol == "all" || policy::parse_protocol(protocol) == probe_.protocol);
    }
    if (word == "-i") {
      if (take() == "lo") return match(false);
      return maybe();
    }
    if (word == "--dport" || word == "--dports" || word == "--ports") return ports();
    if (word == "--state" || word == "--ctstate") {
      const auto parts = split_set(take());
      return match(std::any_of(parts.begin(), parts.end(), [](const std::string& part) {
        return part == "NEW" || part == "UNTRACKED";
      }));
    }
    if (word == "--comment") {
      take();
      return;
    }
    // An option that is not known, with its value.
    if (at_ < words_.size() && words_[at_][0] != '-') take();
    maybe();
  }

  void ports() {
    const auto parts = split_set(take());
    const bool udp = probe_.protocol == policy::kProtocolUdp;
    match(udp && std::any_of(parts.begin(), parts.end(),
                             [&](const std::string& part) { return port_in(part, probe_.port); }));
  }

  void target(bool is_goto) {
    using Verdict = Rule::Verdict;
    const std::string name = take();
    at_ = words_.size();  // its options
    if (name == "ACCEPT") {
      rule_.verdict = Verdict::kAccept;
    } else if (name == "DROP" || name == "REJECT") {
      rule_.verdict = Verdict::kDrop;
    } else if (name == "RETURN") {
      rule_.verdict = Verdict::kReturn;
    } else {
      // LOG, MARK and the like are no chains, and go on.
      rule_.verdict = is_goto ? Verdict::kGoto : Verdict::kJump;
      rule_.target = name;
    }
  }

  const Words& words_;
  const Probe& probe_;
  std::size_t at_ = 0;
  bool inverted_ = false;
  Rule rule_;
};

}  // namespace

Judgement judge_iptables(std::string_view saved, const Probe& probe) {
  Chains chains;
  bool filter = false;
  while (!saved.empty()) {
    const std::size_t end = std::min(saved.find('\n'), saved.size());
    const std::string line(saved.substr(0, end));
    saved.remove_prefix(std::min(end + 1, saved.size()));
    if (line.empty()) continue;
    if (line[0] == '*') filter = line == "*filter";
    if (!filter) continue;
    const Words words = split_words(line);
    if (line[0] == ':' && words.size() >= 2) {
      const std::string name = words[0].substr(1);
      Chain& chain = chains[name];
      chain.name = name + (probe.v6 ? " of ip6tables" : " of iptables");
      chain.base = name == "INPUT";
      chain.drops = words[1] == "DROP";
    } else if (words[0] == "-A" && words.size() >= 3) {
      chains[words[1]].rules.push_back(RuleReader(words, probe).read(line));
    }
  }
  return walk(chains);
}

}  // namespace espalier::dataplane::preflight
