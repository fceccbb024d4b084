// From a host's plan to what the host around the userspace plane must look like.
#pragma once

#include "dataplane/userspace/host_setup.hpp"
#include "mesh/plan.hpp"

namespace espalier::daemon {

// Every selector of every pair under `protect: require` is protected; the MTU is the largest that
// fits an outer packet of 1500 octets with the worst suite that may be negotiated.
dataplane::userspace::HostNetwork make_host_network(const mesh::HostPlan& plan);

// The largest inner packet whose outer one, ESP in UDP, has 1500 octets at most, whichever suite
// the connection comes to have; octets.
std::size_t smallest_inner(const policy::Connection& connection);

}  // namespace espalier::daemon
