#include "dataplane/kernel/xfrm_policy.hpp"

#include <fmt/format.h>
#include <netinet/in.h>

#include "dataplane/kernel/exceptions.hpp"
#include "dataplane/kernel/xfrm_sa.hpp"
#include "policy/selectors.hpp"

namespace espalier::dataplane::kernel {
namespace {

bool is_icmp(std::uint8_t protocol) {
  return protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6;
}

Result<std::vector<PortBlock>> ports_of(const PolicySpec& policy,
                                        const policy::TrafficSelector& selector) {
  const bool any = selector.start_port == 0 && selector.end_port == 65535;
  if (!any && (selector.end_port < selector.start_port || is_icmp(selector.protocol))) {
    return make_error(
        ErrorCode::kUnsupported,
        fmt::format("Pair {}: the selector {} cannot be a kernel policy: ICMP types and opaque "
                    "ports are not supported.",
                    policy.pair, policy::to_string(selector)));
  }
  return port_blocks(selector.start_port, selector.end_port);
}

// The key of one direction: from `from` to `to`.
PolicyKey make_key(PolicyDirection direction, const Prefix& from, PortBlock from_ports,
                   const Prefix& to, PortBlock to_ports, std::uint8_t protocol) {
  return {direction,
          static_cast<std::uint16_t>(from.ip.is_v4() ? AF_INET : AF_INET6),
          from,
          to,
          protocol,
          from_ports.port,
          from_ports.mask,
          to_ports.port,
          to_ports.mask};
}

PolicyKey bound(PolicyKey key, const policy::Binding& binding) {
  const bool out = key.direction == PolicyDirection::kOut;
  key.if_id = out ? binding.if_id_out : binding.if_id_in;
  if (const auto& mark = out ? binding.mark_out : binding.mark_in) {
    key.mark = mark->value;
    key.mark_mask = mark->mask;
  }
  return key;
}

Status add_pair(const PolicySpec& policy, const policy::TrafficSelector& local,
                const policy::TrafficSelector& remote, std::set<PolicyKey>& keys) {
  if (local.start.is_v4() != remote.start.is_v4()) return {};
  if (local.protocol != 0 && remote.protocol != 0 && local.protocol != remote.protocol) return {};
  const std::uint8_t protocol = local.protocol != 0 ? local.protocol : remote.protocol;
  TRY_ASSIGN(const std::vector<PortBlock> own_ports, ports_of(policy, local));
  TRY_ASSIGN(const std::vector<PortBlock> peer_ports, ports_of(policy, remote));
  const auto insert = [&](const PolicyKey& key) { keys.insert(bound(key, policy.binding)); };
  const auto add = [&](const Prefix& own, const Prefix& peer) {
    for (const PortBlock here : own_ports) {
      for (const PortBlock there : peer_ports) {
        if (!policy.inbound_only) {
          insert(make_key(PolicyDirection::kOut, own, here, peer, there, protocol));
        }
        insert(make_key(PolicyDirection::kIn, peer, there, own, here, protocol));
        if (policy.mode == policy::Mode::kTunnel || policy.closed) {
          insert(make_key(PolicyDirection::kForward, peer, there, own, here, protocol));
        }
      }
    }
  };
  for (const Prefix& own : policy::to_prefixes(local)) {
    for (const Prefix& peer : policy::to_prefixes(remote)) add(own, peer);
  }
  return {};
}

xfrm_selector to_selector(const PolicyKey& key) {
  xfrm_selector selector{};
  selector.saddr = to_kernel(key.source.ip);
  selector.daddr = to_kernel(key.destination.ip);
  selector.prefixlen_s = static_cast<std::uint8_t>(key.source.length);
  selector.prefixlen_d = static_cast<std::uint8_t>(key.destination.length);
  selector.family = key.family;
  selector.proto = key.protocol;
  selector.sport = htons(key.source_port);
  selector.sport_mask = htons(key.source_mask);
  selector.dport = htons(key.destination_port);
  selector.dport_mask = htons(key.destination_mask);
  return selector;
}

// The longer the prefixes, the smaller: 5 for each bit of them, at most 1,280, and 1 each for
// protocol, ports and a mark (which a policy without one fits as well).
std::uint32_t priority_of(const PolicyKey& key) {
  const std::uint32_t bits = static_cast<std::uint32_t>(key.source.length + key.destination.length);
  const std::uint32_t narrow = (key.protocol != 0 ? 1u : 0u) + (key.source_mask != 0 ? 1u : 0u) +
                               (key.destination_mask != 0 ? 1u : 0u) +
                               (key.mark_mask != 0 ? 1u : 0u);
  return kPriorityLast - 5 * bits - narrow;
}

xfrm_user_tmpl to_template(const PolicyKey& key, const PolicySpec& policy) {
  xfrm_user_tmpl tmpl{};
  const bool out = key.direction == PolicyDirection::kOut;
  tmpl.id.proto = IPPROTO_ESP;
  tmpl.reqid = policy.reqid.value;
  tmpl.aalgos = tmpl.ealgos = tmpl.calgos = ~0u;
  tmpl.family = key.family;
  // The kernel refuses this on the way out in tunnel mode, and there it would let packets past an
  // SA that is just missing.
  tmpl.optional = policy.optional && !out ? 1 : 0;
  if (policy.mode == policy::Mode::kTransport) {
    tmpl.mode = XFRM_MODE_TRANSPORT;
    return tmpl;  // the addresses are the packet's own
  }
  tmpl.mode = XFRM_MODE_TUNNEL;
  tmpl.family = policy.local.is_v4() ? AF_INET : AF_INET6;
  tmpl.saddr = to_kernel(out ? policy.local : policy.remote);
  tmpl.id.daddr = to_kernel(out ? policy.remote : policy.local);
  return tmpl;
}

Result<Prefix> prefix_of(const xfrm_address_t& address, std::uint16_t family, unsigned length) {
  return Prefix::make(from_kernel(address, family), length);
}

}  // namespace

std::string_view name(PolicyDirection direction) {
  switch (direction) {
    case PolicyDirection::kIn: return "in";
    case PolicyDirection::kOut: return "out";
    case PolicyDirection::kForward: return "fwd";
  }
  return "";
}

std::string PolicyKey::text() const {
  std::string out =
      fmt::format("{} {} to {}", name(direction), source.to_string(), destination.to_string());
  if (protocol != 0) out += fmt::format(", protocol {}", protocol);
  if (source_mask != 0) out += fmt::format(", from port {}/{:#x}", source_port, source_mask);
  if (destination_mask != 0)
    out += fmt::format(", to port {}/{:#x}", destination_port, destination_mask);
  if (if_id != 0) out += fmt::format(", if_id {}", if_id);
  if (mark_mask != 0) out += fmt::format(", mark {:#x}/{:#x}", mark, mark_mask);
  return out;
}

Result<std::set<PolicyKey>> expand(const PolicySpec& policy) {
  std::set<PolicyKey> keys;
  for (const policy::TrafficSelector& local : policy.local_ts) {
    for (const policy::TrafficSelector& remote : policy.remote_ts) {
      TRY(add_pair(policy, local, remote, keys));
    }
  }
  return keys;
}

namespace {

void put_binding(NetlinkMessage& message, const PolicyKey& key) {
  if (key.if_id != 0) message.put_u32(XFRMA_IF_ID, key.if_id);
  if (key.mark_mask != 0) put_mark(message, policy::Mark{key.mark, key.mark_mask});
}

xfrm_userpolicy_info& put_head(NetlinkMessage& message, const PolicyKey& key,
                               std::uint32_t priority) {
  auto& info = message.body<xfrm_userpolicy_info>();
  info.sel = to_selector(key);
  info.lft.soft_byte_limit = info.lft.hard_byte_limit = XFRM_INF;
  info.lft.soft_packet_limit = info.lft.hard_packet_limit = XFRM_INF;
  info.priority = priority;
  info.dir = static_cast<std::uint8_t>(key.direction);
  info.action = XFRM_POLICY_ALLOW;
  put_binding(message, key);
  return info;
}

}  // namespace

void put_policy(NetlinkMessage& message, const PolicyKey& key, const PolicySpec& policy) {
  auto& info = put_head(message, key, policy.clear ? kPriorityException : priority_of(key));
  if (policy.clear) return;
  // A template that no SA ever fits drops packets as well as blocking them does, but lets connect()
  // pass.
  const bool lets_connect = policy.connects && key.direction == PolicyDirection::kOut;
  const bool traps = policy.trap && key.direction == PolicyDirection::kOut;
  if (policy.closed && !traps && !lets_connect) {
    info.action = XFRM_POLICY_BLOCK;
  } else if (policy.closed && !traps) {
    PolicySpec none = policy;
    none.mode = policy::Mode::kTransport;
    message.put_struct(XFRMA_TMPL, to_template(key, none));
  } else {
    message.put_struct(XFRMA_TMPL, to_template(key, policy));
  }
}

void put_exception(NetlinkMessage& message, const PolicyKey& key) {
  put_head(message, key, kPriorityOutside);
}

void put_policy_id(NetlinkMessage& message, const PolicyKey& key) {
  auto& id = message.body<xfrm_userpolicy_id>();
  id.sel = to_selector(key);
  id.dir = static_cast<std::uint8_t>(key.direction);
  put_binding(message, key);
}

namespace {

void read_templates(const Attributes& all, KernelPolicy& policy) {
  const auto tmpl = all.find(XFRMA_TMPL);
  if (tmpl == all.end()) return;
  const std::size_t size = mnl_attr_get_payload_len(tmpl->second);
  if (size < sizeof(xfrm_user_tmpl)) return;
  xfrm_user_tmpl first;
  std::memcpy(&first, mnl_attr_get_payload(tmpl->second), sizeof first);
  policy.reqid = first.reqid;
  policy.mode =
      first.mode == XFRM_MODE_TRANSPORT ? policy::Mode::kTransport : policy::Mode::kTunnel;
  policy.source = from_kernel(first.saddr, first.family);
  policy.destination = from_kernel(first.id.daddr, first.family);
  policy.odd = policy.odd || size > sizeof first || first.optional != 0 ||
               first.id.proto != IPPROTO_ESP || first.id.spi != 0 ||
               (first.mode != XFRM_MODE_TRANSPORT && first.mode != XFRM_MODE_TUNNEL);
}

bool is_limited(const xfrm_lifetime_cfg& life) {
  return life.hard_byte_limit != XFRM_INF || life.hard_packet_limit != XFRM_INF ||
         life.hard_add_expires_seconds != 0 || life.hard_use_expires_seconds != 0;
}

std::optional<KernelPolicy> read_policy(const xfrm_userpolicy_info& info, const Attributes& all) {
  const bool plain = info.dir <= XFRM_POLICY_FWD && info.sel.ifindex == 0 &&
                     (info.sel.family == AF_INET || info.sel.family == AF_INET6);
  if (!plain) return std::nullopt;
  const auto source = prefix_of(info.sel.saddr, info.sel.family, info.sel.prefixlen_s);
  const auto destination = prefix_of(info.sel.daddr, info.sel.family, info.sel.prefixlen_d);
  if (!source || !destination) return std::nullopt;
  KernelPolicy policy;
  policy.key = {static_cast<PolicyDirection>(info.dir),
                info.sel.family,
                *source,
                *destination,
                info.sel.proto,
                ntohs(info.sel.sport),
                ntohs(info.sel.sport_mask),
                ntohs(info.sel.dport),
                ntohs(info.sel.dport_mask),
                read_if_id(all)};
  if (const auto mark = read_mark(all)) {
    policy.key.mark = mark->value;
    policy.key.mark_mask = mark->mask;
  }
  policy.priority = info.priority;
  policy.allow = info.action == XFRM_POLICY_ALLOW;
  policy.odd = info.flags != 0 || is_limited(info.lft);
  read_templates(all, policy);
  return policy;
}

}  // namespace

std::optional<KernelPolicy> parse_policy(const nlmsghdr& header) {
  if (mnl_nlmsg_get_payload_len(&header) < sizeof(xfrm_userpolicy_info)) return std::nullopt;
  xfrm_userpolicy_info info;
  std::memcpy(&info, mnl_nlmsg_get_payload(&header), sizeof info);
  return read_policy(info, attributes(header, sizeof info));
}

std::optional<KernelPolicy> parse_policy_change(const nlmsghdr& header) {
  if (header.nlmsg_type != XFRM_MSG_DELPOLICY) return parse_policy(header);
  const Attributes all = attributes(header, sizeof(xfrm_userpolicy_id));
  const auto inner = all.find(XFRMA_POLICY);
  xfrm_userpolicy_info info;
  if (inner == all.end() || mnl_attr_get_payload_len(inner->second) < sizeof info) {
    return std::nullopt;
  }
  std::memcpy(&info, mnl_attr_get_payload(inner->second), sizeof info);
  return read_policy(info, all);
}

bool is_of_a_socket(const nlmsghdr& header) {
  if (mnl_nlmsg_get_payload_len(&header) < sizeof(xfrm_userpolicy_info)) return false;
  xfrm_userpolicy_info info;
  std::memcpy(&info, mnl_nlmsg_get_payload(&header), sizeof info);
  return info.dir > XFRM_POLICY_FWD;
}

KernelPolicy expected_policy(const PolicyKey& key, const PolicySpec* policy) {
  NetlinkMessage message(XFRM_MSG_UPDPOLICY, 0);
  if (policy == nullptr) {
    put_exception(message, key);
  } else {
    put_policy(message, key, *policy);
  }
  return *parse_policy(*message.header());
}

}  // namespace espalier::dataplane::kernel
