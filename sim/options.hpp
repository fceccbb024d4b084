// What `espalier simulate` does to a mesh: chances, and faults at stated times. With the inventory,
// the seed and the version this is the whole run.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/time.hpp"
#include "config/inventory.hpp"
#include "sim/network.hpp"

namespace espalier::sim {

// Times count from the start of the mesh.
struct Reboot {  // crashes, loses every SA, and starts again after Options::downtime
  std::string host;
  Duration at{};
};
// Its daemon is killed, and starts again after Options::downtime with its journal; the dataplane
// goes on meanwhile.
struct Restart {
  std::string host;
  Duration at{};
};
struct Netsplit {  // nothing of a reaches b, and nothing of b reaches a unless one_way
  std::string a, b;
  Duration at{};
  Duration length{};
  bool one_way = false;
};
struct Kill {  // so many per cent of the hosts, at least one, crash and stay away
  double percent = 0;
  Duration at{};
};
struct Rebind {  // a translator before the host forgets its ports
  std::string host;
  Duration at{};
};
struct Move {  // the host has new addresses, which the inventory does not name
  std::string host;
  Duration at{};
  Duration length{};  // then it has those of the inventory again; 0: never
};
// The host's dataplane and so many per cent of its SAs: they expire, soft or hard.
struct Expire {
  std::string host;
  double percent = 0;
  Duration at{};
  bool hard = true;
};

// Every SA goes from the host's dataplane, and its engine is not told.
struct Vanish {
  std::string host;
  Duration at{};
};

// Diffie-Hellman and signatures: OpenSSL's, or cheap ones of the same sizes (sim/cheap_jobs.hpp).
// kAuto: cheap, and OpenSSL's for every kRealEvery-th seed.
enum class Crypto : std::uint8_t { kAuto, kReal, kSimulated };
inline constexpr std::uint64_t kRealEvery = 16;

// Every host compares its engine with its dataplane so often (sim/repair.hpp).
inline constexpr Duration kRepairEvery = 10s;

struct Options {
  NetworkOptions network;
  std::vector<Reboot> reboots;
  std::vector<Restart> restarts;
  Duration downtime = 5s;
  // A host that reboots has what its daemon had written (the secret behind RFC 6290's tokens).
  bool keep_state = true;
  std::vector<Netsplit> netsplits;
  std::vector<Kill> kills;
  std::vector<Rebind> rebinds;
  std::vector<Move> moves;
  std::vector<Expire> expires;
  std::vector<Vanish> vanishes;
  double refuse = 0;           // probability that a dataplane refuses an SA, until the last fault
  std::size_t sad_limit = 0;   // SAs that a dataplane holds, until the last fault; 0: any number
  std::int64_t drift_ppm = 0;  // each host's clock is wrong by up to this much
  bool election = false;       // as in production; else both ends initiate every pair
  Crypto crypto = Crypto::kAuto;
  Duration run_for{};  // at least so long, faults and loss included
  bool real_crypto(std::uint64_t seed) const {
    return crypto == Crypto::kReal || (crypto == Crypto::kAuto && seed % kRealEvery == 0);
  }
};

// Hosts that the faults name and the inventory has not: kInvalidArgument, with the nearest name.
Status check(const Options& options, const config::Inventory& inventory);

// The same of names that another option gives.
Status check_names(const std::vector<std::string>& names, const config::Inventory& inventory,
                   std::string_view option);

// When the last fault with a time of its own is over.
Duration last_fault(const Options& options);

}  // namespace espalier::sim
