// The tests' twin of the world: what was printed, files by path, and a daemon that is scripted or a
// real control server in memory. Included by tests only.
#pragma once

#include <map>

#include "cli/environment.hpp"
#include "control/server.hpp"

namespace espalier::cli {

class FakeEnvironment : public Environment {
 public:
  using Connector = std::function<Result<std::unique_ptr<Connection>>(const std::string& path)>;

  void out(std::string_view text) override { out_text += text; }
  void err(std::string_view text) override { err_text += text; }
  bool color() const override { return colored; }
  bool err_is_terminal() const override { return false; }
  double clock() override { return ticks += 0.5; }
  std::size_t heap() override { return 0; }
  Result<std::unique_ptr<Connection>> connect(const std::string& path) override {
    connected_to.push_back(path);
    if (connector) return connector(path);
    return make_error(ErrorCode::kNotFound, "there is no such socket.");
  }
  Result<std::string> read_file(const std::string& path, std::size_t max_bytes) override {
    const auto found = files.find(path);
    if (found == files.end()) {
      return make_error(ErrorCode::kNotFound, path + " cannot be read: No such file or directory.");
    }
    if (found->second.size() > max_bytes) return make_error(ErrorCode::kLimit, path + " is large.");
    return found->second;
  }
  std::optional<std::vector<std::string>> names(const std::string& folder) override {
    std::vector<std::string> found;
    for (const auto& [path, text] : files) {
      if (path.starts_with(folder + "/")) found.push_back(path.substr(folder.size() + 1));
    }
    if (found.empty()) return std::nullopt;
    return found;
  }
  std::int64_t unix_now() override { return wall; }
  Status check_private(const std::string& path) override {
    if (open_to_others.empty() || open_to_others != path) return {};
    return make_error(ErrorCode::kBadInput, path + " has mode 0644: run `chmod 0600`.");
  }
  Result<SecretBytes> random(std::size_t count) override {
    Bytes bytes(count);
    for (std::size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::uint8_t>(i * 73 + 17);
    return SecretBytes(std::move(bytes));
  }
  using ProberMaker = std::function<Result<std::unique_ptr<PathProber>>(const ProbeTarget&)>;
  Result<std::unique_ptr<PathProber>> open_prober(const ProbeTarget& target) override {
    if (prober) return prober(target);
    return make_error(ErrorCode::kPermission, "Probing the path needs root.");
  }
  std::string host_name() override { return "bender"; }
  std::vector<IpAddress> own_addresses() override { return {}; }
  std::string local_time(std::int64_t unix_ms) override { return "t" + std::to_string(unix_ms); }
  std::vector<mesh::Login> logins() override {
    const auto login = mesh::parse_ssh_connection(ssh);
    return login ? std::vector<mesh::Login>{*login} : std::vector<mesh::Login>{};
  }
  dataplane::preflight::HostFacts host_facts(
      const dataplane::userspace::HostNetwork& network) override {
    looked_at = network;
    return facts;
  }
  std::string ssh_connection() override { return ssh; }
  Status teardown(Logger& logger, const std::string&) override {
    ++teardowns;
    logger.log({LogLevel::kInfo, "dataplane", "", "Removed the table espalier."});
    return teardown_result;
  }

  std::string out_text, err_text;
  bool colored = false;
  double ticks = 0;
  std::int64_t wall = 1793232000;  // 2026-10-29
  std::map<std::string, std::string> files;
  std::string open_to_others;
  std::string ssh;
  dataplane::preflight::HostFacts facts;
  dataplane::userspace::HostNetwork looked_at;
  Connector connector;
  ProberMaker prober;
  std::vector<std::string> connected_to;
  int teardowns = 0;
  Status teardown_result;
};

}  // namespace espalier::cli
