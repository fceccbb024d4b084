#include "dataplane/kernel/exceptions.hpp"

#include <netinet/in.h>

#include <initializer_list>

namespace espalier::dataplane::kernel {
namespace {

using D = PolicyDirection;
using Ports = std::pair<std::uint16_t, std::uint16_t>;

class List {
 public:
  // The kernel has an ICMP type where the source port of others stands, and the code where the
  // destination port does.
  void icmp(Family family, std::uint16_t type, PortBlock code = {}) {
    const std::uint8_t protocol = family == Family::kIpv4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
    for (const D direction : {D::kIn, D::kOut, D::kForward}) {
      add(direction, family, protocol, {type, 0xFFFF}, code);
    }
  }
  void udp(Family family, std::uint16_t from, std::uint16_t to) {
    for (const D direction : {D::kIn, D::kOut}) {
      add(direction, family, IPPROTO_UDP, {from, 0xFFFF}, {to, 0xFFFF});
    }
  }
  void esp(Family family) { add(D::kIn, family, IPPROTO_ESP, {}, {}); }
  std::vector<PolicyKey> take() { return std::move(keys_); }

 private:
  void add(D direction, Family family, std::uint8_t protocol, PortBlock from, PortBlock to) {
    const Prefix any = Prefix::make(IpAddress::any(family), 0).value();
    keys_.push_back({direction,
                     static_cast<std::uint16_t>(family == Family::kIpv4 ? AF_INET : AF_INET6), any,
                     any, protocol, from.port, from.mask, to.port, to.mask});
  }
  std::vector<PolicyKey> keys_;
};

std::vector<PolicyKey> make_always_outside() {
  List list;
  // RFC 4861 section 4: router solicitation to redirect.
  for (std::uint16_t type = 133; type <= 137; ++type) list.icmp(Family::kIpv6, type);
  // RFC 2710 section 3 and RFC 3810 section 5: query, reports, done.
  for (std::uint16_t type = 130; type <= 132; ++type) list.icmp(Family::kIpv6, type);
  list.icmp(Family::kIpv6, 143);
  list.icmp(Family::kIpv6, 2);               // RFC 4443 section 3.2: packet too big
  list.icmp(Family::kIpv4, 3, {4, 0xFFFF});  // RFC 792: fragmentation needed
  for (const auto& [from, to] : {Ports{67, 67}, {67, 68}, {68, 67}}) {
    list.udp(Family::kIpv4, from, to);
  }
  for (const auto& [from, to] : {Ports{546, 547}, {547, 546}, {547, 547}}) {
    list.udp(Family::kIpv6, from, to);
  }
  for (const Family family : {Family::kIpv4, Family::kIpv6}) list.esp(family);
  return list.take();
}

}  // namespace

const std::vector<PolicyKey>& always_outside() {
  static const std::vector<PolicyKey> kKeys = make_always_outside();
  return kKeys;
}

std::vector<PortBlock> port_blocks(std::uint16_t first, std::uint16_t last) {
  if (first == 0 && last == 65535) return {PortBlock{}};
  std::vector<PortBlock> blocks;
  for (std::uint32_t at = first; at <= last;) {
    std::uint32_t size = 1;
    while (at % (size * 2) == 0 && at + size * 2 - 1 <= last) size *= 2;
    blocks.push_back(
        {static_cast<std::uint16_t>(at), static_cast<std::uint16_t>(~(size - 1) & 0xFFFF)});
    at += size;
  }
  return blocks;
}

}  // namespace espalier::dataplane::kernel
