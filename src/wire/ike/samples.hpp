// For tests and the seed corpus of the fuzzer: whole messages as values, one of each kind that
// IKEv2 sends.
#pragma once

#include <string>
#include <vector>

#include "wire/ike/message.hpp"
#include "wire/testing/random.hpp"

namespace espalier::wire::ike::samples {

inline Header header(ExchangeType exchange, std::uint8_t flags, std::uint32_t message_id) {
  Header header;
  header.spi_i = IkeSpi(0x0102030405060708);
  header.spi_r = IkeSpi(message_id == 0 && flags == kFlagInitiator ? 0 : 0x1112131415161718);
  header.exchange = exchange;
  header.flags = flags;
  header.message_id = MessageId(message_id);
  return header;
}

inline NotifyPayload notify(NotifyType type, Bytes data = {}) {
  return NotifyPayload{ProtocolId::kNone, type, {}, std::move(data)};
}

inline SaPayload ike_offer() {
  SaPayload sa;
  sa.proposals.push_back({1,
                          ProtocolId::kIke,
                          {},
                          {{TransformType::kEncr, 20, 256, false},
                           {TransformType::kPrf, 6, 0, false},
                           {TransformType::kDh, 31, 0, false}}});
  sa.proposals.push_back({2,
                          ProtocolId::kIke,
                          {},
                          {{TransformType::kEncr, 12, 256, false},
                           {TransformType::kInteg, 13, 0, false},
                           {TransformType::kPrf, 6, 0, false},
                           {TransformType::kDh, 15, 0, false},
                           {TransformType::kDh, 14, 0, false}}});
  return sa;
}

inline SaPayload esp_offer() {
  SaPayload sa;
  sa.proposals.push_back({1,
                          ProtocolId::kEsp,
                          {0xc0, 0xff, 0xee, 0x01},
                          {{TransformType::kEncr, 20, 256, false},
                           {TransformType::kEncr, 28, 0, false},
                           {TransformType::kEsn, 1, 0, false},
                           {TransformType::kEsn, 0, 0, false}}});
  return sa;
}

inline TsPayload selectors(PayloadType role) {
  TsPayload ts;
  ts.role = role;
  ts.selectors.push_back({0, 0, 65535, IpAddress::parse("10.3.0.0").value(),
                          IpAddress::parse("10.3.255.255").value()});
  ts.selectors.push_back({6, 443, 443, IpAddress::parse("2001:db8::12").value(),
                          IpAddress::parse("2001:db8::12").value()});
  return ts;
}

inline std::vector<Payload> sa_init_request() {
  return {ike_offer(),
          KePayload{31, Bytes(32, 0xab)},
          NoncePayload{Bytes(32, 0x5a)},
          notify(NotifyType::kNatDetectionSourceIp, Bytes(20, 1)),
          notify(NotifyType::kNatDetectionDestinationIp, Bytes(20, 2)),
          notify(NotifyType::kIkev2FragmentationSupported),
          notify(NotifyType::kSignatureHashAlgorithms, {0, 2, 0, 3, 0, 4, 0, 5}),
          VendorIdPayload{to_vector(as_bytes("a vendor"))}};
}

inline IdPayload id(PayloadType role, std::string_view text) {
  IdPayload id{role, IdType::kFqdn, to_vector(as_bytes(text)), {}};
  id.body = {2, 0, 0, 0};
  id.body.insert(id.body.end(), id.data.begin(), id.data.end());
  return id;
}

inline std::vector<Payload> auth_request() {
  return {id(PayloadType::kIdi, "bender"),
          CertPayload{4, Bytes(60, 0x30)},
          CertReqPayload{4, Bytes(40, 0x44)},
          id(PayloadType::kIdr, "flexo"),
          AuthPayload{14, Bytes(64, 0x77)},
          esp_offer(),
          selectors(PayloadType::kTsi),
          selectors(PayloadType::kTsr),
          notify(NotifyType::kInitialContact),
          OtherPayload{PayloadType::kCp, false, {1, 0, 0, 0, 0, 1, 0, 0}}};
}

inline std::vector<Payload> rekey_request() {
  return {NotifyPayload{ProtocolId::kEsp, NotifyType::kRekeySa, {1, 2, 3, 4}, {}},
          esp_offer(),
          NoncePayload{Bytes(16, 9)},
          KePayload{19, Bytes(64, 4)},
          selectors(PayloadType::kTsi),
          selectors(PayloadType::kTsr)};
}

inline std::vector<Payload> deletes() {
  return {DeletePayload{ProtocolId::kEsp, {Spi(0xc0ffee01), Spi(0xc0ffee02)}},
          DeletePayload{ProtocolId::kIke, {}}};
}

// IKE_SA_INIT with additional key exchanges (RFC 9370 section 2.2.1) and a post-quantum key.
inline std::vector<Payload> multiple_ke_request() {
  SaPayload sa = ike_offer();
  std::vector<Transform>& transforms = sa.proposals.front().transforms;
  transforms.push_back({TransformType::kAddKe1, 36, 0, false});
  transforms.push_back({static_cast<TransformType>(7), 20, 0, false});
  transforms.push_back({static_cast<TransformType>(7), 0, 0, false});
  transforms.push_back({TransformType::kAddKe7, 14, 0, false});
  return {std::move(sa), KePayload{31, Bytes(32, 0xab)}, NoncePayload{Bytes(32, 0x5a)},
          notify(NotifyType::kIntermediateExchangeSupported), notify(NotifyType::kUsePpk)};
}

inline std::vector<Payload> ppk_auth_request() {
  std::vector<Payload> payloads = auth_request();
  payloads.push_back(notify(NotifyType::kPpkIdentity, {2, 'a', 'l', 'l'}));
  payloads.push_back(notify(NotifyType::kNoPpkAuth, Bytes(48, 0x21)));
  return payloads;
}

inline std::vector<Payload> intermediate() { return {KePayload{36, Bytes(1184, 0x0c)}}; }

inline std::vector<Payload> followup() {
  return {KePayload{20, Bytes(96, 0x0d)}, notify(NotifyType::kAdditionalKeyExchange, Bytes(8, 7))};
}

inline std::vector<Payload> resume_request() {
  return {NoncePayload{Bytes(32, 0x5b)}, notify(NotifyType::kTicketOpaque, Bytes(200, 0x66))};
}

// Any one payload that the codec carries, with every field drawn from random. No SK, no SKF.
Payload any_payload(testing::Random& random);
std::vector<Payload> any_payloads(testing::Random& random, std::size_t most);

}  // namespace espalier::wire::ike::samples
