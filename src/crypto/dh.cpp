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
    case DhId::kNone: break;
  }
  return unknown_group(group);
}

Result<SecretBytes> dh_shared(const DhKeyPair& own, ByteView peer_public) {
  const auto known = info(own.group);
  if (!known) return unknown_group(own.group);
  if (peer_public.size() != known->public_octets) {
    return invalid_ke(own.group, "it has " + std::to_string(peer_public.size()) + " octets, not " +
                                     std::to_string(known->public_octets));
  }
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
    case DhId::kNone: break;
  }
  return unknown_group(own.group);
}

}  // namespace espalier::crypto
