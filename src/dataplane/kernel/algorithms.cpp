#include "dataplane/kernel/algorithms.hpp"

namespace espalier::dataplane::kernel {

using crypto::EncrId;
using crypto::IntegId;

std::optional<KernelAlgorithms> algorithms_of(const crypto::CipherSuite& suite) {
  KernelAlgorithms names;
  switch (suite.encr) {
    case EncrId::kAesGcm8: return KernelAlgorithms{"rfc4106(gcm(aes))", {}, {}, 64};
    case EncrId::kAesGcm12: return KernelAlgorithms{"rfc4106(gcm(aes))", {}, {}, 96};
    case EncrId::kAesGcm16: return KernelAlgorithms{"rfc4106(gcm(aes))", {}, {}, 128};
    case EncrId::kAesCcm8: return KernelAlgorithms{"rfc4309(ccm(aes))", {}, {}, 64};
    case EncrId::kAesCcm12: return KernelAlgorithms{"rfc4309(ccm(aes))", {}, {}, 96};
    case EncrId::kAesCcm16: return KernelAlgorithms{"rfc4309(ccm(aes))", {}, {}, 128};
    case EncrId::kAesGmac: return KernelAlgorithms{"rfc4543(gcm(aes))", {}, {}, 128};
    case EncrId::kChaCha20Poly1305:
      return KernelAlgorithms{"rfc7539esp(chacha20,poly1305)", {}, {}, 128};
    case EncrId::kAesCtr: names.crypt = "rfc3686(ctr(aes))"; break;
    case EncrId::kAesCbc: names.crypt = "cbc(aes)"; break;
    case EncrId::kNull: names.crypt = "ecb(cipher_null)"; break;
    case EncrId::kNone: return std::nullopt;
  }
  const auto integ = crypto::info(suite.integ);
  if (!integ) return std::nullopt;
  switch (suite.integ) {
    case IntegId::kHmacSha1_96: names.auth = "hmac(sha1)"; break;
    case IntegId::kHmacSha2_256_128: names.auth = "hmac(sha256)"; break;
    case IntegId::kHmacSha2_384_192: names.auth = "hmac(sha384)"; break;
    case IntegId::kHmacSha2_512_256: names.auth = "hmac(sha512)"; break;
    case IntegId::kNone: return std::nullopt;
  }
  names.icv_bits = static_cast<unsigned>(integ->icv_octets * 8);
  return names;
}

}  // namespace espalier::dataplane::kernel
