// X.501 names: just enough DER to show one to a person and to find its common name.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.hpp"

namespace espalier::policy {

struct NameAttribute {
  std::string type;  // "CN", "O", ...; dotted numbers for an attribute we have no word for
  std::string value;
};

// The attributes of a DER Name (RFC 5280 section 4.1.2.4) in order. Errors: kTruncated, kMalformed,
// kLimit.
Result<std::vector<NameAttribute>> parse_distinguished_name(ByteView der);

}  // namespace espalier::policy
