// Addresses as values: IpAddress, SocketAddress (address and UDP port), Prefix.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.hpp"

namespace espalier {

enum class Family : std::uint8_t { kIpv4 = 4, kIpv6 = 6 };

class IpAddress {
 public:
  IpAddress() = default;  // 0.0.0.0
  static IpAddress v4(std::uint32_t host_order);
  static IpAddress any(Family family);
  // 4 or 16 octets in network order; any other size is an error.
  static Result<IpAddress> from_bytes(ByteView bytes);
  // "192.0.2.1", "2001:db8::1"; no zone, no port, no brackets.
  static Result<IpAddress> parse(std::string_view text);

  Family family() const { return family_; }
  bool is_v4() const { return family_ == Family::kIpv4; }
  bool is_v6() const { return family_ == Family::kIpv6; }
  bool is_unspecified() const;  // 0.0.0.0 or ::
  unsigned bits() const { return is_v4() ? 32 : 128; }
  ByteView bytes() const { return {octets_.data(), is_v4() ? 4u : 16u}; }  // network order
  std::uint32_t v4_host_order() const;                                     // is_v4()
  std::string to_string() const;
  // The address one above; wraps to zero after the last.
  IpAddress next() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

 private:
  Family family_ = Family::kIpv4;
  std::array<std::uint8_t, 16> octets_{};  // unused octets are zero
};

struct SocketAddress {
  IpAddress ip;
  std::uint16_t port = 0;
  std::string to_string() const;  // "192.0.2.1[4500]", as swanctl and charon print it
  friend auto operator<=>(const SocketAddress&, const SocketAddress&) = default;
};

struct Prefix {
  IpAddress ip;  // host bits are zero after make()
  std::uint8_t length = 0;
  // Clears the host bits. length > ip.bits() is an error.
  static Result<Prefix> make(IpAddress ip, unsigned length);
  // "10.0.0.0/8", "2001:db8::/32"; a bare address is /32 or /128. Host bits that are set are an
  // error that names the network meant.
  static Result<Prefix> parse(std::string_view text);
  static Prefix host(IpAddress ip) { return {ip, static_cast<std::uint8_t>(ip.bits())}; }
  IpAddress first() const { return ip; }
  IpAddress last() const;
  bool contains(const IpAddress& address) const;
  bool contains(const Prefix& other) const;
  std::string to_string() const;  // always with /length
  friend auto operator<=>(const Prefix&, const Prefix&) = default;
};

}  // namespace espalier
