// Key derivation of IKEv2 (RFC 7296 sections 2.14, 2.17, 2.18). Pure functions.
#pragma once

#include "base/secret.hpp"
#include "base/strong.hpp"
#include "policy/nouns.hpp"

namespace espalier::ike::v2 {

// SK_d, SK_a, SK_e, SK_p of both directions; i and r are the original initiator and responder.
struct IkeKeys {
  SecretBytes d, ai, ar, ei, er, pi, pr;
  friend bool operator==(const IkeKeys&, const IkeKeys&) = default;
};

struct KeyInputs {
  ByteView shared;  // g^ir
  ByteView nonce_i;
  ByteView nonce_r;
  IkeSpi spi_i;
  IkeSpi spi_r;
  ByteView more = {};  // SK(1) | SK(2) | ... of the additional key exchanges of a rekey (RFC 9370)
};

// SKEYSEED = prf(Ni | Nr, g^ir), then prf+ (section 2.14).
Result<IkeKeys> derive_ike_keys(const policy::IkeSuite& suite, const KeyInputs& inputs);

// SKEYSEED = prf_old(SK_d(old), g^ir | Ni | Nr | SK(1) | ... SK(n)) (section 2.18, RFC 9370 section
// 2.2.4); the expansion uses the new suite's PRF. With the old nonces and SPIs it is the step of
// RFC 9370 section 2.2.2, from one IKE_INTERMEDIATE exchange to the next.
Result<IkeKeys> derive_rekeyed_ike_keys(const policy::IkeSuite& suite, crypto::PrfId old_prf,
                                        ByteView old_sk_d, const KeyInputs& inputs);

// SKEYSEED = prf(SK_d(old), "Resumption" | Ni | Nr) (RFC 5723 section 5.1).
Result<IkeKeys> derive_resumed_ike_keys(const policy::IkeSuite& suite, ByteView old_sk_d,
                                        const KeyInputs& inputs);

// KEYMAT (section 2.17), split: encryption then integrity, the initiator's direction first.
struct ChildKeys {
  SecretBytes encr_i, integ_i;  // protects what the exchange's initiator sends
  SecretBytes encr_r, integ_r;
};
Result<ChildKeys> derive_child_keys(const policy::ChildSuite& suite, crypto::PrfId prf,
                                    ByteView sk_d,
                                    ByteView shared,  // empty without PFS
                                    ByteView nonce_i, ByteView nonce_r,
                                    ByteView more = {});  // as in KeyInputs

// SK_d, SK_pi and SK_pr with a post-quantum preshared key: prf+(PPK, SK') each (RFC 8784 section
// 3).
Status mix_ppk(crypto::PrfId prf, ByteView ppk, IkeKeys& keys);

// AUTH of a shared key (section 2.15): prf(prf(key, "Key Pad for IKEv2"), octets).
Result<SecretBytes> psk_auth(crypto::PrfId prf, ByteView psk, ByteView octets);

// The octets to be signed or MACed (section 2.15): the first message, the other side's nonce,
// prf(SK_p, RestOfIDPayload), and IntAuth after IKE_INTERMEDIATE exchanges (RFC 9242
// section 3.3.2).
Result<Bytes> auth_octets(crypto::PrfId prf, ByteView first_message, ByteView other_nonce,
                          ByteView sk_p, ByteView id_body, ByteView int_auth = {});

// IntAuth_*n = prf(SK_p*n, IntAuth_*(n-1) | IntAuth_*nA | IntAuth_*nP) (RFC 9242 section 3.3.2).
// message: A | P.
Result<Bytes> next_int_auth(crypto::PrfId prf, ByteView sk_p, ByteView before, ByteView message);

}  // namespace espalier::ike::v2
