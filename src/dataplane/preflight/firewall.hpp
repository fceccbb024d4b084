// Whether a host's firewall lets IKE and ESP in: its rules as nft or iptables-save print them,
// walked with a packet in mind. Pure. What a rule's words mean beyond the usual ones is not guessed
// at: such a rule may match or not.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace espalier::dataplane::preflight {

struct Probe {
  std::uint8_t protocol = 17;
  std::uint16_t port = 0;  // destination, of UDP
  bool v6 = false;
};

enum class Fate : std::uint8_t {
  kPasses,
  kUnclear,  // a rule that may match lets it in before one that would not
  kDropped,
};
struct Judgement {
  Fate fate = Fate::kPasses;
  std::string where;  // "the policy of chain input of table inet filter", "rule ... of chain ..."
  friend bool operator==(const Judgement&, const Judgement&) = default;
};

// A packet to this host, the first of its kind, not by the loopback device. Our own table is left
// out.
Judgement judge_nft(std::string_view ruleset, const Probe& probe);
// Of iptables-save or ip6tables-save, table filter.
Judgement judge_iptables(std::string_view saved, const Probe& probe);

}  // namespace espalier::dataplane::preflight
