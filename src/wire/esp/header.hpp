// The ESP header (RFC 4303 section 2), and telling apart what arrives on UDP port 4500 (RFC 3948
// section 2). For the packet path: nothing here allocates.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/bytes.hpp"
#include "base/strong.hpp"

namespace espalier::wire::esp {

inline constexpr std::size_t kHeaderOctets = 8;

struct Header {
  Spi spi;
  std::uint32_t sequence = 0;  // the low half of an extended sequence number
  friend bool operator==(const Header&, const Header&) = default;
};

// Octets that begin with an ESP header. Nothing if there are fewer than kHeaderOctets.
std::optional<Header> parse_header(ByteView octets);

// Into the first kHeaderOctets octets of out, which has at least so many.
void write_header(const Header& header, MutableByteView out);

// RFC 3948 section 2.2: "4 zero-valued bytes aligning with the SPI field of an ESP packet" stand
// before IKE.
inline constexpr std::size_t kNonEspMarkerOctets = 4;
// RFC 3948 section 2.3: the one octet of a NAT-keepalive.
inline constexpr std::uint8_t kNatKeepalive = 0xff;

enum class UdpPayload : std::uint8_t {
  kIke,  // behind kNonEspMarkerOctets
  kEsp,
  kKeepalive,  // to be ignored
  kMalformed,  // too short to be any of them
};
std::string_view name(UdpPayload kind);  // "ike", "esp", "keepalive", "malformed"

// The data of a UDP datagram on port 4500. "The SPI field in the ESP header MUST NOT be a zero
// value", so a zero one is the marker. Whether an IKE message or an ESP packet is whole, its own
// codec says.
UdpPayload classify(ByteView datagram);

}  // namespace espalier::wire::esp
