// One payload's struct to its body (RFC 7296 sections 3.4 to 3.12). RESERVED octets are sent as
// zero.
#include "wire/ike/codec.hpp"

namespace espalier::wire::ike {
namespace {

class BodyWriter {
 public:
  explicit BodyWriter(Writer& writer) : writer_(writer) {}

  void operator()(const SaPayload& sa) { write_sa(writer_, sa); }
  void operator()(const KePayload& ke) {
    writer_.u16(ke.group);
    writer_.zeros(2);
    writer_.bytes(ke.data);
  }
  // From the fields: the received octets in id.body are for the AUTH computation alone.
  void operator()(const IdPayload& id) {
    ASSERT(id.role == PayloadType::kIdi || id.role == PayloadType::kIdr);
    writer_.u8(static_cast<std::uint8_t>(id.type));
    writer_.zeros(3);
    writer_.bytes(id.data);
  }
  void operator()(const CertPayload& cert) {
    writer_.u8(cert.encoding);
    writer_.bytes(cert.data);
  }
  void operator()(const CertReqPayload& request) {
    writer_.u8(request.encoding);
    writer_.bytes(request.data);
  }
  void operator()(const AuthPayload& auth) {
    writer_.u8(auth.method);
    writer_.zeros(3);
    writer_.bytes(auth.data);
  }
  void operator()(const NoncePayload& nonce) { writer_.bytes(nonce.data); }
  void operator()(const NotifyPayload& notify) {
    ASSERT(notify.spi.size() <= 255);
    // RFC 7296 section 3.10: "If the SPI field is empty, this field MUST be sent as zero".
    const ProtocolId protocol = notify.spi.empty() ? ProtocolId::kNone : notify.protocol;
    writer_.u8(static_cast<std::uint8_t>(protocol));
    writer_.u8(static_cast<std::uint8_t>(notify.spi.size()));
    writer_.u16(static_cast<std::uint16_t>(notify.type));
    writer_.bytes(notify.spi);
    writer_.bytes(notify.data);
  }
  void operator()(const DeletePayload& payload) {
    const bool ike = payload.protocol == ProtocolId::kIke;
    ASSERT(!ike || payload.spis.empty());
    ASSERT(payload.spis.size() <= kMaxDeleteSpis);
    writer_.u8(static_cast<std::uint8_t>(payload.protocol));
    writer_.u8(ike ? 0 : 4);
    writer_.u16(static_cast<std::uint16_t>(payload.spis.size()));
    for (const Spi spi : payload.spis) writer_.u32(spi.value);
  }
  void operator()(const VendorIdPayload& vendor) { writer_.bytes(vendor.data); }
  void operator()(const TsPayload& ts) { write_ts(writer_, ts); }
  // An Encrypted payload is sealed over its own prefix (encode_sk_prefix), never laid out from a
  // value.
  void operator()(const SkPayload&) { ASSERT(false); }
  void operator()(const SkfPayload&) { ASSERT(false); }
  void operator()(const OtherPayload& other) {
    ASSERT(other.type != PayloadType::kNone && !is_decoded(other.type));
    writer_.bytes(other.body);
  }

 private:
  Writer& writer_;
};

}  // namespace

void write_body(Writer& writer, const Payload& payload) { std::visit(BodyWriter(writer), payload); }

}  // namespace espalier::wire::ike
