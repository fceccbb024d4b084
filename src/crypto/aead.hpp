// Encryption with integrity, one interface for AEADs and for cipher-then-MAC (CBC + HMAC), in place
// and for batches. ESP (esp/) and IKE's SK payload both use it. A context is bound to one key and
// may be moved between threads but not used by two at once.
#pragma once

#include <memory>
#include <span>

#include "base/bytes.hpp"
#include "base/secret.hpp"
#include "crypto/ids.hpp"

namespace espalier::crypto {

// encr + key bits (+ integ unless the cipher is an AEAD): what a negotiated suite says about
// packets.
struct CipherSuite {
  EncrId encr = EncrId::kNone;
  std::uint16_t key_bits = 0;
  IntegId integ = IntegId::kNone;
  friend bool operator==(const CipherSuite&, const CipherSuite&) = default;
};

// Lengths in octets, for MTU arithmetic and for key derivation.
struct SuiteSizes {
  std::size_t encr_key = 0;  // including the salt: this much is taken from the key material
  std::size_t integ_key = 0;
  std::size_t iv = 0;
  std::size_t block = 1;  // 4 for ESP at least: RFC 4303 section 2.4; here the cipher's own
  std::size_t icv = 0;
};
// Of suites that only the kernel has too.
Result<SuiteSizes> sizes(const CipherSuite& suite);

// One packet of a batch. `data` is encrypted or decrypted in place; `aad` and `iv` are not changed.
// For cipher-then-MAC the MAC covers aad | iv | data (aad is the ESP header, or the IKE header and
// SK payload header), plus esn_high afterwards when it is set (RFC 4303 section 2.2.1, implicit
// high bits). For an AEAD the caller puts the high bits into aad, as RFC 4106 section 5 orders
// them.
struct SealItem {
  ByteView aad;
  ByteView iv;                             // sizes().iv octets; for an AEAD the explicit nonce part
  MutableByteView data;                    // plaintext, a multiple of sizes().block
  MutableByteView icv;                     // sizes().icv octets, written by seal, read by open
  std::span<const std::uint8_t> esn_high;  // empty or 4 octets, cipher-then-MAC only
  bool ok = false;  // open: the ICV verified (else data is unspecified and must be dropped)
};

class Cipher {
 public:
  virtual ~Cipher() = default;
  virtual void seal(std::span<SealItem> batch) = 0;
  virtual void open(std::span<SealItem> batch) = 0;
};

// encr_key includes the salt at its end. Errors: kUnsupported, kInvalidArgument (wrong key length).
Result<std::unique_ptr<Cipher>> make_cipher(const CipherSuite& suite, ByteView encr_key,
                                            ByteView integ_key);

}  // namespace espalier::crypto
