#include "crypto/dh.hpp"

#include "crypto/dh_groups.hpp"

namespace espalier::crypto {
namespace {

Error unknown_group(DhId group) {
  return make_error(ErrorCode::kUnsupported, "Diffie-Hellman group " +
                                                 std::to_string(static_cast<unsigned>(group)) +
                                                 " is not supported by this version");
}

}  // namespace

Error invalid_ke(DhId group, std::string_view reason) {
  const auto known = info(group);
  return make_error(ErrorCode::kInvalidKe, "the peer's public value for " +
                                               std::string(known ? known->name : "a group") +
                                               " is refused: " + std::string(reason));
}

namespace {

Status check_length(DhId group, ByteView data, std::size_t octets) {
  if (data.size() == octets) return {};
  return invalid_ke(
      group, "it has " + std::to_string(data.size()) + " octets, not " + std::to_string(octets));
}

}  // namespace

Status dh_available(DhId group) {
  const auto known = info(group);
  if (!known) return unknown_group(group);
  return known->kem ? mlkem_available(group) : Status();
}

Result<DhKeyPair> dh_generate(DhId group, Rng& rng) {
  switch (group) {
    case DhId::kX25519:
    case DhId::kX448: return montgomery_generate(group, rng);
    case DhId::kEcp256:
    case DhId::kEcp384:
    case DhId::kEcp521:
    case DhId::kEcp256Bp:
    case DhId::kEcp384Bp:
    case DhId::kEcp512Bp: return ecp_generate(group, rng);
    case DhId::kModp2048:
    case DhId::kModp3072:
    case DhId::kModp4096:
    case DhId::kModp6144:
    case DhId::kModp8192: return modp_generate(group, rng);
    case DhId::kMlKem512:
    case DhId::kMlKem768:
    case DhId::kMlKem1024: return mlkem_generate(group, rng);
    case DhId::kNone: break;
  }
  return unknown_group(group);
}

Result<DhAnswer> dh_respond(DhId group, ByteView peer_public, Rng& rng) {
  const auto known = info(group);
  if (!known) return unknown_group(group);
  if (known->kem) {
    TRY(check_length(group, peer_public, known->public_octets));
    return mlkem_respond(group, peer_public, rng);
  }
  TRY_ASSIGN(DhKeyPair own, dh_generate(group, rng));
  TRY_ASSIGN(SecretBytes shared, dh_shared(own, peer_public));
  return DhAnswer{std::move(own.public_key), std::move(shared)};
}

Result<SecretBytes> dh_shared(const DhKeyPair& own, ByteView peer_public) {
  const auto known = info(own.group);
  if (!known) return unknown_group(own.group);
  TRY(check_length(own.group, peer_public, known->answer_octets));
  switch (own.group) {
    case DhId::kX25519:
    case DhId::kX448: return montgomery_shared(own, peer_public);
    case DhId::kEcp256:
    case DhId::kEcp384:
    case DhId::kEcp521:
    case DhId::kEcp256Bp:
    case DhId::kEcp384Bp:
    case DhId::kEcp512Bp: return ecp_shared(own, peer_public);
    case DhId::kModp2048:
    case DhId::kModp3072:
    case DhId::kModp4096:
    case DhId::kModp6144:
    case DhId::kModp8192: return modp_shared(own, peer_public);
    case DhId::kMlKem512:
    case DhId::kMlKem768:
    case DhId::kMlKem1024: return mlkem_shared(own, peer_public);
    case DhId::kNone: break;
  }
  return unknown_group(own.group);
}

}  // namespace espalier::crypto
