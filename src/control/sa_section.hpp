// Pairs and connections as the messages of strongSwan's list-sa, list-conn, ike-updown and
// child-updown events; the keys are those that its VICI README documents.
#pragma once

#include "control/unique_ids.hpp"
#include "control/view.hpp"
#include "wire/vici/message.hpp"

namespace espalier::control {

enum class Children : std::uint8_t { kNone, kAll };

// { <pair> = { uniqueid, version, state, local-host, ... child-sas { ... } } }. A pair without an
// IKE SA has no message: the section is empty. encap_always: the plane encapsulates whether or not
// a NAT is on the path.
wire::vici::Section list_sa(const PairStatus& pair, const UniqueIds& ids, bool encap_always,
                            Children children);
// { <connection> = { local_addrs, remote_addrs, version, local-1, remote-1, children } }
wire::vici::Section list_conn(const ConnectionConfig& connection);

}  // namespace espalier::control
