#include "ike/v2/keys.hpp"

#include "crypto/prf.hpp"

namespace espalier::ike::v2 {
namespace {

SecretBytes cut(ByteView material, std::size_t& offset, std::size_t octets) {
  ASSERT(offset + octets <= material.size());
  SecretBytes part(material.subspan(offset, octets));
  offset += octets;
  return part;
}

Result<IkeKeys> expand(const policy::IkeSuite& suite, ByteView skeyseed, const KeyInputs& inputs) {
  const auto prf = crypto::info(suite.prf);
  if (!prf) return make_error(ErrorCode::kUnsupported, "this PRF is not supported");
  TRY_ASSIGN(const crypto::SuiteSizes sizes, crypto::sizes(suite.cipher));
  Writer seed;
  seed.bytes(inputs.nonce_i);
  seed.bytes(inputs.nonce_r);
  seed.u64(inputs.spi_i.value);
  seed.u64(inputs.spi_r.value);
  const std::size_t total = 3 * prf->key_octets + 2 * sizes.integ_key + 2 * sizes.encr_key;
  TRY_ASSIGN(const SecretBytes material, crypto::prf_plus(suite.prf, skeyseed, seed.view(), total));
  IkeKeys keys;
  std::size_t offset = 0;
  keys.d = cut(material.reveal(), offset, prf->key_octets);
  keys.ai = cut(material.reveal(), offset, sizes.integ_key);
  keys.ar = cut(material.reveal(), offset, sizes.integ_key);
  keys.ei = cut(material.reveal(), offset, sizes.encr_key);
  keys.er = cut(material.reveal(), offset, sizes.encr_key);
  keys.pi = cut(material.reveal(), offset, prf->key_octets);
  keys.pr = cut(material.reveal(), offset, prf->key_octets);
  return keys;
}

}  // namespace

Result<IkeKeys> derive_ike_keys(const policy::IkeSuite& suite, const KeyInputs& inputs) {
  Writer nonces;
  nonces.bytes(inputs.nonce_i);
  nonces.bytes(inputs.nonce_r);
  TRY_ASSIGN(const SecretBytes skeyseed, crypto::prf(suite.prf, nonces.view(), {inputs.shared}));
  return expand(suite, skeyseed.reveal(), inputs);
}

Result<IkeKeys> derive_rekeyed_ike_keys(const policy::IkeSuite& suite, crypto::PrfId old_prf,
                                        ByteView old_sk_d, const KeyInputs& inputs) {
  TRY_ASSIGN(
      const SecretBytes skeyseed,
      crypto::prf(old_prf, old_sk_d, {inputs.shared, inputs.nonce_i, inputs.nonce_r, inputs.more}));
  return expand(suite, skeyseed.reveal(), inputs);
}

Result<IkeKeys> derive_resumed_ike_keys(const policy::IkeSuite& suite, ByteView old_sk_d,
                                        const KeyInputs& inputs) {
  TRY_ASSIGN(
      const SecretBytes skeyseed,
      crypto::prf(suite.prf, old_sk_d, {as_bytes("Resumption"), inputs.nonce_i, inputs.nonce_r}));
  return expand(suite, skeyseed.reveal(), inputs);
}

Result<ChildKeys> derive_child_keys(const policy::ChildSuite& suite, crypto::PrfId prf,
                                    ByteView sk_d, ByteView shared, ByteView nonce_i,
                                    ByteView nonce_r, ByteView more) {
  TRY_ASSIGN(const crypto::SuiteSizes sizes, crypto::sizes(suite.cipher));
  Bytes seed = to_vector(shared);
  seed.insert(seed.end(), nonce_i.begin(), nonce_i.end());
  seed.insert(seed.end(), nonce_r.begin(), nonce_r.end());
  seed.insert(seed.end(), more.begin(), more.end());
  const SecretBytes secret_seed(std::move(seed));
  TRY_ASSIGN(const SecretBytes material, crypto::prf_plus(prf, sk_d, secret_seed.reveal(),
                                                          2 * (sizes.encr_key + sizes.integ_key)));
  ChildKeys keys;
  std::size_t offset = 0;
  keys.encr_i = cut(material.reveal(), offset, sizes.encr_key);
  keys.integ_i = cut(material.reveal(), offset, sizes.integ_key);
  keys.encr_r = cut(material.reveal(), offset, sizes.encr_key);
  keys.integ_r = cut(material.reveal(), offset, sizes.integ_key);
  return keys;
}

Status mix_ppk(crypto::PrfId prf, ByteView ppk, IkeKeys& keys) {
  for (SecretBytes* key : {&keys.d, &keys.pi, &keys.pr}) {
    const ByteView old = key->reveal();
    TRY_ASSIGN(*key, crypto::prf_plus(prf, ppk, old, old.size()));
  }
  return {};
}

Result<SecretBytes> psk_auth(crypto::PrfId prf, ByteView psk, ByteView octets) {
  TRY_ASSIGN(const SecretBytes padded, crypto::prf(prf, psk, {as_bytes("Key Pad for IKEv2")}));
  return crypto::prf(prf, padded.reveal(), {octets});
}

Result<Bytes> auth_octets(crypto::PrfId prf, ByteView first_message, ByteView other_nonce,
                          ByteView sk_p, ByteView id_body, ByteView int_auth) {
  TRY_ASSIGN(const SecretBytes maced_id, crypto::prf(prf, sk_p, {id_body}));
  Writer octets;
  octets.bytes(first_message);
  octets.bytes(other_nonce);
  octets.bytes(maced_id.reveal());
  octets.bytes(int_auth);
  return octets.take();
}

Result<Bytes> next_int_auth(crypto::PrfId prf, ByteView sk_p, ByteView before, ByteView message) {
  TRY_ASSIGN(const SecretBytes mac, crypto::prf(prf, sk_p, {before, message}));
  return to_vector(mac.reveal());
}

}  // namespace espalier::ike::v2
