// The policies that stand in the kernel whatever SAs there are: what is closed, and exceptions.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "dataplane/port.hpp"
#include "mesh/plan.hpp"

namespace espalier::daemon {

// Gives each a reqid of its own, that no SA ever has, and the same one again with the next plan, so
// that a reload touches what changed and nothing else.
class StandingPolicies {
 public:
  // For each connection and each tunnel with manual keys: one closed policy for each child, or for
  // its bounds, and one for each exception.
  std::vector<dataplane::PolicySpec> of(const mesh::HostPlan& plan);

 private:
  ReqId reqid_of(const std::string& name, bool clear);

  std::map<std::string, ReqId> held_;  // by pair and selectors
  std::set<ReqId> used_;
  std::uint32_t next_[2] = {0, 0};
};

}  // namespace espalier::daemon
