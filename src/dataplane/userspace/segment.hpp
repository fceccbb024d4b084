// Takes apart what a TUN device with offloads hands over: a TCP super-packet becomes the packets
// that TCP would have sent one by one, and checksums left to the device are filled in. Pure.
#pragma once

#include <optional>

#include "base/bytes.hpp"
#include "dataplane/userspace/vnet.hpp"

namespace espalier::dataplane::userspace {

class Segmenter {
 public:
  // packet: the IP packet behind the header. It must stay while the Segmenter lives. Nothing:
  // header and packet do not fit each other (a type we did not ask for, offsets outside the packet,
  // no TCP where TCP is said to be).
  static std::optional<Segmenter> make(const VnetHeader& header, ByteView packet);

  // The size of the next packet; 0 when there is none left.
  std::size_t next_octets() const;
  // Writes it to out[0 .. next_octets()) and moves on.
  void next(std::uint8_t* out);

 private:
  Segmenter(const VnetHeader& header, ByteView packet) : vnet_(header), packet_(packet) {}
  bool find_headers();
  void write_plain(std::uint8_t* out) const;
  void patch_headers(std::uint8_t* out, std::size_t size, bool last) const;

  VnetHeader vnet_;
  ByteView packet_;
  std::size_t headers_ = 0;  // IP and TCP, repeated in each segment; 0: not segmented
  std::size_t offset_ = 0;   // of the next payload octet, from the end of the headers
  std::uint16_t index_ = 0;  // of the next segment
  bool done_ = false;
  std::uint64_t pseudo_ = 0;  // sum of the addresses
};

}  // namespace espalier::dataplane::userspace
