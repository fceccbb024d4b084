// Rules as `nft list ruleset` prints them.
#include "dataplane/preflight/firewall.hpp"
#include "dataplane/preflight/rule_walk.hpp"
#include "dataplane/preflight/words.hpp"
#include "dataplane/userspace/ours.hpp"

namespace espalier::dataplane::preflight {
namespace {

using Words = std::vector<std::string>;

class RuleReader {
 public:
  RuleReader(const Words& words, const Probe& probe, const std::string& table)
      : words_(words), probe_(probe), table_(table) {}

  Rule read(std::string text) {
    rule_.text = std::move(text);
    while (at_ < words_.size()) one();
    return rule_;
  }

 private:
  bool next_is(std::string_view word) const { return at_ < words_.size() && words_[at_] == word; }
  std::string take() { return at_ < words_.size() ? words_[at_++] : std::string(); }
  void match(Match how) { rule_.match = both(rule_.match, how); }

  void one() {
    const std::string word = take();
    if (verdict(word) || statement(word)) return;
    if (word == "iif" || word == "iifname") return device();
    if (word == "ct" && next_is("state")) return state();
    if (word == "meta" && next_is("l4proto")) {
      take();
      return protocol();
    }
    if (word == "meta" && next_is("nfproto")) {
      take();
      return compare([&](std::string_view part) { return part == (probe_.v6 ? "ipv6" : "ipv4"); });
    }
    if (word == "ip" || word == "ip6") return address_family(word == "ip6");
    if (word == "udp" || word == "tcp" || word == "th" || word == "sctp") return ports(word);
    // "icmpv6 type ...", "esp spi ...": of one protocol.
    const bool digits = word.find_first_not_of("0123456789") == std::string::npos;
    const auto other = digits ? std::nullopt : policy::parse_protocol(word);
    if (other && *other != probe_.protocol) return match(Match::kNo);
    match(Match::kMaybe);  // whatever it and what follows say
  }

  bool verdict(const std::string& word) {
    using Verdict = Rule::Verdict;
    if (word == "accept") {
      rule_.verdict = Verdict::kAccept;
    } else if (word == "drop" || word == "reject") {
      rule_.verdict = Verdict::kDrop;
      at_ = words_.size();  // reject with ...
    } else if (word == "return") {
      rule_.verdict = Verdict::kReturn;
    } else if (word == "jump" || word == "goto") {
      rule_.verdict = word == "jump" ? Verdict::kJump : Verdict::kGoto;
      rule_.target = table_ + " " + take();
    } else {
      return false;
    }
    return true;
  }

  // What a rule does beside its verdict.
  bool statement(const std::string& word) {
    if (word == "comment") {
      take();
    } else if (word == "counter") {
      if (next_is("name")) {
        at_ += 2;
      } else if (next_is("packets")) {
        at_ += 4;
      }
    } else if (word == "log") {
      while (next_is("prefix") || next_is("level") || next_is("group") || next_is("flags"))
        at_ += 2;
    } else {
      return false;
    }
    return true;
  }

  template <class Is>
  void compare(Is is) {
    const bool inverted = next_is("!=");
    if (inverted) take();
    const std::string value = take();
    if (!value.empty() && value[0] == '@') return match(Match::kMaybe);
    const std::vector<std::string> parts = split_set(value);
    const bool found = std::any_of(parts.begin(), parts.end(), is);
    match(found != inverted ? Match::kYes : Match::kNo);
  }

  void device() {
    const bool inverted = next_is("!=");
    if (inverted) take();
    const std::string name = take();
    const bool loopback = name == "\"lo\"" || name == "lo";
    match(!loopback ? Match::kMaybe : inverted ? Match::kYes : Match::kNo);
  }

  void state() {
    take();
    if (!next_is("vmap")) {
      return compare([](std::string_view part) { return part == "new" || part == "untracked"; });
    }
    take();
    // { established : accept, new : jump fresh }
    const std::vector<std::string> parts = split_set(take());
    for (std::size_t i = 0; i + 2 < parts.size(); ++i) {
      if (parts[i] != "new" || parts[i + 1] != ":") continue;
      verdict(parts[i + 2]);
      if (rule_.target == table_ + " " && i + 3 < parts.size()) {
        rule_.target = table_ + " " + parts[i + 3];
      }
      return;
    }
    match(Match::kNo);
  }

  void protocol() {
    compare([&](std::string_view part) { return policy::parse_protocol(part) == probe_.protocol; });
  }

  void address_family(bool v6) {
    if (v6 != probe_.v6) return match(Match::kNo);
    const std::string field = take();
    if (field == "protocol" || field == "nexthdr") return protocol();
    if (next_is("!=")) take();
    take();
    match(Match::kMaybe);
  }

  void ports(const std::string& word) {
    const bool udp = probe_.protocol == policy::kProtocolUdp;
    if (!udp || (word != "udp" && word != "th")) match(Match::kNo);
    if (take() == "dport") {
      return compare([&](std::string_view part) { return port_in(part, probe_.port); });
    }
    if (next_is("!=")) take();
    take();
    match(Match::kMaybe);
  }

  const Words& words_;
  const Probe& probe_;
  const std::string& table_;
  std::size_t at_ = 0;
  Rule rule_;
};

bool fits_family(std::string_view family, bool v6) {
  return family == "inet" || family == (v6 ? "ip6" : "ip");
}

// "type filter hook input priority filter; policy drop;"
void read_base(const Words& words, Chain& chain) {
  for (std::size_t i = 0; i + 1 < words.size(); ++i) {
    if (words[i] == "hook" && words[i + 1] == "input") chain.base = true;
    if (words[i] == "hook" && words[i + 1] == "prerouting") chain.base = true;
    if (words[i] == "policy" && words[i + 1] == "drop;") chain.drops = true;
  }
}

// Lines; an element list that nft broke off after a comma is one.
std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  std::string line;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view part = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    part.remove_prefix(std::min(part.find_first_not_of(" \t"), part.size()));
    line += (line.empty() ? "" : " ") + std::string(part);
    if (!line.empty() && line.back() == ',') continue;
    if (!line.empty()) lines.push_back(std::move(line));
    line.clear();
  }
  return lines;
}

}  // namespace

Judgement judge_nft(std::string_view ruleset, const Probe& probe) {
  Chains chains;
  std::string table;
  bool counts = false;  // the table's family and name
  Chain* chain = nullptr;
  int depth = 0;
  const std::string own = std::string("inet ") + std::string(userspace::kNftTable);
  for (const std::string& line : lines_of(ruleset)) {
    const Words words = split_words(line);
    if (line.back() == '{' || (words.size() > 2 && words.back() == "{")) {
      ++depth;
      if (words[0] == "table" && words.size() >= 3) {
        table = words[1] + " " + words[2];
        counts = fits_family(words[1], probe.v6) && table != own;
      } else if (words[0] == "chain" && counts && words.size() >= 2) {
        chain = &chains[table + " " + words[1]];
        chain->name = words[1] + " of table " + table;
      }
      continue;
    }
    if (line == "}") {
      --depth;
      chain = nullptr;
      continue;
    }
    if (chain == nullptr || depth != 2) continue;
    if (words[0] == "type") {
      read_base(words, *chain);
    } else {
      chain->rules.push_back(RuleReader(words, probe, table).read(line));
    }
  }
  return walk(chains);
}

}  // namespace espalier::dataplane::preflight
