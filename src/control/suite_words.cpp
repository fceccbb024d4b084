#include "control/suite_words.hpp"

#include <array>

namespace espalier::control {
namespace {

enum class Part : unsigned char { kEncr, kInteg, kPrf, kDh, kEsn };

struct Word {
  std::string_view word;
  Part part;
  std::string_view name;
  std::string_view keysize;
};

constexpr std::array kWords{
    Word{"aes128gcm16", Part::kEncr, "AES_GCM_16", "128"},
    Word{"aes192gcm16", Part::kEncr, "AES_GCM_16", "192"},
    Word{"aes256gcm16", Part::kEncr, "AES_GCM_16", "256"},
    Word{"chacha20poly1305", Part::kEncr, "CHACHA20_POLY1305", ""},
    Word{"aes128", Part::kEncr, "AES_CBC", "128"},
    Word{"aes192", Part::kEncr, "AES_CBC", "192"},
    Word{"aes256", Part::kEncr, "AES_CBC", "256"},
    Word{"sha256", Part::kInteg, "HMAC_SHA2_256_128", ""},
    Word{"sha384", Part::kInteg, "HMAC_SHA2_384_192", ""},
    Word{"sha512", Part::kInteg, "HMAC_SHA2_512_256", ""},
    Word{"prfsha256", Part::kPrf, "PRF_HMAC_SHA2_256", ""},
    Word{"prfsha384", Part::kPrf, "PRF_HMAC_SHA2_384", ""},
    Word{"prfsha512", Part::kPrf, "PRF_HMAC_SHA2_512", ""},
    Word{"x25519", Part::kDh, "CURVE_25519", ""},
    Word{"ecp256", Part::kDh, "ECP_256", ""},
    Word{"ecp384", Part::kDh, "ECP_384", ""},
    Word{"ecp521", Part::kDh, "ECP_521", ""},
    Word{"modp2048", Part::kDh, "MODP_2048", ""},
    Word{"modp3072", Part::kDh, "MODP_3072", ""},
    Word{"modp4096", Part::kDh, "MODP_4096", ""},
    Word{"esn", Part::kEsn, "", ""},
};

void apply(const Word& word, SuiteNames& names) {
  switch (word.part) {
    case Part::kEncr:
      names.encr = word.name;
      names.encr_keysize = word.keysize;
      break;
    case Part::kInteg: names.integ = word.name; break;
    case Part::kPrf: names.prf = word.name; break;
    case Part::kDh: names.dh = word.name; break;
    case Part::kEsn: names.esn = true; break;
  }
}

}  // namespace

SuiteNames suite_names(std::string_view words) {
  SuiteNames names;
  while (!words.empty()) {
    const std::size_t dash = words.find('-');
    const std::string_view text = words.substr(0, dash);
    words.remove_prefix(dash == std::string_view::npos ? words.size() : dash + 1);
    for (const Word& word : kWords) {
      if (word.word == text) apply(word, names);
    }
  }
  return names;
}

}  // namespace espalier::control
