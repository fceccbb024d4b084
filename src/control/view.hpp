// What control sees of the daemon: snapshots out, requests in. Pure; the daemon implements it,
// tests have a twin.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/address.hpp"
#include "base/log.hpp"
#include "base/result.hpp"

namespace espalier::control {

// The fields of `status --json` (README "status --json"); names and meaning are stable, fields only
// added.
struct IkeStatus {
  std::string state;          // "connecting", "established", "rekeying", "deleting"
  std::string role;           // "initiator", "responder"
  std::string local, remote;  // "192.0.2.11[4500]"
  std::string local_id, remote_id;
  std::string spi_local, spi_remote;  // 16 hex digits
  std::string suite;
  std::int64_t established_s = 0;
  std::int64_t rekey_in_s = 0;
  bool nat = false;
  bool ppk = false;  // keyed with a post-quantum preshared key too
  // Of the certificates that the peer showed, the first to end; empty: it showed none.
  std::string certificate;
  std::int64_t certificate_until = 0;  // seconds since 1970
};
// A certificate or revocation list that is out of its dates or soon will be.
struct CertificateStatus {
  std::string kind;                  // "own", "ca", "list", "peer"
  std::string where;                 // the file, or the pair
  std::string subject;               // of a list: its CA
  std::string state;                 // "soon", "urgent", "expired", "not yet valid", "revoked"
  std::int64_t from = 0, until = 0;  // seconds since 1970
  std::string text;                  // a whole sentence with what to do next
};
struct ChildStatus {
  std::string name;
  std::string mode;
  std::string state;  // "installed", "rekeying", "rekeyed" (a successor is there), "deleting"
  std::string suite;
  std::string spi_in, spi_out;  // 8 hex digits
  std::uint32_t reqid = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0, packets_in = 0, packets_out = 0;
  std::int64_t installed_s = 0, rekey_in_s = 0;
  std::vector<std::string> local_ts, remote_ts;
  bool udp_encap = false;  // RFC 3948
  bool manual = false;     // keys that are written down, never renewed
};
struct PairStatus {
  std::string name;
  std::string peer;
  std::string state;                  // "up", "connecting", "waiting", "down", "disabled"
  bool idle = false;                  // nothing is wrong: no traffic asked for it (start: trap)
  std::optional<std::string> reason;  // why it is not up: the last error, a whole sentence
  std::uint64_t attempts = 0;         // since it was last up
  std::optional<std::int64_t> next_retry_s;
  std::optional<IkeStatus> ike;
  std::vector<ChildStatus> children;
};
struct ConnectionConfig {  // list-conns
  std::string name;
  std::vector<std::string> local_addresses, remote_addresses;
  std::string local_id, remote_id, auth;
  std::int64_t rekey_time_s = 0;
  struct Child {
    std::string name, mode;
    std::int64_t rekey_time_s = 0;
    std::vector<std::string> local_ts, remote_ts;
    std::uint64_t rekey_bytes = 0, rekey_packets = 0;  // 0: no such limit
  };
  std::vector<Child> children;
};
struct StatusSnapshot {
  std::string mesh, self, version, dataplane;
  std::uint64_t generation = 0;  // of the loaded configuration: counts successful loads
  // What of ours somebody else changed in the dataplane, and was put right: (name, how often),
  // since the daemon began.
  std::vector<std::pair<std::string, std::uint64_t>> repairs;
  std::vector<std::string> notes;  // what a person should know of how the host was set up
  std::vector<CertificateStatus> certificates;
  std::vector<PairStatus> pairs;  // every configured pair, ordered by name
  std::string dataplane_why{};    // "kernel: it has ESP with every suite ..."
};
struct ReloadRequest {
  std::string ssh_connection;  // the caller's SSH_CONNECTION, or nothing
  bool force = false;          // even though somebody is cut off by it
};
struct ReloadReport {
  std::vector<std::string> added, removed, changed;  // pair names
  std::uint64_t unchanged = 0;
  std::uint64_t generation = 0;
};

class View {
 public:
  virtual ~View() = default;
  virtual StatusSnapshot status() = 0;
  virtual std::vector<ConnectionConfig> connections() = 0;
  // One of them, by the pair's name; its counters may be a second old. The daemon does not make the
  // whole list for it.
  virtual std::optional<PairStatus> pair_status(const std::string& name);
  virtual std::optional<ConnectionConfig> connection_config(const std::string& name);
  // The pair's name for "bender-flexo" or "flexo"; kNotFound with the names there are.
  virtual Result<std::string> resolve(const std::string& name) = 0;
  virtual Status initiate(
      const std::string& pair) = 0;  // returns at once; the outcome comes as a PairEvent
  virtual Status terminate(const std::string& pair) = 0;  // likewise; the pair is "disabled" until
                                                          // the next initiate or reload
  virtual Status rekey(const std::string& pair, bool ike) = 0;
  // RFC 5685. kInvalidArgument: it is not up; kUnsupported: the peer does not follow redirects.
  virtual Status redirect(const std::string& pair, const IpAddress& to) = 0;
  virtual Result<ReloadReport> reload(const ReloadRequest& request) = 0;
  // (name, value), ordered by name; metric-style names: "ike_messages_in", "drop_unknown_spi", ...
  virtual std::vector<std::pair<std::string, std::uint64_t>> counters() = 0;
};

// Told to control by the daemon as it happens.
struct PairEvent {
  enum class Kind : std::uint8_t {
    kUp,
    kDown,
    kAttemptFailed,
    kIkeRekeyed,
    kChildRekeyed,
    kRekeyFailed
  };
  Kind kind = Kind::kUp;
  std::string pair;
  std::string text;  // the reason, for people
};

}  // namespace espalier::control
