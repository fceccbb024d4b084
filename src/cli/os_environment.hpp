// The real Environment: the terminal, files, sockets and the kernel's random numbers.
#pragma once

#include "cli/environment.hpp"

namespace espalier::cli {

class OsEnvironment : public Environment {
 public:
  void out(std::string_view text) override;
  void err(std::string_view text) override;
  bool color() const override;
  bool err_is_terminal() const override;
  double clock() override;
  std::size_t heap() override;
  Result<std::unique_ptr<Connection>> connect(const std::string& socket_path) override;
  Result<std::string> read_file(const std::string& path, std::size_t max_bytes) override;
  std::optional<std::vector<std::string>> names(const std::string& folder) override;
  std::int64_t unix_now() override;
  Status check_private(const std::string& path) override;
  Result<SecretBytes> random(std::size_t count) override;
  Result<std::unique_ptr<PathProber>> open_prober(const ProbeTarget& target) override;
  std::string host_name() override;
  std::vector<IpAddress> own_addresses() override;
  std::string local_time(std::int64_t unix_ms) override;
  std::vector<mesh::Login> logins() override;
  dataplane::preflight::HostFacts host_facts(
      const dataplane::userspace::HostNetwork& network) override;
  std::string ssh_connection() override;
  Status teardown(Logger& logger, const std::string& run) override;
};

}  // namespace espalier::cli
