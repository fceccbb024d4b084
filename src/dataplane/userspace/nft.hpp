// libnftables behind two functions. Never the nft binary.
#pragma once

#include <string>

#include "base/result.hpp"

namespace espalier::dataplane::userspace {

// Runs commands in nft's language as one transaction, and returns what they print (terse: set
// elements are left out). Errors: kPermission, kNotFound (a table or chain that is not there),
// kSystem; the message carries nft's own words.
Result<std::string> run_nft(const std::string& commands);

// Removes our table. True: there was one.
Result<bool> remove_protection();

}  // namespace espalier::dataplane::userspace
