// Files the daemon reads and writes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/secret.hpp"

namespace espalier::daemon {

inline constexpr std::size_t kMaxFileOctets =
    8 * 1024 * 1024;  // an inventory of thousands of hosts is far below

bool file_exists(const std::string& path);
// In any order; nothing when there is no such folder.
std::optional<std::vector<std::string>> names_in_folder(const std::string& path);
// Errors: kBadInput with the path and the system's reason; kLimit above max_octets.
Result<Bytes> read_file(const std::string& path, std::size_t max_octets);
// The same for secrets and keys: refused (kPermission, with the chmod to run) when group or others
// may read or write it.
Result<SecretBytes> read_private_file(const std::string& path);
// The 32 random octets in that file, mode 0600, which is made when it is not there yet. Errors as
// above, and kBadInput when it holds anything else.
Result<SecretBytes> lasting_secret(const std::string& path);
// Makes the folder with its parents, mode 0700. An existing one is taken as it is.
Status make_folder(const std::string& path);

}  // namespace espalier::daemon
