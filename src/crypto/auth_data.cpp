#include "crypto/auth_data.hpp"

#include <array>
#include <optional>

#include "crypto/limits.hpp"

namespace espalier::crypto {
namespace {

// DER AlgorithmIdentifiers. RFC 7427 appendix A lists them, RFC 8420 appendix A those of EdDSA.
constexpr std::array<std::uint8_t, 15> kRsaSha256 = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                                     0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00};
constexpr std::array<std::uint8_t, 15> kRsaSha384 = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                                     0xf7, 0x0d, 0x01, 0x01, 0x0c, 0x05, 0x00};
constexpr std::array<std::uint8_t, 15> kRsaSha512 = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                                     0xf7, 0x0d, 0x01, 0x01, 0x0d, 0x05, 0x00};
// RFC 4055 section 5: parameters must be NULL when made, "MUST accept the parameters being absent".
constexpr std::array<std::uint8_t, 13> kRsaSha256Bare = {0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48,
                                                         0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b};
constexpr std::array<std::uint8_t, 13> kRsaSha384Bare = {0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48,
                                                         0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c};
constexpr std::array<std::uint8_t, 13> kRsaSha512Bare = {0x30, 0x0b, 0x06, 0x09, 0x2a, 0x86, 0x48,
                                                         0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d};
constexpr std::array<std::uint8_t, 12> kEcdsaSha256 = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                                       0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
constexpr std::array<std::uint8_t, 12> kEcdsaSha384 = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                                       0x48, 0xce, 0x3d, 0x04, 0x03, 0x03};
constexpr std::array<std::uint8_t, 12> kEcdsaSha512 = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86,
                                                       0x48, 0xce, 0x3d, 0x04, 0x03, 0x04};
constexpr std::array<std::uint8_t, 7> kEd25519 = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};
constexpr std::array<std::uint8_t, 7> kEd448 = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71};
// Known and refused, so that the message can say why.
constexpr std::array<std::uint8_t, 15> kRsaSha1 = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                                   0xf7, 0x0d, 0x01, 0x01, 0x05, 0x05, 0x00};
constexpr std::array<std::uint8_t, 11> kEcdsaSha1 = {0x30, 0x09, 0x06, 0x07, 0x2a, 0x86,
                                                     0x48, 0xce, 0x3d, 0x04, 0x01};

// OBJECT IDENTIFIERs with their tag and length.
constexpr std::array<std::uint8_t, 11> kOidPss = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                                  0xf7, 0x0d, 0x01, 0x01, 0x0a};
constexpr std::array<std::uint8_t, 11> kOidMgf1 = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
                                                   0xf7, 0x0d, 0x01, 0x01, 0x08};
constexpr std::array<std::uint8_t, 11> kOidSha256 = {0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                                     0x65, 0x03, 0x04, 0x02, 0x01};
constexpr std::array<std::uint8_t, 11> kOidSha384 = {0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                                     0x65, 0x03, 0x04, 0x02, 0x02};
constexpr std::array<std::uint8_t, 11> kOidSha512 = {0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                                     0x65, 0x03, 0x04, 0x02, 0x03};
constexpr std::array<std::uint8_t, 2> kNull = {0x05, 0x00};

constexpr std::uint8_t kSequence = 0x30;
constexpr std::uint8_t kInteger = 0x02;
constexpr std::uint8_t context_tag(unsigned number) {
  return static_cast<std::uint8_t>(0xa0 + number);
}

struct Row {
  ByteView der;
  SignatureAlgorithm algorithm;
};

// Rows that encode come before others of the same meaning.
const std::array<Row, 11>& table() {
  static const std::array<Row, 11> rows = {{
      {kRsaSha256, {KeyType::kRsa, HashId::kSha2_256, false, 0}},
      {kRsaSha384, {KeyType::kRsa, HashId::kSha2_384, false, 0}},
      {kRsaSha512, {KeyType::kRsa, HashId::kSha2_512, false, 0}},
      {kEcdsaSha256, {KeyType::kEcdsa, HashId::kSha2_256, false, 0}},
      {kEcdsaSha384, {KeyType::kEcdsa, HashId::kSha2_384, false, 0}},
      {kEcdsaSha512, {KeyType::kEcdsa, HashId::kSha2_512, false, 0}},
      {kEd25519, {KeyType::kEd25519, HashId::kIdentity, false, 0}},
      {kEd448, {KeyType::kEd448, HashId::kIdentity, false, 0}},
      {kRsaSha256Bare, {KeyType::kRsa, HashId::kSha2_256, false, 0}},
      {kRsaSha384Bare, {KeyType::kRsa, HashId::kSha2_384, false, 0}},
      {kRsaSha512Bare, {KeyType::kRsa, HashId::kSha2_512, false, 0}},
  }};
  return rows;
}

Error unsupported(std::string_view reason) {
  return make_error(ErrorCode::kUnsupported,
                    "the peer's signature algorithm is refused: " + std::string(reason));
}

// The contents of one DER element of this tag. The whole AlgorithmIdentifier has at most 255
// octets, so lengths are the short form or 0x81 with one octet, and 0x81 only where the short form
// cannot say it.
Result<ByteView> element(Reader& reader, std::uint8_t tag) {
  TRY_ASSIGN(const std::uint8_t found, reader.u8());
  TRY_ASSIGN(std::uint8_t length, reader.u8());
  if (length == 0x81) {
    TRY_ASSIGN(length, reader.u8());
    if (length < 0x80) return unsupported("its AlgorithmIdentifier is not DER");
  } else if (length >= 0x80) {
    return unsupported("its AlgorithmIdentifier is not DER");
  }
  if (found != tag) return unsupported("its AlgorithmIdentifier has an unexpected element");
  return reader.take(length);
}

// True, and the octets are consumed, when they come next.
bool consume(Reader& reader, ByteView expected) {
  Reader ahead = reader;
  const auto found = ahead.take(expected.size());
  if (!found || !equal(*found, expected)) return false;
  reader = ahead;
  return true;
}

// AlgorithmIdentifier of a SHA-2: the OID, with NULL or without (RFC 4055 section 2.1).
Result<HashId> hash_identifier(ByteView sequence) {
  Reader reader(sequence);
  std::optional<HashId> hash;
  if (consume(reader, kOidSha256)) {
    hash = HashId::kSha2_256;
  } else if (consume(reader, kOidSha384)) {
    hash = HashId::kSha2_384;
  } else if (consume(reader, kOidSha512)) {
    hash = HashId::kSha2_512;
  }
  if (hash) consume(reader, kNull);
  if (!hash || !reader.empty()) {
    return unsupported("RSASSA-PSS with a hash other than SHA-256, SHA-384 or SHA-512");
  }
  return *hash;
}

// maskGenAlgorithm: MGF1, and with the hash of the signature itself.
Status check_mask_generator(ByteView field, HashId hash) {
  Reader outer(field);
  TRY_ASSIGN(const ByteView sequence, element(outer, kSequence));
  Reader reader(sequence);
  if (!outer.empty() || !consume(reader, kOidMgf1)) {
    return unsupported("RSASSA-PSS with a mask generation function other than MGF1");
  }
  TRY_ASSIGN(const ByteView inner, element(reader, kSequence));
  TRY_ASSIGN(const HashId mask_hash, hash_identifier(inner));
  if (!reader.empty() || mask_hash != hash) {
    return unsupported("RSASSA-PSS whose MGF1 has another hash than the signature");
  }
  return {};
}

// A small unsigned INTEGER in DER, alone in a field.
Result<unsigned> small_integer(ByteView field) {
  Reader outer(field);
  TRY_ASSIGN(const ByteView octets, element(outer, kInteger));
  if (!outer.empty() || octets.size() != 1 || octets[0] > 0x7f) {
    return unsupported("RSASSA-PSS with a parameter out of range");
  }
  return octets[0];
}

// RSASSA-PSS-params (RFC 4055 section 3.1). hashAlgorithm and maskGenAlgorithm default to SHA-1
// when absent, so both must be there; saltLength defaults to 20; trailerField can only be 1.
Result<SignatureAlgorithm> pss_parameters(ByteView parameters) {
  SignatureAlgorithm algorithm{KeyType::kRsa, HashId::kSha2_256, true, 20};
  Reader reader(parameters);
  if (reader.empty()) return unsupported("RSASSA-PSS with default parameters means SHA-1");
  TRY_ASSIGN(const ByteView hash_field, element(reader, context_tag(0)));
  Reader hash_reader(hash_field);
  TRY_ASSIGN(const ByteView hash_sequence, element(hash_reader, kSequence));
  TRY_ASSIGN(algorithm.hash, hash_identifier(hash_sequence));
  if (!hash_reader.empty()) return unsupported("RSASSA-PSS parameters are malformed");
  TRY_ASSIGN(const ByteView mask_field, element(reader, context_tag(1)));
  TRY(check_mask_generator(mask_field, algorithm.hash));
  const auto tag_follows = [&](unsigned number) {
    Reader ahead = reader;
    const auto tag = ahead.u8();
    return tag && *tag == context_tag(number);
  };
  if (tag_follows(2)) {
    TRY_ASSIGN(const ByteView field, element(reader, context_tag(2)));
    TRY_ASSIGN(algorithm.salt_octets, small_integer(field));
  }
  if (tag_follows(3)) {
    TRY_ASSIGN(const ByteView field, element(reader, context_tag(3)));
    TRY_ASSIGN(const unsigned trailer, small_integer(field));
    if (trailer != 1) return unsupported("RSASSA-PSS with another trailer field than 1");
  }
  if (!reader.empty()) return unsupported("RSASSA-PSS parameters are followed by more octets");
  if (algorithm.salt_octets > kMaxPssSaltOctets) {
    return unsupported("RSASSA-PSS with a salt longer than its hash may be");
  }
  return algorithm;
}

void put(Writer& out, std::uint8_t tag, ByteView content) {
  ASSERT(content.size() < 0x80);
  out.u8(tag);
  out.u8(static_cast<std::uint8_t>(content.size()));
  out.bytes(content);
}

Bytes in_element(std::uint8_t tag, ByteView content) {
  Writer out;
  put(out, tag, content);
  return out.take();
}

// The AlgorithmIdentifier of RFC 7427 appendix A.4.3, for each SHA-2.
Bytes encode_pss(const SignatureAlgorithm& algorithm, ByteView signature) {
  Writer hash;
  hash.bytes(algorithm.hash == HashId::kSha2_256   ? kOidSha256
             : algorithm.hash == HashId::kSha2_384 ? kOidSha384
                                                   : kOidSha512);
  hash.bytes(kNull);
  const Bytes hash_identifier = in_element(kSequence, hash.view());
  Writer mask;
  mask.bytes(kOidMgf1);
  mask.bytes(hash_identifier);
  Writer parameters;
  put(parameters, context_tag(0), hash_identifier);
  put(parameters, context_tag(1), in_element(kSequence, mask.view()));
  const Bytes salt{static_cast<std::uint8_t>(algorithm.salt_octets)};
  put(parameters, context_tag(2), in_element(kInteger, salt));
  Writer identifier;
  identifier.bytes(kOidPss);
  put(identifier, kSequence, parameters.view());
  Writer out;
  const Bytes whole = in_element(kSequence, identifier.view());
  out.u8(static_cast<std::uint8_t>(whole.size()));
  out.bytes(whole);
  out.bytes(signature);
  return out.take();
}

Result<SignatureAlgorithm> decode_algorithm(ByteView der) {
  for (const Row& row : table()) {
    if (equal(row.der, der)) return row.algorithm;
  }
  if (equal(der, kRsaSha1) || equal(der, kEcdsaSha1)) {
    return unsupported("SHA-1 is too weak; the peer must sign with SHA-256 or better");
  }
  Reader outer(der);
  TRY_ASSIGN(const ByteView sequence, element(outer, kSequence));
  Reader reader(sequence);
  if (outer.empty() && consume(reader, kOidPss)) {
    TRY_ASSIGN(const ByteView parameters, element(reader, kSequence));
    if (!reader.empty()) return unsupported("RSASSA-PSS parameters are followed by more octets");
    return pss_parameters(parameters);
  }
  return unsupported("AlgorithmIdentifier " + to_hex(der) +
                     " is none of RSA, RSASSA-PSS or ECDSA with SHA-2, Ed25519 or Ed448");
}

}  // namespace

Result<AuthData> decode_auth_data(ByteView auth_data) {
  if (auth_data.size() > kMaxAuthDataOctets) {
    return make_error(ErrorCode::kLimit, "the Authentication Data is longer than a payload can be");
  }
  Reader reader(auth_data);
  TRY_ASSIGN(const std::uint8_t length, reader.u8());
  TRY_ASSIGN(const ByteView der, reader.take(length));
  AuthData out;
  TRY_ASSIGN(out.algorithm, decode_algorithm(der));
  out.signature = reader.take_rest();
  if (out.signature.empty()) {
    return make_error(ErrorCode::kTruncated, "the Authentication Data holds no signature");
  }
  return out;
}

Bytes encode_auth_data(const SignatureAlgorithm& algorithm, ByteView signature) {
  if (algorithm.pss) return encode_pss(algorithm, signature);
  for (const Row& row : table()) {
    if (row.algorithm != algorithm) continue;
    Writer out;
    out.u8(static_cast<std::uint8_t>(row.der.size()));
    out.bytes(row.der);
    out.bytes(signature);
    return out.take();
  }
  ASSERT(false && "an algorithm that sign() does not make");
  return {};
}

}  // namespace espalier::crypto
