// Transport mode: its selectors are the two addresses of the IKE SA, as each end sees them (RFC
// 7296 section 2.23.1).
#pragma once

#include "ike/v2/exchange.hpp"
#include "ike/v2/sa.hpp"

namespace espalier::ike::v2 {

struct SeenSelectors {
  policy::SelectorList local, remote;
  Box<NatOriginal> original;  // when a NAT changed an address
};

// The peer's selectors in our own addresses: where a NAT was found, the address of the IKE SA takes
// the place of the one that the peer wrote. Error kTsUnacceptable: more than one address, or one
// that the IKE SA does not have.
Result<SeenSelectors> as_we_see(const IkeSa& sa, const policy::SelectorList& local,
                                const policy::SelectorList& remote);

// What is offered of a child's selectors: all in tunnel mode; in transport mode, where they cover
// more than the addresses of the IKE SA, those addresses alone.
policy::SelectorList offered_local(const IkeSa& sa, const policy::ChildConfig& config,
                                   const policy::SelectorList& configured);
policy::SelectorList offered_remote(const IkeSa& sa, const policy::ChildConfig& config,
                                    const policy::SelectorList& configured);

}  // namespace espalier::ike::v2
