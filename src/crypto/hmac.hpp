// HMAC (RFC 2104) over one key and many messages: what prf, the integrity algorithms and the packet
// path share. Private to the room; others use prf.hpp and aead.hpp.
#pragma once

#include <memory>

#include "base/bytes.hpp"
#include "crypto/ids.hpp"

namespace espalier::crypto {

// A keyed context. start() begins a message with the key schedule that the constructor made, so a
// message costs no key set-up. It may be moved between threads but not used by two at once.
class Hmac {
 public:
  // hash: kSha1 or a SHA-2. Any key length, also none.
  Hmac(HashId hash, ByteView key);
  Hmac(Hmac&& other) noexcept;
  Hmac& operator=(Hmac&& other) noexcept;
  ~Hmac();

  void start();
  void update(ByteView bytes);
  // Writes the first out.size() octets of the tag: at most the hash's output.
  void finish(MutableByteView out);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The hash of an HMAC-based PRF or integrity algorithm; nothing for an id that is not one.
std::optional<HashId> hash_of(PrfId id);
std::optional<HashId> hash_of(IntegId id);

// Octets of a hash's output; 0 for kIdentity.
std::size_t hash_octets(HashId hash);

// The crypto library's word for a hash ("SHA256"); null for kIdentity.
const char* hash_name(HashId hash);

}  // namespace espalier::crypto
