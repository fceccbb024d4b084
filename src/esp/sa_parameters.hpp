// What both ends of an SA are made from. A dataplane converts its own description into this.
#pragma once

#include "base/bytes.hpp"
#include "base/strong.hpp"
#include "policy/nouns.hpp"

namespace espalier::esp {

struct SaParameters {
  Spi spi;
  policy::Mode mode = policy::Mode::kTunnel;
  crypto::CipherSuite suite;
  ByteView encr_key;  // with the salt at its end; read while the SA is made, not kept
  ByteView integ_key;
  bool esn = false;
  // Packets. 0: no anti-replay, for manual keys alone (RFC 4303 section 3.3.3): inbound numbers are
  // not looked at, outbound ones start again behind the last.
  std::uint32_t replay_window = 1024;
  // The first sequence number to send or expect. A negotiated SA starts at 1; anything else would
  // use an IV twice. Tests and outside vectors set it.
  std::uint64_t first_sequence = 1;
};

// Errors: kInvalidArgument with the field that is wrong.
Status check(const SaParameters& parameters);

}  // namespace espalier::esp
