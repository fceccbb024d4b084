// An inventory to a world: every host and foreign peer with its engine and its connections.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "mesh/plan.hpp"
#include "sim/ledger.hpp"
#include "sim/options.hpp"

namespace espalier::sim {

class BuiltMesh {
 public:
  // Adds the hosts to the world, in the inventory's order; foreign peers after them.
  BuiltMesh(const config::Inventory& inventory, const Options& options, World& world);

  // Configures every host at once, and tells the ledger which pairs are to come up.
  Status configure_all(Ledger& ledger);
  // Configures a host as its daemon does when it starts.
  Status configure(Host& host);

  // Pairs that only traffic starts: the host and the pair's name.
  const std::vector<std::pair<HostId, std::string>>& traps() const { return traps_; }
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  struct End {
    HostId host, peer;
    policy::Start start;
  };
  // What the host is configured with; compiled anew at each call, so that no copy lies about.
  Result<std::vector<policy::Connection>> connections(const Host& host) const;
  mesh::Credentials credentials_for(const std::string& host) const;
  void mirror(const Host& host, const policy::Connection& connection);
  void use_keys_for_certificates();
  void remember(const Host& host, const std::vector<policy::Connection>& connections);

  config::Inventory inventory_;
  World& world_;
  std::map<std::string, std::vector<policy::Connection>> of_foreign_;  // by the peer's name
  std::vector<End> ends_;
  std::vector<std::pair<HostId, std::string>> traps_;
  std::vector<std::string> notes_;
};

}  // namespace espalier::sim
