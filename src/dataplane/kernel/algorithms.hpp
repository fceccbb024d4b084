// The kernel's names for what we negotiate (net/xfrm/xfrm_algo.c).
#pragma once

#include <optional>
#include <string_view>

#include "policy/nouns.hpp"

namespace espalier::dataplane::kernel {

struct KernelAlgorithms {
  std::string_view aead;   // "rfc4106(gcm(aes))"; empty: crypt and auth
  std::string_view crypt;  // "cbc(aes)"
  std::string_view auth;   // "hmac(sha256)"; empty: none
  unsigned icv_bits = 0;   // of the AEAD or of auth
};

// Nothing when the kernel has no name for the suite.
std::optional<KernelAlgorithms> algorithms_of(const crypto::CipherSuite& suite);

}  // namespace espalier::dataplane::kernel
