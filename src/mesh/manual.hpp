// Tunnels with manual keys: the files their keys are in, and one host's view of them.
#pragma once

#include <string>
#include <string_view>

#include "mesh/plan.hpp"
#include "policy/manual.hpp"

namespace espalier::mesh {

// A file of keys: lines "encr-in: KEY", "integ-in", "encr-out", "integ-out", or "encr" and "integ"
// for both directions; '#' starts a comment. KEY is 0x and hex, 0s and base64, else the octets
// themselves. in and out as the tunnel's first host has them. Errors: kBadInput with
// file:line:column, and never any of a key: unknown or missing names, a wrong length, a weak key.
Result<policy::ManualKeys> parse_manual_keys(std::string_view text, const std::string& file,
                                             const crypto::CipherSuite& suite);
// The same back, as `espalier manual new` prints it. A secret: to be wiped. one: "encr" and
// "integ", of `in`. printable: the octets themselves.
std::string manual_keys_text(const policy::ManualKeys& keys, bool one, bool printable);

// The tunnels of a host of the inventory, ordered by name. With stand_ins keys are empty. Errors:
// kNotFound for a file that is not there, else as parse_manual_keys().
Result<std::vector<policy::ManualTunnel>> compile_manual(const config::Inventory& inventory,
                                                         std::string_view self,
                                                         const Credentials& credentials);

}  // namespace espalier::mesh
