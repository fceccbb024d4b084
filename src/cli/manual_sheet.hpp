// The sheet of one end of a tunnel with manual keys: a table, `ip xfrm` commands, JSON. All of them
// hold keys, and are to be wiped.
#pragma once

#include <string>

#include "cli/manual_vendor.hpp"
#include "policy/manual.hpp"

namespace espalier::cli {

// `side` is the end that the sheet is for. Errors: as fits_vendor() and vendor_key().
Result<std::string> sheet_text(const policy::ManualTunnel& side, const ManualVendor& vendor);
// with_keys: without, there is no secret in it.
Result<std::string> sheet_json(const policy::ManualTunnel& side, const ManualVendor& vendor,
                               bool with_keys);
// Commands of iproute2, ready to be run as root. Of several periods: all SAs to receive with, and
// the outbound SA of the first; the later ones stand behind comments with their time. Errors:
// kUnsupported for a suite that Linux has no name for.
Result<std::string> sheet_ip(const policy::ManualTunnel& side);

}  // namespace espalier::cli
