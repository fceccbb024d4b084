// Revocation lists that were fetched, on disk: a daemon that starts while their server is down
// still knows what was revoked.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"

namespace espalier::daemon {

struct CachedList {
  std::string url;
  Bytes issuer;  // DER certificate of the CA that signed it; the list is checked against it again
  Bytes list;    // DER
};

inline constexpr std::size_t kCachedListsMax = 256;

// Files of one folder, one a list. What cannot be read is no list: the folder is a cache.
std::vector<CachedList> read_cached_lists(const std::string& folder);
// In the place of an older one of the same address and CA. Errors: kSystem.
Status write_cached_list(const std::string& folder, const CachedList& list);

}  // namespace espalier::daemon
