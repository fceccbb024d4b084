// Rules for the firewalls that operators have, from a plan. Pure.
#pragma once

#include <string>

#include "mesh/plan.hpp"

namespace espalier::cli {

// Commands for `nft -f`, for a shell with iptables, for a shell with ufw: IKE and ESP of the peers
// in, and what IPsec brought. Nothing is closed by them.
std::string nftables_rules(const mesh::HostPlan& plan);
std::string iptables_rules(const mesh::HostPlan& plan);
std::string ufw_rules(const mesh::HostPlan& plan);

}  // namespace espalier::cli
