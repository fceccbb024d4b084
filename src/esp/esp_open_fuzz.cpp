// Any octets into InboundSa::open, forged and, with the right key, authentic: no result but a clean
// one.
#include <algorithm>
#include <cstring>

#include "esp/inbound_sa.hpp"

namespace {

using namespace espalier;

constexpr std::array<crypto::CipherSuite, 3> kSuites{{
    {crypto::EncrId::kAesGcm16, 128, crypto::IntegId::kNone},
    {crypto::EncrId::kChaCha20Poly1305, 0, crypto::IntegId::kNone},
    {crypto::EncrId::kAesCbc, 128, crypto::IntegId::kHmacSha2_256_128},
}};

// Makes the octets authentic, so that what lies behind the ICV check is reached.
void authenticate(const crypto::CipherSuite& suite, ByteView encr, ByteView integ,
                  const esp::Shape& shape, MutableByteView packet) {
  const std::size_t fixed = shape.headroom() + shape.icv;
  const std::size_t block = crypto::sizes(suite)->block;
  if (packet.size() <= fixed || (packet.size() - fixed) % block != 0) return;
  auto cipher = crypto::make_cipher(suite, encr, integ);
  crypto::SealItem item;
  item.aad = packet.first(esp::kHeaderOctets);
  item.iv = packet.subspan(esp::kHeaderOctets, shape.iv);
  item.data = packet.subspan(shape.headroom(), packet.size() - fixed);
  item.icv = packet.last(shape.icv);
  (*cipher)->seal({&item, 1});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const std::uint8_t choice = data[0];
  const crypto::CipherSuite suite = kSuites[choice % kSuites.size()];
  const crypto::SuiteSizes sizes = crypto::sizes(suite).value();
  const Bytes encr(sizes.encr_key, 0x11), integ(sizes.integ_key, 0x22);
  esp::SaParameters parameters;
  parameters.spi = Spi(0x1000);
  parameters.suite = suite;
  parameters.encr_key = encr;
  parameters.integ_key = integ;
  parameters.esn = (choice & 0x40) != 0;
  if (parameters.esn) parameters.first_sequence = 0xffff'fff0;
  auto sa = esp::InboundSa::make(parameters);
  ASSERT(sa.ok());
  // The rest: packets, each behind its 16-bit length.
  std::vector<Bytes> packets;
  for (std::size_t at = 1; at + 2 <= size && packets.size() < 80;) {
    const std::size_t length = std::min<std::size_t>(data[at] << 8 | data[at + 1], size - at - 2);
    packets.emplace_back(data + at + 2, data + at + 2 + length);
    at += 2 + length;
  }
  std::vector<esp::OpenPacket> batch;
  for (Bytes& packet : packets) {
    if ((choice & 0x80) != 0 && !parameters.esn) {
      authenticate(suite, encr, integ, sa->shape(), packet);
    }
    batch.push_back({packet});
  }
  sa->open(batch);
  for (const esp::OpenPacket& packet : batch) {
    if (packet.result != esp::OpenResult::kOpened) {
      ASSERT(packet.payload.empty());
      continue;
    }
    ASSERT(packet.payload.data() >= packet.packet.data());
    ASSERT(packet.payload.data() + packet.payload.size() <=
           packet.packet.data() + packet.packet.size());
  }
  return 0;
}
