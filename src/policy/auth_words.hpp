#pragma once

#include <string>

#include "policy/nouns.hpp"

namespace espalier::policy {

// How the ends of a connection prove who they are: "psk", "cert"; where one does not, ours first:
// "null/cert", "psk/null", and "null" for both (RFC 7619).
std::string auth_words(const Connection& connection);

}  // namespace espalier::policy
