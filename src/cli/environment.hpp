// What the verbs see of the world: a terminal, the daemon's socket, files, chance. os_environment
// is the real one; the tests have a twin.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/address.hpp"
#include "base/log.hpp"
#include "base/result.hpp"
#include "base/secret.hpp"
#include "base/time.hpp"
#include "dataplane/preflight/facts.hpp"
#include "mesh/lockout.hpp"
#include "wire/vici/message.hpp"

namespace espalier::cli {

// A conversation with the daemon.
class Connection {
 public:
  virtual ~Connection() = default;
  using OnEvent = std::function<void(std::string_view event, const wire::vici::Section&)>;

  // Sends a request and hands every event to on_event until the response is there. Errors:
  // kUnsupported when the daemon does not know the command, kTimeout, kSystem when it went away.
  virtual Result<wire::vici::Section> request(std::string_view command,
                                              const wire::vici::Section& arguments,
                                              const OnEvent& on_event, Duration timeout) = 0;
  // Asks for events of that name. Errors: as request().
  virtual Status subscribe(std::string_view event) = 0;
  // Hands events over until the daemon goes away, which is the error it returns.
  virtual Status follow(const OnEvent& on_event) = 0;
};

// One way to find out whether a packet passes.
class PathProber {
 public:
  enum class Answer : std::uint8_t { kAnswered, kSilent, kTooBig };
  struct Outcome {
    Answer answer = Answer::kSilent;
    std::size_t mtu = 0;  // kTooBig: what fits
  };
  virtual ~PathProber() = default;
  // Sends one IP packet of so many octets with DF set, and waits a moment. Errors: kSystem.
  virtual Result<Outcome> probe(std::size_t octets) = 0;
};
struct ProbeTarget {
  enum class Way : std::uint8_t {
    kOutside,  // UDP past IPsec: to the peer's IKE port
    kThrough,  // a ping that IPsec protects
  };
  Way way = Way::kOutside;
  IpAddress local;
  SocketAddress remote;  // the port: kOutside
};

class Environment {
 public:
  virtual ~Environment() = default;
  virtual void out(std::string_view text) = 0;
  virtual void err(std::string_view text) = 0;
  virtual bool color() const = 0;  // standard output is a terminal that wants colours

  virtual bool err_is_terminal() const = 0;
  virtual double clock() = 0;      // seconds of a monotonic clock
  virtual std::size_t heap() = 0;  // octets of this process's heap in use

  // Errors: kNotFound (no socket, or nobody listens on it), kPermission, kSystem.
  virtual Result<std::unique_ptr<Connection>> connect(const std::string& socket_path) = 0;
  // Errors: kNotFound, kPermission, kLimit (larger than max_bytes), kSystem.
  virtual Result<std::string> read_file(const std::string& path, std::size_t max_bytes) = 0;
  // The names in a folder, in any order; nothing when there is no such folder.
  virtual std::optional<std::vector<std::string>> names(const std::string& folder) = 0;
  virtual std::int64_t unix_now() = 0;  // seconds since 1970, for the dates of certificates
  // Permission bits and owner of a file, for secrets: an error tells what is wrong with them.
  virtual Status check_private(const std::string& path) = 0;
  virtual Result<SecretBytes> random(std::size_t count) = 0;
  virtual std::string host_name() = 0;
  virtual std::vector<IpAddress> own_addresses() = 0;
  // Errors: kPermission, kSystem.
  virtual Result<std::unique_ptr<PathProber>> open_prober(const ProbeTarget& target) = 0;
  virtual std::string local_time(std::int64_t unix_ms) = 0;  // "2026-11-21 01:14:28.123"
  // By whom this host is being worked on: SSH_CONNECTION, and established connections to port 22.
  virtual std::vector<mesh::Login> logins() = 0;
  virtual dataplane::preflight::HostFacts host_facts(
      const dataplane::userspace::HostNetwork& network) = 0;
  // SSH_CONNECTION, or nothing.
  virtual std::string ssh_connection() = 0;
  // Removes every device, route, rule and table of ours from this host.
  virtual Status teardown(Logger& logger, const std::string& run) = 0;
};

}  // namespace espalier::cli
