// What every dataplane refuses before it touches anything.
#pragma once

#include "dataplane/port.hpp"

namespace espalier::dataplane {

// Errors: kInvalidArgument with the pair, the SPI and what is wrong (a reserved SPI, addresses of
// two families, a selector that ends before it starts, an empty selector list); kLimit for too many
// selectors.
Status check(const SaSpec& sa);
Status check(const PolicySpec& policy);

// "outbound SA c0ffee01 to 192.0.2.1", for messages.
std::string describe(const SaKey& key);

}  // namespace espalier::dataplane
