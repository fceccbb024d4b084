// Policies in the kernel's words: a PolicySpec is one kernel policy for each pair of prefixes and
// each direction. Pure: octets in, octets out.
#pragma once

#include <linux/xfrm.h>

#include <set>

#include "dataplane/netlink.hpp"
#include "dataplane/port.hpp"

namespace espalier::dataplane::kernel {

// Priorities of ours (smaller wins): exceptions first, then protection, the more specific selector
// before the less specific. Other programs' are not in this band (ARCHITECTURE.md).
inline constexpr std::uint32_t kPriorityFirst = 0xE500;
inline constexpr std::uint32_t kPriorityLast = 0xEB80;
inline constexpr std::uint32_t kPriorityOutside = kPriorityFirst;           // always_outside()
inline constexpr std::uint32_t kPriorityException = kPriorityFirst + 0x80;  // `except`
inline bool is_our_priority(std::uint32_t priority) {
  return priority >= kPriorityFirst && priority <= kPriorityLast;
}

enum class PolicyDirection : std::uint8_t {
  kIn = XFRM_POLICY_IN,
  kOut = XFRM_POLICY_OUT,
  kForward = XFRM_POLICY_FWD
};
std::string_view name(PolicyDirection direction);  // "in", "out", "fwd"

// What makes a policy the same one for the kernel.
struct PolicyKey {
  PolicyDirection direction = PolicyDirection::kOut;
  std::uint16_t family = 0;  // AF_INET, AF_INET6
  Prefix source, destination;
  std::uint8_t protocol = 0;
  std::uint16_t source_port = 0, source_mask = 0, destination_port = 0, destination_mask = 0;
  std::uint32_t if_id = 0;                // 0: packets of no xfrm interface
  std::uint32_t mark = 0, mark_mask = 0;  // mask 0: whatever mark they have
  friend auto operator<=>(const PolicyKey&, const PolicyKey&) = default;
  std::string text() const;  // "out 192.0.2.1/32 to 192.0.2.2/32"
};

// The kernel policies of a spec: out (but for `inbound_only`) and in for each pair of prefixes of
// one family, and fwd in tunnel mode, with what binds each direction; a range of ports is several.
// Errors: kUnsupported for ICMP types and opaque ports.
Result<std::set<PolicyKey>> expand(const PolicySpec& policy);

// XFRM_MSG_NEWPOLICY or XFRM_MSG_UPDPOLICY (which makes one when there is none).
void put_policy(NetlinkMessage& message, const PolicyKey& key, const PolicySpec& policy);
// XFRM_MSG_DELPOLICY.
void put_policy_id(NetlinkMessage& message, const PolicyKey& key);

struct KernelPolicy {
  PolicyKey key;
  std::uint32_t priority = 0;
  bool allow = true;
  std::uint32_t reqid = 0;  // of its template; 0 without one
  policy::Mode mode = policy::Mode::kTunnel;
  IpAddress source, destination;  // the template's
  // What ours never are, and what somebody may have made of one: several templates, an optional
  // one, flags, limits of its lifetime.
  bool odd = false;
  friend bool operator==(const KernelPolicy&, const KernelPolicy&) = default;
};
// Nothing for what is about one device, or no IP.
std::optional<KernelPolicy> parse_policy(const nlmsghdr& header);
// XFRM_MSG_NEWPOLICY, UPDPOLICY and DELPOLICY as the group hears them.
std::optional<KernelPolicy> parse_policy_change(const nlmsghdr& header);

// A policy of one socket, as the IKE sockets have.
bool is_of_a_socket(const nlmsghdr& header);

// What the kernel is to have for a key: `policy` is who has it; null: an exception.
KernelPolicy expected_policy(const PolicyKey& key, const PolicySpec* policy);

}  // namespace espalier::dataplane::kernel
