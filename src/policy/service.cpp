#include "policy/service.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace espalier::policy {
namespace {

struct ProtocolWord {
  std::string_view word;
  std::uint8_t number;
};
// The first word of a number is the one that is printed.
constexpr auto kProtocols = std::to_array<ProtocolWord>({
    {"any", 0},
    {"icmp", kProtocolIcmp},
    {"ipip", 4},
    {"tcp", kProtocolTcp},
    {"udp", kProtocolUdp},
    {"dccp", 33},
    {"ipv6", 41},
    {"gre", 47},
    {"esp", 50},
    {"ah", 51},
    {"icmpv6", kProtocolIcmp6},
    {"ipv6-icmp", kProtocolIcmp6},
    {"ospf", 89},
    {"vrrp", 112},
    {"l2tp", 115},
    {"sctp", 132},
    {"udplite", 136},
});

Service port(std::uint8_t protocol, std::uint16_t number) { return {protocol, number, number}; }
Service protocol(std::uint8_t number) { return {number}; }

}  // namespace

bool has_ports(std::uint8_t protocol) {
  constexpr std::array<std::uint8_t, 5> kWithPorts = {kProtocolTcp, kProtocolUdp, 33, 132, 136};
  return std::find(kWithPorts.begin(), kWithPorts.end(), protocol) != kWithPorts.end();
}

Service flipped(Service service) {
  if (service.side != Side::kEither) {
    service.side = service.side == Side::kLocal ? Side::kRemote : Side::kLocal;
  }
  return service;
}

std::string protocol_word(std::uint8_t protocol) {
  const auto found = std::find_if(kProtocols.begin(), kProtocols.end(),
                                  [&](const auto& row) { return row.number == protocol; });
  return found == kProtocols.end() ? std::to_string(protocol) : std::string(found->word);
}

std::optional<std::uint8_t> parse_protocol(std::string_view text) {
  for (const ProtocolWord& row : kProtocols) {
    if (row.word == text) return row.number;
  }
  unsigned number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1 || number > 255) {
    return std::nullopt;
  }
  return static_cast<std::uint8_t>(number);
}

std::string to_string(const Service& service) {
  std::string text = protocol_word(service.protocol);
  if (!service.any_port()) {
    text += "/" + std::to_string(service.first_port);
    if (service.last_port != service.first_port) text += "-" + std::to_string(service.last_port);
    if (service.side == Side::kLocal) text += " of this host";
    if (service.side == Side::kRemote) text += " of the peer";
    if (service.side == Side::kEither) text += " at either end";
  }
  if (service.net) text += " within " + service.net->to_string();
  return text;
}

const std::vector<ServiceWord>& service_words() {
  constexpr std::uint8_t kUdp = kProtocolUdp, kTcp = kProtocolTcp;
  // Ports as IANA or the programs' own documentation have them.
  static const std::vector<ServiceWord> kWords = {
      {"ssh", "tcp 22", {port(kTcp, 22)}},
      {"icmp", "ICMP and ICMPv6", {protocol(kProtocolIcmp)}},
      {"openvpn", "udp and tcp 1194", {port(kUdp, 1194), port(kTcp, 1194)}, true},
      {"wireguard", "udp 51820", {port(kUdp, 51820)}, true},
      {"tinc", "udp and tcp 655", {port(kUdp, 655), port(kTcp, 655)}, true},
      {"n2n", "udp 7654", {port(kUdp, 7654)}, true},
      {"nebula", "udp 4242", {port(kUdp, 4242)}, true},
      {"zerotier", "udp 9993", {port(kUdp, 9993)}, true},
      {"tailscale", "udp 41641", {port(kUdp, 41641)}, true},
      {"l2tp", "udp 1701", {port(kUdp, 1701)}, true},
      {"vxlan", "udp 4789", {port(kUdp, 4789)}, true},
      {"gre", "protocol 47", {protocol(47)}, true},
      {"ipip", "protocols 4 and 41", {protocol(4), protocol(41)}, true},
      {"ipsec",
       "ESP, AH, udp 500 and 4500",
       {protocol(50), protocol(51), port(kUdp, 500), port(kUdp, 4500)},
       true},
  };
  return kWords;
}

const ServiceWord* find_service_word(std::string_view word) {
  const auto& words = service_words();
  const auto found =
      std::find_if(words.begin(), words.end(), [&](const auto& one) { return one.word == word; });
  return found == words.end() ? nullptr : &*found;
}

}  // namespace espalier::policy
