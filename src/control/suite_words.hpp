// Suites in strongSwan's proposal words ("aes256gcm16-prfsha384-x25519") as the algorithm names of
// VICI's list-sa ("AES_GCM_16", 256, "PRF_HMAC_SHA2_384", "CURVE_25519").
#pragma once

#include <string>
#include <string_view>

namespace espalier::control {

struct SuiteNames {
  std::string encr, encr_keysize, integ, prf, dh;  // empty: not in the suite
  bool esn = false;
  friend bool operator==(const SuiteNames&, const SuiteNames&) = default;
};

// Words that the table has not are left out: names are for people and scripts, nothing depends on
// them.
SuiteNames suite_names(std::string_view words);

}  // namespace espalier::control
