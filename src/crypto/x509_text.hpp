// Certificates in words.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.hpp"

namespace espalier::crypto {

// "2026-11-21 01:00:00 UTC", from seconds since 1970.
std::string utc_text(std::int64_t seconds);

// RFC 4514 text of a DER Name; nothing when it is not one. Control and non-ASCII characters are
// escaped, so it can go into a log line as it is.
std::optional<std::string> name_text(ByteView name_der);

}  // namespace espalier::crypto
