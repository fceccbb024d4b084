// Traffic named by protocol, port and network: what stays outside IPsec (mesh.yaml `except`), or
// what alone may pass inside it (`only`).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.hpp"

namespace espalier::policy {

// IANA protocol numbers.
inline constexpr std::uint8_t kProtocolIcmp = 1;
inline constexpr std::uint8_t kProtocolTcp = 6;
inline constexpr std::uint8_t kProtocolUdp = 17;
inline constexpr std::uint8_t kProtocolIcmp6 = 58;

// Whose port it is.
enum class Side : std::uint8_t { kEither, kLocal, kRemote };

struct Service {
  std::uint8_t protocol = 0;  // 0: any; kProtocolIcmp is ICMPv6 between IPv6 addresses
  std::uint16_t first_port = 0;
  std::uint16_t last_port = 65535;
  Side side = Side::kEither;
  std::optional<Prefix> net{};  // only where one end's address is in it
  bool any_port() const { return first_port == 0 && last_port == 65535; }
  friend auto operator<=>(const Service&, const Service&) = default;
};

// The same as the other end sees it.
Service flipped(Service service);
// "tcp/22 at either end", "udp/500-599 of the peer within 10.0.0.0/8", "icmp".
std::string to_string(const Service& service);

// The words of `except` and `only`: ssh, icmp, and old VPNs by name. Each is one or more services.
struct ServiceWord {
  std::string_view word;
  std::string_view what;  // for the documentation: "udp and tcp 1194"
  std::vector<Service> services;
  bool vpn = false;  // carries other packets: inside IPsec it would be protected twice
};
const std::vector<ServiceWord>& service_words();
const ServiceWord* find_service_word(std::string_view word);

// tcp, udp, icmp, ..., a number from 1 to 255, or any (0). Nothing: no protocol.
std::optional<std::uint8_t> parse_protocol(std::string_view text);
std::string protocol_word(std::uint8_t protocol);  // "tcp", "51"
bool has_ports(std::uint8_t protocol);             // TCP, UDP, UDP-Lite, SCTP, DCCP

}  // namespace espalier::policy
