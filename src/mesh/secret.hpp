// Secret files, and the keys of pairs that come from the mesh secret.
#pragma once

#include <string>
#include <string_view>

#include "base/secret.hpp"
#include "config/inventory.hpp"

namespace espalier::mesh {

// The contents of a secret file: one line, whose newline is not part of it; "0x..." is hex, "0s..."
// base64, anything else the bytes themselves. Errors: kBadInput, without any of the text.
Result<SecretBytes> parse_secret(std::string_view text);

// Refuses a mesh secret that can be guessed: under 16 octets, one pattern over and over, a
// sequence, or an example from a manual. The error says to make one with `espalier secret new`. No
// such check makes a secret good.
Status check_mesh_secret(const SecretBytes& secret);

// Why a secret shared with a foreign peer looks guessable; empty if it does not. Its owner may have
// no choice, so it is a warning only.
std::string foreign_secret_warning(const SecretBytes& secret);

// The key of one pair, for `espalier secret pair PEER`.
struct PeerSecret {
  std::string self;
  std::string peer;
  SecretBytes key;
  std::string text() const;  // "0x" and 64 digits: what a foreign box takes
};
// self: a host of the inventory; peer: another, or a foreign peer. Errors: kNotFound with the
// nearest name, kBadInput for a weak mesh secret.
Result<PeerSecret> pair_secret(const config::Inventory& inventory, std::string_view self,
                               std::string_view peer, const SecretBytes& mesh_secret);

}  // namespace espalier::mesh
