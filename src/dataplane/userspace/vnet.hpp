// The virtio-net header that a TUN device opened with IFF_VNET_HDR puts before each packet
// (virtio 1.2 section 5.1.6; the ten octets without the buffer count, in the machine's byte order).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace espalier::dataplane::userspace {

struct VnetHeader {
  static constexpr std::size_t kOctets = 10;
  static constexpr std::uint8_t kNeedsChecksum = 1;
  static constexpr std::uint8_t kGsoNone = 0;
  static constexpr std::uint8_t kGsoTcpv4 = 1;
  static constexpr std::uint8_t kGsoTcpv6 = 4;
  static constexpr std::uint8_t kGsoEcn = 0x80;  // a flag beside the type

  std::uint8_t flags = 0;
  std::uint8_t gso_type = kGsoNone;
  std::uint16_t header_octets = 0;    // of the headers that each segment repeats; a hint
  std::uint16_t gso_size = 0;         // payload octets of each segment but the last
  std::uint16_t checksum_start = 0;   // from the start of the IP packet
  std::uint16_t checksum_offset = 0;  // from checksum_start

  static VnetHeader read(const std::uint8_t* at) {
    VnetHeader out;
    out.flags = at[0];
    out.gso_type = at[1];
    std::memcpy(&out.header_octets, at + 2, 2);
    std::memcpy(&out.gso_size, at + 4, 2);
    std::memcpy(&out.checksum_start, at + 6, 2);
    std::memcpy(&out.checksum_offset, at + 8, 2);
    return out;
  }
  void write(std::uint8_t* at) const {
    at[0] = flags;
    at[1] = gso_type;
    std::memcpy(at + 2, &header_octets, 2);
    std::memcpy(at + 4, &gso_size, 2);
    std::memcpy(at + 6, &checksum_start, 2);
    std::memcpy(at + 8, &checksum_offset, 2);
  }
  bool needs_checksum() const { return (flags & kNeedsChecksum) != 0; }
  std::uint8_t segmentation() const { return gso_type & static_cast<std::uint8_t>(~kGsoEcn); }
  friend bool operator==(const VnetHeader&, const VnetHeader&) = default;
};

}  // namespace espalier::dataplane::userspace
