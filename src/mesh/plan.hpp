// The compiler: one inventory and one host's place in it, to that host's connections. Pure; the
// same inputs give the same plan on every host, and the two ends of a pair mirror each other.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/inventory.hpp"

namespace espalier::mesh {

// Which host of the inventory this is: the one named like the host name, else the one whose name
// and the host name are the same up to the domain, else the one that has an address of this
// machine. Errors: kNotFound and, when several fit, kBadInput; both say to use --self NAME.
Result<std::string> find_self(const config::Inventory& inventory, std::string_view hostname,
                              const std::vector<IpAddress>& own_addresses);
// For --self NAME. Error: kNotFound with the nearest name.
Result<std::string> named_self(const config::Inventory& inventory, std::string_view name);

struct RequiredFile {
  enum class Kind : std::uint8_t {
    kMeshSecret,
    kForeignSecret,
    kPpk,
    kPrivateKey,
    kCertificate,
    kAnchors,
    kManualKeys
  };
  Kind kind = Kind::kMeshSecret;
  std::string path;  // relative to the configuration folder; for kAnchors a folder of *.pem
  std::string name;  // kForeignSecret, kPpk, kManualKeys: the file's name as the inventory says it;
                     // else empty
  std::string why;   // for messages: "bender-flexo authenticates by the mesh secret"
  friend bool operator==(const RequiredFile&, const RequiredFile&) = default;
};
// What has to be read before compile(), in the order above, each path once. self is a host of the
// inventory.
std::vector<RequiredFile> required_files(const config::Inventory& inventory, std::string_view self);

// An own certificate as its file has it.
struct OwnFile {
  std::string path;          // for messages: "x509/bender.pem"
  std::string private_key;   // the name under which the job runner has its key
  std::vector<Bytes> chain;  // DER, end entity first
};

// What those files held.
struct Credentials {
  SecretBytes mesh_secret;                             // parse_secret()
  std::map<std::string, SecretBytes> foreign_secrets;  // by RequiredFile::name
  std::map<std::string, SecretBytes> ppks;             // by RequiredFile::name
  std::map<std::string, SecretBytes> manual_keys;      // the files' text, by RequiredFile::name
  std::vector<OwnFile> certificates;                   // own, in order of preference
  std::vector<Bytes> anchors;                          // DER
  // `espalier check` has no files at hand: certificates are taken to be right.
  bool stand_ins = false;
  // A simulation is about IKE: false leaves tunnels with manual keys out.
  bool with_manual = true;
};

struct HostPlan {
  std::string mesh;
  std::string self;
  std::vector<IpAddress> own_addresses;
  std::vector<Prefix> own_subnets;
  std::vector<policy::Connection> connections;  // ordered by name
  std::vector<policy::ManualTunnel> manual;     // ordered by name
  std::vector<std::string> warnings;            // whole sentences for people, without secrets
  friend bool operator==(const HostPlan&, const HostPlan&) = default;
};

// self is a host of the inventory. Own chains are completed from the anchors. Errors: kBadInput for
// a weak mesh secret and for a certificate that does not speak for this host; kNotFound for a
// credential that is needed and not there, with the file it belongs in.
Result<HostPlan> compile(const config::Inventory& inventory, std::string_view self,
                         const Credentials& credentials);

// From one plan to the next, by connection names. Connections compare as wholes: any difference is
// a change.
struct PlanDiff {
  std::vector<std::string> added;
  std::vector<std::string> removed;
  std::vector<std::string> changed;
  std::size_t unchanged = 0;
  bool own_changed = false;  // mesh, self, own addresses or own subnets
  bool empty() const { return added.empty() && removed.empty() && changed.empty() && !own_changed; }
};
PlanDiff plan_diff(const HostPlan& before, const HostPlan& after);

}  // namespace espalier::mesh
