// Revocation lists that were fetched, and where the status of connected peers is asked, on disk: a
// daemon that starts while a server is down still knows what was revoked, and it asks for the peers
// whose IKE SAs go on with it.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.hpp"
#include "base/result.hpp"
#include "crypto/revocation.hpp"

namespace espalier::daemon {

struct CachedList {
  std::string url;
  Bytes issuer;  // DER certificate of the CA that signed it; the list is checked against it again
  Bytes list;    // DER
};

inline constexpr std::size_t kCachedListsMax = 256;
inline constexpr std::size_t kCachedPeersMax = 4096;

// Files of one folder, one a list. What cannot be read is no list: the folder is a cache.
std::vector<CachedList> read_cached_lists(const std::string& folder);
// In the place of an older one of the same address and CA. Errors: kSystem.
Status write_cached_list(const std::string& folder, const CachedList& list);

// A peer's certificate and the OCSP responder that is asked about it.
struct CachedPeer {
  std::string url;
  crypto::PathCertificate certificate;  // without its addresses
};

// As with lists. A machine that stops may lose one: it is asked for when the peer comes again.
std::vector<CachedPeer> read_cached_peers(const std::string& folder);
Status write_cached_peer(const std::string& folder, const CachedPeer& peer);
void remove_cached_peer(const std::string& folder, const std::string& url,
                        const crypto::CertificateId& id);

}  // namespace espalier::daemon
