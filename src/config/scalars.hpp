// Values as an inventory writes them: durations, numbers, switches, addresses. Text in, value out;
// an error is the end of a sentence that starts with the key.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/address.hpp"
#include "base/time.hpp"
#include "policy/nouns.hpp"

namespace espalier::config {

// Decimal digits without sign; a leading zero is refused, because other readers take it for octal.
Result<std::uint64_t> parse_number(std::string_view text);
// "500ms", "30s", "5m", "4h", "1d"; the unit is needed.
Result<Duration> parse_duration(std::string_view text);
// "10%".
Result<unsigned> parse_percent(std::string_view text);
// "1048576", "64MB" (powers of 1000), "64MiB" (powers of 1024).
Result<std::uint64_t> parse_octets(std::string_view text);
// "2026-12-01T00:00:00Z" (RFC 3339, UTC): seconds since 1970.
Result<std::int64_t> parse_utc_time(std::string_view text);
std::string utc_text(std::int64_t unix_time);  // the same back
// on, off, true, false.
Result<bool> parse_switch(std::string_view text);
// An address a host can be reached at: unicast, not loopback, not link-local IPv6. kUnsupported for
// a DNS name.
Result<IpAddress> parse_host_address(std::string_view text);
// A network behind a host. Host bits are an error that names the network.
Result<Prefix> parse_subnet(std::string_view text);

// "4h", "90s": the largest unit that leaves no rest.
std::string to_text(Duration duration);

// A packet mark, decimal or 0x-hex, with a mask behind a slash or all bits.
Result<policy::Mark> parse_mark(std::string_view text);
// The same, of the packets that a policy is about: a mask of 0 is none. `%unique` and the like are
// kUnsupported.
Result<std::optional<policy::Mark>> parse_packet_mark(std::string_view text);
// The number of an xfrm interface; 0: none.
Result<std::uint32_t> parse_if_id(std::string_view text);

}  // namespace espalier::config
