#include "dataplane/userspace/segment.hpp"

#include <algorithm>

#include "dataplane/userspace/checksum.hpp"
#include "dataplane/userspace/octets.hpp"

namespace espalier::dataplane::userspace {
namespace {

constexpr std::size_t kIpv6Octets = 40;
constexpr std::size_t kTcpMinOctets = 20;
constexpr std::size_t kTcpChecksumAt = 16;
constexpr std::uint8_t kTcp = 6;
constexpr std::size_t kTcpFlagsAt = 13;
constexpr std::uint8_t kFin = 0x01, kPsh = 0x08, kCwr = 0x80;

bool is_v4(ByteView packet) { return packet[0] >> 4 == 4; }

ByteView addresses(ByteView packet) {
  return is_v4(packet) ? packet.subspan(12, 8) : packet.subspan(8, 32);
}

}  // namespace

std::optional<Segmenter> Segmenter::make(const VnetHeader& header, ByteView packet) {
  if (packet.size() < 20) return std::nullopt;
  const unsigned version = packet[0] >> 4;
  if (version != 4 && !(version == 6 && packet.size() >= kIpv6Octets)) return std::nullopt;
  Segmenter out(header, packet);
  if (header.segmentation() != VnetHeader::kGsoNone) {
    if (!out.find_headers()) return std::nullopt;
  } else if (header.needs_checksum()) {
    const std::size_t at = std::size_t{header.checksum_start} + header.checksum_offset;
    if (at + 2 > packet.size()) return std::nullopt;
  }
  return out;
}

// For a TCP super-packet the kernel always leaves the checksum to us, so checksum_start is where
// TCP begins, behind IPv4 options or IPv6 extension headers.
bool Segmenter::find_headers() {
  const bool v4 = is_v4(packet_);
  if (vnet_.segmentation() != (v4 ? VnetHeader::kGsoTcpv4 : VnetHeader::kGsoTcpv6)) return false;
  const std::size_t tcp = vnet_.checksum_start;
  if (!vnet_.needs_checksum() || vnet_.checksum_offset != kTcpChecksumAt) return false;
  if (vnet_.gso_size == 0 || tcp + kTcpMinOctets > packet_.size()) return false;
  if (v4 ? (tcp != (packet_[0] & 15u) * 4u || tcp < 20 || packet_[9] != kTcp) : tcp < kIpv6Octets) {
    return false;
  }
  const std::size_t tcp_octets = (packet_[tcp + 12] >> 4) * 4u;
  if (tcp_octets < kTcpMinOctets || tcp + tcp_octets > packet_.size()) return false;
  headers_ = tcp + tcp_octets;
  pseudo_ = add(0, addresses(packet_));
  return true;
}

std::size_t Segmenter::next_octets() const {
  if (done_) return 0;
  if (headers_ == 0) return packet_.size();
  return headers_ + std::min<std::size_t>(vnet_.gso_size, packet_.size() - headers_ - offset_);
}

void Segmenter::write_plain(std::uint8_t* out) const {
  std::copy(packet_.begin(), packet_.end(), out);
  if (!vnet_.needs_checksum()) return;
  // The field holds the pseudo header's sum, so that summing from checksum_start on is all.
  const std::size_t start = vnet_.checksum_start;
  std::uint16_t sum = finish(add(0, ByteView(out, packet_.size()).subspan(start)));
  constexpr std::size_t kUdpChecksumAt = 6;
  // "If the computed checksum is zero, it is transmitted as all ones" (RFC 768); it is harmless in
  // TCP.
  if (sum == 0 && vnet_.checksum_offset == kUdpChecksumAt) sum = 0xffff;
  put_u16(out + start + vnet_.checksum_offset, sum);
}

void Segmenter::patch_headers(std::uint8_t* out, std::size_t size, bool last) const {
  const std::size_t tcp = vnet_.checksum_start;
  if (is_v4(packet_)) {
    put_u16(out + 2, size);
    put_u16(out + 4, static_cast<std::uint16_t>(get_u16(out + 4) + index_));
    set_ipv4_checksum({out, tcp});
  } else {
    put_u16(out + 4, size - kIpv6Octets);
  }
  put_u32(out + tcp + 4, get_u32(out + tcp + 4) + static_cast<std::uint32_t>(offset_));
  if (!last) out[tcp + kTcpFlagsAt] &= static_cast<std::uint8_t>(~(kFin | kPsh));
  // CWR answers one ECE, once (RFC 3168 section 6.1.2).
  if (index_ > 0) out[tcp + kTcpFlagsAt] &= static_cast<std::uint8_t>(~kCwr);
  put_u16(out + tcp + kTcpChecksumAt, 0);
  const Sum pseudo = pseudo_ + kTcp + (size - tcp);
  put_u16(out + tcp + kTcpChecksumAt, finish(add(pseudo, {out + tcp, size - tcp})));
}

void Segmenter::next(std::uint8_t* out) {
  const std::size_t size = next_octets();
  ASSERT(size > 0);
  if (headers_ == 0) {
    write_plain(out);
    done_ = true;
    return;
  }
  const std::size_t payload = size - headers_;
  std::copy_n(packet_.begin(), headers_, out);
  std::copy_n(packet_.begin() + static_cast<std::ptrdiff_t>(headers_ + offset_), payload,
              out + headers_);
  const bool last = headers_ + offset_ + payload >= packet_.size();
  patch_headers(out, size, last);
  offset_ += payload;
  ++index_;
  done_ = last;
}

}  // namespace espalier::dataplane::userspace
