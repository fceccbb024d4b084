// The generator behind the property tests.
#include "wire/ike/samples.hpp"

namespace espalier::wire::ike::samples {
namespace {

using testing::Random;

Transform any_transform(Random& random) {
  Transform transform;
  transform.type = static_cast<TransformType>(random.below(15));
  transform.id = random.u16();
  transform.key_bits = random.coin() ? random.u16() : std::uint16_t{0};
  transform.unknown_attribute = random.below(8) == 0;
  return transform;
}

SaPayload any_sa(Random& random) {
  SaPayload sa;
  const std::size_t count = 1 + random.below(4);
  for (std::size_t i = 0; i < count; ++i) {
    Proposal proposal;
    proposal.number = static_cast<std::uint8_t>(count == 1 ? 1 + random.below(255) : i + 1);
    proposal.protocol = static_cast<ProtocolId>(random.below(5));
    std::size_t spi = random.below(256);
    if (proposal.protocol == ProtocolId::kIke) spi = random.coin() ? 0 : 8;
    if (proposal.protocol == ProtocolId::kAh || proposal.protocol == ProtocolId::kEsp) spi = 4;
    proposal.spi = random.bytes(spi, spi);
    const std::size_t transforms = 1 + random.below(10);
    for (std::size_t k = 0; k < transforms; ++k)
      proposal.transforms.push_back(any_transform(random));
    sa.proposals.push_back(std::move(proposal));
  }
  return sa;
}

IdPayload any_id(Random& random) {
  IdPayload id;
  id.role = random.coin() ? PayloadType::kIdi : PayloadType::kIdr;
  id.type = static_cast<IdType>(random.below(14));
  id.data = random.bytes(0, 60);
  if (id.type == IdType::kIpv4) id.data.resize(4);
  if (id.type == IdType::kIpv6) id.data.resize(16);
  id.body = {static_cast<std::uint8_t>(id.type), 0, 0, 0};
  id.body.insert(id.body.end(), id.data.begin(), id.data.end());
  return id;
}

NotifyPayload any_notify(Random& random) {
  NotifyPayload notify;
  notify.type = static_cast<NotifyType>(random.u16());
  switch (random.below(3)) {
    case 0: break;
    case 1:
      notify.protocol = random.coin() ? ProtocolId::kEsp : ProtocolId::kAh;
      notify.spi = random.bytes(4, 4);
      break;
    default:
      notify.protocol = ProtocolId::kIke;
      notify.spi = random.bytes(8, 8);
      break;
  }
  notify.data = random.bytes(0, 40);
  return notify;
}

TsPayload any_ts(Random& random) {
  TsPayload ts;
  ts.role = random.coin() ? PayloadType::kTsi : PayloadType::kTsr;
  const std::size_t count = 1 + random.below(6);
  for (std::size_t i = 0; i < count; ++i) {
    TrafficSelector selector;
    selector.protocol = random.u8();
    selector.start_port = random.u16();
    selector.end_port = random.u16();
    if (selector.end_port < selector.start_port) std::swap(selector.start_port, selector.end_port);
    if (random.below(8) == 0) {  // OPAQUE
      selector.start_port = 65535;
      selector.end_port = 0;
    }
    const std::size_t octets = random.coin() ? 4 : 16;
    selector.start = IpAddress::from_bytes(random.bytes(octets, octets)).value();
    selector.end = IpAddress::from_bytes(random.bytes(octets, octets)).value();
    if (selector.end < selector.start) std::swap(selector.start, selector.end);
    ts.selectors.push_back(selector);
  }
  return ts;
}

DeletePayload any_delete(Random& random) {
  if (random.below(3) == 0) return {ProtocolId::kIke, {}};
  DeletePayload payload;
  payload.protocol = random.coin() ? ProtocolId::kEsp : ProtocolId::kAh;
  for (std::size_t i = random.below(9); i > 0; --i) payload.spis.push_back(Spi(random.u32()));
  return payload;
}

OtherPayload any_other(Random& random) {
  static constexpr std::uint8_t kTypes[] = {1, 32, 47, 48, 49, 52, 54, 200, 255};
  return {static_cast<PayloadType>(kTypes[random.below(std::size(kTypes))]), random.coin(),
          random.bytes(0, 50)};
}

}  // namespace

Payload any_payload(Random& random) {
  switch (random.below(12)) {
    case 0: return any_sa(random);
    case 1: return KePayload{random.u16(), random.bytes(0, 100)};
    case 2: return any_id(random);
    case 3: return CertPayload{random.u8(), random.bytes(0, 100)};
    case 4: return CertReqPayload{random.u8(), random.bytes(0, 60)};
    case 5: return AuthPayload{random.u8(), random.bytes(0, 80)};
    case 6: return NoncePayload{random.bytes(16, 256)};
    case 7: return any_notify(random);
    case 8: return any_delete(random);
    case 9: return VendorIdPayload{random.bytes(0, 30)};
    case 10: return any_ts(random);
    default: return any_other(random);
  }
}

std::vector<Payload> any_payloads(Random& random, std::size_t most) {
  std::vector<Payload> payloads;
  for (std::size_t i = random.below(most + 1); i > 0; --i) payloads.push_back(any_payload(random));
  return payloads;
}

}  // namespace espalier::wire::ike::samples
