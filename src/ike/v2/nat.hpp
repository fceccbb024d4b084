// NAT detection (RFC 7296 section 2.23): in IKE_SA_INIT, and with MOBIKE in INFORMATIONAL
// exchanges.
#pragma once

#include <vector>

#include "ike/v2/exchange.hpp"

namespace espalier::ike::v2 {

// SHA-1(SPIi | SPIr | IP address | port).
Bytes nat_hash(IkeSpi spi_i, IkeSpi spi_r, const SocketAddress& address);

// Whether ESP has to go in UDP whatever is on the way.
bool wants_encap(const Context& ctx, const ConnectionRef& connection);

// Both notifies for a message of an established SA that goes by `path`.
void add_nat_detection(Context& ctx, const IkeSa& sa, const Path& path,
                       std::vector<Payload>& payloads);

struct NatView {
  bool seen = false;   // the message has both notifies
  bool here = false;   // the peer sees another address of ours than we do
  bool there = false;  // we see another address of the peer than it does, or it says so on purpose
  Bytes seen_as;       // the peer's hash of our address
};
NatView read_nat_detection(const IkeSa& sa, const Path& path, const Message& message);

// The SA's NATs and encapsulation by what was seen; no change when nothing was.
void apply_nat_view(const Context& ctx, IkeSa& sa, const NatView& view);

}  // namespace espalier::ike::v2
