// The tests' twin of the daemon behind control/view.hpp. Included by tests only.
#pragma once

#include "control/view.hpp"

namespace espalier::control {

// Two pairs on bender: flexo is up, amy waits for her next attempt.
inline StatusSnapshot two_pairs() {
  StatusSnapshot snapshot;
  snapshot.mesh = "prod";
  snapshot.self = "bender";
  snapshot.version = "0.1.0";
  snapshot.dataplane = "userspace";
  snapshot.generation = 3;
  PairStatus amy;
  amy.name = "bender-amy";
  amy.peer = "amy";
  amy.state = "waiting";
  amy.reason = "amy (192.0.2.13) did not answer 5 IKE_SA_INIT requests in 20 s.";
  amy.attempts = 4;
  amy.next_retry_s = 12;
  PairStatus flexo;
  flexo.name = "bender-flexo";
  flexo.peer = "flexo";
  flexo.state = "up";
  IkeStatus ike;
  ike.state = "established";
  ike.role = "initiator";
  ike.local = "192.0.2.11[4500]";
  ike.remote = "192.0.2.12[4500]";
  ike.local_id = "bender";
  ike.remote_id = "flexo";
  ike.spi_local = "0102030405060708";
  ike.spi_remote = "1112131415161718";
  ike.suite = "aes256gcm16-prfsha384-x25519";
  ike.established_s = 123;
  ike.rekey_in_s = 14000;
  flexo.ike = ike;
  ChildStatus child;
  child.name = "hosts";
  child.mode = "tunnel";
  child.state = "installed";
  child.suite = "aes256gcm16-esn";
  child.spi_in = "c0ffee01";
  child.spi_out = "c0ffee02";
  child.reqid = 0xE5000001;
  child.bytes_in = 1258291;
  child.bytes_out = 512;
  child.packets_in = 1000;
  child.packets_out = 4;
  child.installed_s = 123;
  child.rekey_in_s = 3420;
  child.local_ts = {"192.0.2.11/32"};
  child.remote_ts = {"192.0.2.12/32", "10.3.0.0/16"};
  flexo.children = {child};
  snapshot.pairs = {amy, flexo};
  return snapshot;
}

class FakeView : public View {
 public:
  StatusSnapshot status() override { return snapshot; }
  std::vector<ConnectionConfig> connections() override {
    std::vector<ConnectionConfig> out;
    for (const auto& pair : snapshot.pairs) {
      ConnectionConfig connection;
      connection.name = pair.name;
      connection.local_addresses = {"192.0.2.11"};
      connection.remote_addresses = {"192.0.2.12"};
      connection.local_id = "bender";
      connection.remote_id = pair.peer;
      connection.auth = "psk";
      connection.rekey_time_s = 14400;
      ConnectionConfig::Child child;
      child.name = "hosts";
      child.mode = "tunnel";
      child.rekey_time_s = 3600;
      child.local_ts = {"192.0.2.11/32"};
      child.remote_ts = {"192.0.2.12/32"};
      connection.children = {child};
      out.push_back(connection);
    }
    return out;
  }
  Result<std::string> resolve(const std::string& name) override {
    for (const auto& pair : snapshot.pairs) {
      if (pair.name == name || pair.peer == name) return pair.name;
    }
    return make_error(ErrorCode::kNotFound,
                      "There is no pair '" + name + "'; the peers are amy, flexo.");
  }
  Status initiate(const std::string& pair) override {
    calls.push_back("initiate " + pair);
    return result;
  }
  Status terminate(const std::string& pair) override {
    calls.push_back("terminate " + pair);
    return result;
  }
  Status rekey(const std::string& pair, bool ike) override {
    calls.push_back("rekey " + pair + (ike ? " ike" : " children"));
    return result;
  }
  Status redirect(const std::string& pair, const IpAddress& to) override {
    calls.push_back("redirect " + pair + " " + to.to_string());
    return result;
  }
  ReloadRequest reload_request;
  Result<ReloadReport> reload(const ReloadRequest& request) override {
    calls.push_back("reload");
    reload_request = request;
    if (!result) return result.error();
    ReloadReport report;
    report.added = {"bender-zoidberg"};
    report.changed = {"bender-amy"};
    report.unchanged = 1;
    report.generation = 4;
    return report;
  }
  std::vector<std::pair<std::string, std::uint64_t>> counters() override {
    return {{"drop_unknown_spi", 2}, {"ike_messages_in", 17}};
  }
  PairStatus& pair(const std::string& name) {
    for (auto& candidate : snapshot.pairs) {
      if (candidate.name == name) return candidate;
    }
    ASSERT(false);
    return snapshot.pairs.front();
  }

  StatusSnapshot snapshot = two_pairs();
  std::vector<std::string> calls;
  Status result;
};

}  // namespace espalier::control
