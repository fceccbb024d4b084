// A message as one line for people, and the look-ups of Message.
#include <fmt/format.h>

#include "wire/ike/message.hpp"

namespace espalier::wire::ike {
namespace {

// The longest names, shortened so that an IKE_SA_INIT fits a line.
std::string short_name(NotifyType type) {
  switch (type) {
    case NotifyType::kNatDetectionSourceIp: return "NAT_D_S_IP";
    case NotifyType::kNatDetectionDestinationIp: return "NAT_D_D_IP";
    case NotifyType::kIkev2FragmentationSupported: return "FRAG_SUP";
    case NotifyType::kSignatureHashAlgorithms: return "HASH_ALG";
    case NotifyType::kEspTfcPaddingNotSupported: return "ESP_TFC_PAD_N";
    case NotifyType::kMobikeSupported: return "MOBIKE_SUP";
    case NotifyType::kChildlessIkev2Supported: return "CHILDLESS_SUP";
    default: break;
  }
  const std::string_view known = name(type);
  if (known == "unknown") return std::to_string(static_cast<unsigned>(type));
  return std::string(known);
}

std::string describe(const Payload& payload) {
  if (const auto* notify = std::get_if<NotifyPayload>(&payload)) {
    return fmt::format("N({})", short_name(notify->type));
  }
  if (const auto* fragment = std::get_if<SkfPayload>(&payload)) {
    return fmt::format("SKF({}/{})", fragment->number, fragment->total);
  }
  const PayloadType type = type_of(payload);
  const std::string_view known = name(type);
  std::string text =
      known == "unknown" ? fmt::format("PLD({})", static_cast<unsigned>(type)) : std::string(known);
  const auto* other = std::get_if<OtherPayload>(&payload);
  if (other != nullptr && other->critical) text += "!";
  return text;
}

struct TypeOf {
  PayloadType operator()(const SaPayload&) const { return PayloadType::kSa; }
  PayloadType operator()(const KePayload&) const { return PayloadType::kKe; }
  PayloadType operator()(const IdPayload& id) const { return id.role; }
  PayloadType operator()(const CertPayload&) const { return PayloadType::kCert; }
  PayloadType operator()(const CertReqPayload&) const { return PayloadType::kCertReq; }
  PayloadType operator()(const AuthPayload&) const { return PayloadType::kAuth; }
  PayloadType operator()(const NoncePayload&) const { return PayloadType::kNonce; }
  PayloadType operator()(const NotifyPayload&) const { return PayloadType::kNotify; }
  PayloadType operator()(const DeletePayload&) const { return PayloadType::kDelete; }
  PayloadType operator()(const VendorIdPayload&) const { return PayloadType::kVendorId; }
  PayloadType operator()(const TsPayload& ts) const { return ts.role; }
  PayloadType operator()(const SkPayload&) const { return PayloadType::kSk; }
  PayloadType operator()(const SkfPayload&) const { return PayloadType::kSkf; }
  PayloadType operator()(const OtherPayload& other) const { return other.type; }
};

}  // namespace

PayloadType type_of(const Payload& payload) { return std::visit(TypeOf{}, payload); }

const NotifyPayload* Message::notify(NotifyType type) const {
  for (const Payload& payload : payloads) {
    const auto* found = std::get_if<NotifyPayload>(&payload);
    if (found != nullptr && found->type == type) return found;
  }
  return nullptr;
}

const IdPayload* Message::id(PayloadType role) const {
  for (const Payload& payload : payloads) {
    const auto* found = std::get_if<IdPayload>(&payload);
    if (found != nullptr && found->role == role) return found;
  }
  return nullptr;
}

const TsPayload* Message::ts(PayloadType role) const {
  for (const Payload& payload : payloads) {
    const auto* found = std::get_if<TsPayload>(&payload);
    if (found != nullptr && found->role == role) return found;
  }
  return nullptr;
}

std::string describe(const Message& message) {
  const std::string_view known = name(message.header.exchange);
  std::string line =
      known == "unknown"
          ? fmt::format("exchange {}", static_cast<unsigned>(message.header.exchange))
          : std::string(known);
  line += fmt::format(" {} {} [", message.header.is_response() ? "response" : "request",
                      message.header.message_id.value);
  for (const Payload& payload : message.payloads) line += " " + describe(payload);
  return line + " ]";
}

}  // namespace espalier::wire::ike
