// IKEv2 messages as values (RFC 7296 section 3), and the codec between them and bytes. No state, no
// keys: an Encrypted payload is carried as bytes, ike/core seals and opens it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/address.hpp"
#include "base/bytes.hpp"
#include "base/strong.hpp"

namespace espalier::wire::ike {

enum class ExchangeType : std::uint8_t {
  kIkeSaInit = 34,
  kIkeAuth = 35,
  kCreateChildSa = 36,
  kInformational = 37,
  kIkeSessionResume = 38,  // RFC 5723
  kIkeIntermediate = 43,   // RFC 9242
  kIkeFollowupKe = 44,     // RFC 9370
};
std::string_view name(ExchangeType type);  // "IKE_SA_INIT"; "unknown" for another number

enum class PayloadType : std::uint8_t {
  kNone = 0,
  kSa = 33,
  kKe = 34,
  kIdi = 35,
  kIdr = 36,
  kCert = 37,
  kCertReq = 38,
  kAuth = 39,
  kNonce = 40,
  kNotify = 41,
  kDelete = 42,
  kVendorId = 43,
  kTsi = 44,
  kTsr = 45,
  kSk = 46,
  kCp = 47,
  kEap = 48,
  kSkf = 53,
};
std::string_view name(PayloadType type);  // "SA", "KE", ... as RFC 7296 abbreviates them

// RFC 7296 section 3.1.
inline constexpr std::size_t kHeaderOctets = 28;
inline constexpr std::uint8_t kFlagInitiator = 0x08;
inline constexpr std::uint8_t kFlagVersion = 0x10;
inline constexpr std::uint8_t kFlagResponse = 0x20;

struct Header {
  IkeSpi spi_i;
  IkeSpi spi_r;
  PayloadType next_payload = PayloadType::kNone;
  std::uint8_t version = 0x20;  // major 2, minor 0
  ExchangeType exchange = ExchangeType::kIkeSaInit;
  std::uint8_t flags = 0;  // kFlag... only: parse and encode both clear the reserved bits
  MessageId message_id;
  std::uint32_t length = 0;  // of the whole message; set by encode
  bool from_initiator() const { return (flags & kFlagInitiator) != 0; }
  bool is_response() const { return (flags & kFlagResponse) != 0; }
  friend bool operator==(const Header&, const Header&) = default;
};

enum class ProtocolId : std::uint8_t { kNone = 0, kIke = 1, kAh = 2, kEsp = 3 };
enum class TransformType : std::uint8_t {
  kEncr = 1,
  kPrf = 2,
  kInteg = 3,
  kDh = 4,
  kEsn = 5,
  // RFC 9370 section 2.2.1: Additional Key Exchange 1 to 7.
  kAddKe1 = 6,
  kAddKe7 = 12,
};
inline bool is_additional_ke(TransformType type) {
  return type >= TransformType::kAddKe1 && type <= TransformType::kAddKe7;
}

struct Transform {
  TransformType type = TransformType::kEncr;
  std::uint16_t id = 0;
  std::uint16_t key_bits = 0;  // Key Length attribute; 0: none
  bool unknown_attribute =
      false;  // carried an attribute we do not know: never chosen (RFC 7296 section 3.3.6)
  friend bool operator==(const Transform&, const Transform&) = default;
};
struct Proposal {
  std::uint8_t number = 1;
  ProtocolId protocol = ProtocolId::kIke;
  Bytes spi;  // 0, 4 or 8 octets; any number with a protocol that we do not know
  std::vector<Transform> transforms;
  friend bool operator==(const Proposal&, const Proposal&) = default;
};

// RFC 7296 section 3.13.1. IPv4 or IPv6 by the addresses' family. start <= end, and the ports too,
// except for OPAQUE, which is start_port 65535 and end_port 0.
struct TrafficSelector {
  std::uint8_t protocol = 0;  // 0: any
  std::uint16_t start_port = 0;
  std::uint16_t end_port = 65535;
  IpAddress start;
  IpAddress end;
  friend auto operator<=>(const TrafficSelector&, const TrafficSelector&) = default;
};

enum class IdType : std::uint8_t {
  kIpv4 = 1,
  kFqdn = 2,
  kRfc822 = 3,
  kIpv6 = 5,
  kDerDn = 9,
  kDerGn = 10,
  kKeyId = 11,
  kNull = 13,  // RFC 7619; no data
};

// Notify Message Types (IANA). Below 16384: errors.
enum class NotifyType : std::uint16_t {
  kUnsupportedCriticalPayload = 1,
  kInvalidIkeSpi = 4,
  kInvalidMajorVersion = 5,
  kInvalidSyntax = 7,
  kInvalidMessageId = 9,
  kInvalidSpi = 11,
  kNoProposalChosen = 14,
  kInvalidKePayload = 17,
  kAuthenticationFailed = 24,
  kSinglePairRequired = 34,
  kNoAdditionalSas = 35,
  kInternalAddressFailure = 36,
  kFailedCpRequired = 37,
  kTsUnacceptable = 38,
  kInvalidSelectors = 39,
  kUnacceptableAddresses = 40,  // RFC 4555
  kUnexpectedNatDetected = 41,
  kTemporaryFailure = 43,
  kChildSaNotFound = 44,
  kStateNotFound = 47,  // RFC 9370
  kInitialContact = 16384,
  kSetWindowSize = 16385,
  kAdditionalTsPossible = 16386,
  kIpcompSupported = 16387,
  kNatDetectionSourceIp = 16388,
  kNatDetectionDestinationIp = 16389,
  kCookie = 16390,
  kUseTransportMode = 16391,
  kHttpCertLookupSupported = 16392,
  kRekeySa = 16393,
  kEspTfcPaddingNotSupported = 16394,
  kNonFirstFragmentsAlso = 16395,
  kMobikeSupported = 16396,  // RFC 4555 from here to kNoNatsAllowed
  kAdditionalIp4Address = 16397,
  kAdditionalIp6Address = 16398,
  kNoAdditionalAddresses = 16399,
  kUpdateSaAddresses = 16400,
  kCookie2 = 16401,
  kNoNatsAllowed = 16402,
  kAuthLifetime = 16403,
  kRedirectSupported = 16406,  // RFC 5685
  kRedirect = 16407,
  kRedirectedFrom = 16408,
  kTicketLtOpaque = 16409,  // RFC 5723
  kTicketRequest = 16410,
  kTicketAck = 16411,
  kTicketNack = 16412,
  kTicketOpaque = 16413,
  kEapOnlyAuthentication = 16417,
  kChildlessIkev2Supported = 16418,
  kQcdToken = 16419,
  kIkev2FragmentationSupported = 16430,
  kSignatureHashAlgorithms = 16431,
  kUsePpk = 16435,  // RFC 8784
  kPpkIdentity = 16436,
  kNoPpkAuth = 16437,
  kIntermediateExchangeSupported = 16438,  // RFC 9242
  kAdditionalKeyExchange = 16441,          // RFC 9370
  // Of the private range (RFC 7296 section 3.10.1), between our own: why, in words for people.
  kEspalierDetail = 41189,
};
std::string_view name(NotifyType type);  // "NO_PROPOSAL_CHOSEN"; "unknown" else
inline bool is_error(NotifyType type) { return static_cast<std::uint16_t>(type) < 16384; }

struct SaPayload {
  std::vector<Proposal> proposals;
  friend bool operator==(const SaPayload&, const SaPayload&) = default;
};
struct KePayload {
  std::uint16_t group = 0;
  Bytes data;
  friend bool operator==(const KePayload&, const KePayload&) = default;
};
struct IdPayload {  // IDi and IDr
  PayloadType role = PayloadType::kIdi;
  IdType type = IdType::kFqdn;
  Bytes data;
  // The payload body as it was on the wire, without the generic header (RESTOFIDPAYLOAD of RFC 7296
  // section 2.15): type, three reserved octets, data. Set by parse; encode derives it from the
  // fields.
  Bytes body;
  friend bool operator==(const IdPayload&, const IdPayload&) = default;
};
struct CertPayload {
  std::uint8_t encoding = 4;
  Bytes data;
  friend bool operator==(const CertPayload&, const CertPayload&) = default;
};  // 4: X.509 signature
struct CertReqPayload {
  std::uint8_t encoding = 4;
  Bytes data;
  friend bool operator==(const CertReqPayload&, const CertReqPayload&) = default;
};
struct AuthPayload {
  std::uint8_t method = 0;
  Bytes data;
  friend bool operator==(const AuthPayload&, const AuthPayload&) = default;
};
struct NoncePayload {
  Bytes data;
  friend bool operator==(const NoncePayload&, const NoncePayload&) = default;
};  // 16 to 256 octets
struct NotifyPayload {
  ProtocolId protocol = ProtocolId::kNone;
  NotifyType type = NotifyType::kInvalidSyntax;
  Bytes spi;  // 0, 4 or 8 octets; with 0 the protocol is kNone (RFC 7296 section 3.10)
  Bytes data;
  friend bool operator==(const NotifyPayload&, const NotifyPayload&) = default;
};
struct DeletePayload {
  ProtocolId protocol = ProtocolId::kIke;
  std::vector<Spi> spis;  // ESP and AH; empty for IKE
  friend bool operator==(const DeletePayload&, const DeletePayload&) = default;
};
struct VendorIdPayload {
  Bytes data;
  friend bool operator==(const VendorIdPayload&, const VendorIdPayload&) = default;
};
struct TsPayload {
  PayloadType role = PayloadType::kTsi;  // kTsi or kTsr
  // Selectors of unknown TS types are left out, so a parsed one may be empty (TS_UNACCEPTABLE); one
  // to send is not.
  std::vector<TrafficSelector> selectors;
  friend bool operator==(const TsPayload&, const TsPayload&) = default;
};
// The last payload of its message (RFC 7296 section 3.14, RFC 7383 section 2.5).
struct SkPayload {
  PayloadType first_inner = PayloadType::kNone;
  Bytes body;                  // IV | ciphertext | ICV
  std::size_t aad_octets = 0;  // of the message: everything before the body (header through payload
                               // header [and fragment numbers])
  friend bool operator==(const SkPayload&, const SkPayload&) = default;
};
struct SkfPayload {
  PayloadType first_inner = PayloadType::kNone;  // kNone in all fragments but the first
  std::uint16_t number = 0;                      // from 1
  std::uint16_t total = 0;
  Bytes body;
  std::size_t aad_octets = 0;
  friend bool operator==(const SkfPayload&, const SkfPayload&) = default;
};
// Everything else (CP, EAP, unknown): kept so that the caller may refuse a critical one.
struct OtherPayload {
  PayloadType type = PayloadType::kNone;
  bool critical = false;
  Bytes body;
  friend bool operator==(const OtherPayload&, const OtherPayload&) = default;
};

using Payload = std::variant<SaPayload, KePayload, IdPayload, CertPayload, CertReqPayload,
                             AuthPayload, NoncePayload, NotifyPayload, DeletePayload,
                             VendorIdPayload, TsPayload, SkPayload, SkfPayload, OtherPayload>;
PayloadType type_of(const Payload& payload);

struct Message {
  Header header;
  std::vector<Payload> payloads;

  template <class T>
  const T* find() const {
    for (const Payload& payload : payloads) {
      if (const T* found = std::get_if<T>(&payload)) return found;
    }
    return nullptr;
  }
  const NotifyPayload* notify(NotifyType type) const;
  const IdPayload* id(PayloadType role) const;
  const TsPayload* ts(PayloadType role) const;
  friend bool operator==(const Message&, const Message&) = default;
};

// The fixed header of an IKE datagram (non-ESP marker already removed). Errors: kTruncated;
// kMalformed when the length field is not the size of the datagram. The version is not judged here.
Result<Header> parse_header(ByteView datagram);

// A whole message. The chain is walked within stated limits (wire/ike/limits.hpp); SK and SKF end
// it. Errors: kTruncated, kMalformed, kLimit, each with the payload's name and offset.
Result<Message> parse_message(ByteView datagram);

// A chain of payloads without a header: the plaintext of an Encrypted payload, padding removed.
Result<std::vector<Payload>> parse_payloads(PayloadType first, ByteView bytes);

// The whole unencrypted message; header.length and next_payload are computed. No SkPayload inside.
// Here and below a value that cannot be laid out (a payload above 65535 octets, counts above
// limits.hpp, an IPv4 to IPv6 range) is a bug of the caller's; a value that limits.hpp or the RFC
// refuse on receipt is laid out all the same.
Bytes encode_message(const Header& header, const std::vector<Payload>& payloads);

// A chain without a header; `first` receives the type of its first payload (kNone if empty).
Bytes encode_payloads(const std::vector<Payload>& payloads, PayloadType& first);

// The octets before an Encrypted payload's body: header with final length, generic payload header,
// and for a fragment its numbers. body_octets: IV + ciphertext + ICV. These are also the AAD of RFC
// 5282.
Bytes encode_sk_prefix(const Header& header, PayloadType first_inner, std::size_t body_octets);
Bytes encode_skf_prefix(const Header& header, PayloadType first_inner, std::uint16_t number,
                        std::uint16_t total, std::size_t body_octets);

// One line for people: "IKE_SA_INIT request 0 [ SA KE No N(NAT_D_S_IP) ]". No secrets.
std::string describe(const Message& message);

}  // namespace espalier::wire::ike
