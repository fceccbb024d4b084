// Manual keys (RFC 4301 section 4.5.1): tunnels without IKE, whose keys and SPIs are written down.
// The nouns, and what makes a key or an SPI fit for that.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.hpp"
#include "base/secret.hpp"
#include "base/strong.hpp"
#include "base/time.hpp"
#include "policy/nouns.hpp"

namespace espalier::policy {

// The keys of one period. Seen from one end: `in` is what that end receives with.
struct ManualKeys {
  Spi spi_in, spi_out;
  SecretBytes encr_in, integ_in, encr_out, integ_out;
  std::optional<std::int64_t> from;  // seconds since 1970; nothing: since ever
  friend bool operator==(const ManualKeys&, const ManualKeys&) = default;
};

struct ManualTunnel {
  std::string name;  // "<self>-<peer>"
  std::string peer;
  Mode mode = Mode::kTunnel;
  IpAddress local, remote;
  SelectorList local_ts, remote_ts;
  crypto::CipherSuite suite;
  bool udp_encap = false;           // RFC 3948, both ports 4500
  std::uint32_t replay_window = 0;  // packets; 0: off
  Duration overlap = 1h;            // how long old keys still open packets after a change
  SharedList<Service> except;       // stays outside IPsec, as this host sees it
  std::vector<ManualKeys> keys;     // by `from`, at least one
  friend bool operator==(const ManualTunnel&, const ManualTunnel&) = default;
};

// The other end's view: in and out, local and remote swapped.
ManualTunnel mirrored(const ManualTunnel& tunnel);

// Its traffic as that of a connection, with one child and nothing of IKE: for whoever looks at what
// is protected, and at what stays outside.
Connection traffic_of(const ManualTunnel& tunnel);

// What of the keys is in use at a moment.
struct ManualUse {
  std::size_t outbound = 0;                 // the index of the keys to send with
  std::vector<std::size_t> inbound;         // of those to receive with, in order
  std::optional<std::int64_t> next_change;  // seconds since 1970: when this will be different
  friend bool operator==(const ManualUse&, const ManualUse&) = default;
};
// Before the first `from` the first keys are used. All keys to come are received with already, so
// that clocks need not agree to the second.
ManualUse manual_use(const ManualTunnel& tunnel, std::int64_t unix_now);

// "4096" is decimal, "0x1000" hex. Errors: kBadInput with the end of a sentence that starts with
// what it is, for no such number and for the reserved ones ("0 ... MUST NOT be sent on the wire",
// "1 through 255 are reserved by IANA", RFC 4303 section 2.1).
Result<Spi> parse_manual_spi(std::string_view text);
// The same of a number that was read otherwise.
Result<Spi> check_manual_spi(std::uint64_t value, std::string_view as_written);
std::string spi_words(Spi spi);  // "4096 (0x1000)"

// One suite in strongSwan's words: CBC with an HMAC. Errors: kBadInput for an AEAD and for counter
// modes, whose nonces would repeat after a restart (RFC 8221 section 3, RFC 3686 section 7, RFC
// 4106 section 10), with the reason; kBadInput for no encryption, no integrity or several suites.
Result<crypto::CipherSuite> parse_manual_suite(std::string_view words);
std::string suite_words(const crypto::CipherSuite& suite);  // "aes256-sha256"

// Which key of a suite.
enum class KeyUse : std::uint8_t { kEncryption, kAuthentication };
std::string_view name(KeyUse use);
std::size_t key_octets(const crypto::CipherSuite& suite, KeyUse use);

// Why a key looks guessable: repeated octets, a pattern, a sequence, few different octets, text of
// too few characters, an example of a manual or an RFC. Empty if it does not; no such check makes a
// key good.
std::string weakness(ByteView key);

// Length and strength. The error (kBadInput) never holds any of the key.
Status check_manual_key(const crypto::CipherSuite& suite, KeyUse use, ByteView key);

}  // namespace espalier::policy
