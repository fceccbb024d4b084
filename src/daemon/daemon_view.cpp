#include "daemon/daemon_view.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "control/version.hpp"
#include "daemon/clock.hpp"
#include "policy/auth_words.hpp"
#include "policy/identity.hpp"
#include "policy/proposal.hpp"
#include "policy/selectors.hpp"

namespace espalier::daemon {
namespace {

std::int64_t until(Instant at, Instant now) {
  return std::max<std::int64_t>(0, whole_seconds(at - now));
}

std::vector<std::string> texts(const policy::SelectorList& list) {
  std::vector<std::string> out;
  for (const policy::TrafficSelector& selector : list) out.push_back(policy::to_string(selector));
  return out;
}

control::IkeStatus describe(const ike::PairSnapshot& pair, Instant now) {
  const ike::IkeSnapshot& ike = *pair.ike;
  control::IkeStatus out;
  out.state = std::string(ike.state);
  out.role = std::string(ike::v2::name(ike.role));
  out.local = ike.path.local.to_string();
  out.remote = ike.path.remote.to_string();
  out.local_id = policy::to_string(pair.connection->local_id);
  out.remote_id = policy::to_string(pair.peer_id);
  out.spi_local = to_string(ike.spi_local);
  out.spi_remote = to_string(ike.spi_remote);
  if (ike.suite.prf != crypto::PrfId::kNone) out.suite = policy::words(ike.suite);
  if (ike.established) {
    out.established_s = whole_seconds(now - ike.established_at);
    out.rekey_in_s = until(ike.rekey_at, now);
  }
  out.nat = ike.nat;
  out.certificate = ike.certificates.subject;
  out.certificate_until = ike.certificates.until;
  out.ppk = ike.ppk;
  return out;
}

control::ChildStatus describe(const ike::ChildSnapshot& child, const UseCounters& counters,
                              Instant now) {
  control::ChildStatus out;
  out.name = child.spec.child;
  out.mode = std::string(policy::name(child.spec.mode));
  out.state = std::string(child.state);
  out.suite = policy::words(child.spec.suite);
  out.spi_in = to_string(child.spec.spi_in);
  out.spi_out = to_string(child.spec.spi_out);
  out.reqid = child.spec.reqid.value;
  if (const auto in = counters.find({dataplane::Direction::kIn, child.spec.spi_in});
      in != counters.end()) {
    out.bytes_in = in->second.bytes;
    out.packets_in = in->second.packets;
  }
  if (const auto sent = counters.find({dataplane::Direction::kOut, child.spec.spi_out});
      sent != counters.end()) {
    out.bytes_out = sent->second.bytes;
    out.packets_out = sent->second.packets;
  }
  out.installed_s = whole_seconds(now - child.installed_at);
  out.rekey_in_s = until(child.rekey_at, now);
  out.local_ts = texts(child.spec.local_ts);
  out.remote_ts = texts(child.spec.remote_ts);
  out.udp_encap = child.spec.udp_encap;
  return out;
}

control::PairStatus describe(const ike::PairSnapshot& pair, const UseCounters& counters,
                             Instant now) {
  control::PairStatus status;
  status.name = pair.name;
  status.peer = pair.peer;
  status.state = std::string(pair.state);
  status.idle = pair.idle;
  if (pair.idle && pair.last_error.empty()) status.reason = "no traffic has asked for it";
  if (status.state != "up" && !pair.last_error.empty()) status.reason = pair.last_error;
  status.attempts = pair.attempts;
  if (pair.retry_at) status.next_retry_s = until(*pair.retry_at, now);
  if (pair.ike) status.ike = describe(pair, now);
  for (const ike::ChildSnapshot& child : pair.children)
    status.children.push_back(describe(child, counters, now));
  return status;
}

std::vector<std::string> texts(const std::vector<IpAddress>& addresses) {
  std::vector<std::string> out;
  for (const IpAddress& address : addresses) out.push_back(address.to_string());
  return out;
}

bool is_repair(const std::string& counter) {
  return counter == "policies-restored" || counter == "policies-removed" ||
         counter == "sas-removed";
}

control::ConnectionConfig describe(const policy::Connection& connection) {
  control::ConnectionConfig config;
  config.name = connection.name;
  config.local_addresses = texts(connection.local_addresses);
  config.remote_addresses = texts(connection.remote_addresses);
  config.local_id = policy::to_string(connection.local_id);
  config.remote_id = policy::to_string(connection.remote_id);
  config.auth = policy::auth_words(connection);
  config.rekey_time_s = whole_seconds(connection.lifetimes.ike);
  for (const policy::ChildConfig& child : connection.children) {
    control::ConnectionConfig::Child entry;
    entry.name = child.name;
    entry.mode = std::string(policy::name(child.mode));
    entry.rekey_time_s = whole_seconds(connection.lifetimes.child);
    entry.local_ts = texts(child.local_ts);
    entry.remote_ts = texts(child.remote_ts);
    entry.rekey_bytes = connection.lifetimes.child_bytes.value_or(0);
    entry.rekey_packets = connection.lifetimes.child_packets.value_or(0);
    config.children.push_back(std::move(entry));
  }
  return config;
}

}  // namespace

void DaemonView::set_plan(const mesh::HostPlan& plan, std::uint64_t generation) {
  mesh_ = plan.mesh;
  self_ = plan.self;
  generation_ = generation;
}

control::StatusSnapshot DaemonView::status() {
  const Instant now = monotonic_now();
  UseCounters counters;
  dataplane::Snapshot use;
  control::StatusSnapshot out;
  out.repairs.emplace_back("sas-lost", driver_.engine().counter(ike::Counter::kSasLost));
  out.repairs.emplace_back("manual-restored", manual_.restored());
  if (auto plane = plane_.query()) {
    use = std::move(*plane);
    for (const dataplane::SaState& sa : use.sas)
      counters[{sa.key.direction, sa.key.spi}] = sa.counters;
    for (const auto& [name, count] : use.counters) {
      if (is_repair(name)) out.repairs.emplace_back(name, count);
    }
  }
  std::erase_if(out.repairs, [](const auto& one) { return one.second == 0; });
  out.notes = host_.notes();
  out.mesh = mesh_;
  out.self = self_;
  out.version = std::string(control::kVersion);
  out.dataplane = std::string(host_.name());
  out.dataplane_why = plane_why_;
  out.generation = generation_;
  for (const mesh::DateNotice& notice : certificates_.notices(driver_.engine(), unix_now())) {
    out.certificates.push_back({std::string(mesh::name(notice.what.kind)), notice.what.where,
                                notice.what.subject, std::string(mesh::name(notice.state)),
                                notice.what.from, notice.what.until, notice.text});
  }
  for (const ike::PairSnapshot& pair : driver_.engine().snapshot())
    out.pairs.push_back(describe(pair, counters, now));
  for (control::PairStatus& pair : manual_.status(use, now, unix_now()))
    out.pairs.push_back(std::move(pair));
  std::sort(out.pairs.begin(), out.pairs.end(),
            [](const auto& a, const auto& b) { return a.name < b.name; });
  return out;
}

std::optional<control::PairStatus> DaemonView::pair_status(const std::string& name) {
  const auto snapshot = driver_.engine().snapshot(name);
  if (!snapshot && manual_.resolve(name) == name && !name.empty()) {
    const auto plane = plane_.query();
    for (control::PairStatus& pair :
         manual_.status(plane ? *plane : dataplane::Snapshot{}, monotonic_now(), unix_now())) {
      if (pair.name == name) return std::move(pair);
    }
  }
  if (!snapshot) return std::nullopt;
  return describe(*snapshot, driver_.recent_use(), monotonic_now());
}

std::vector<control::ConnectionConfig> DaemonView::connections() {
  std::vector<control::ConnectionConfig> out;
  for (const auto& [name, pair] : driver_.engine().core().pairs)
    out.push_back(describe(*pair.connection));
  return out;
}

std::optional<control::ConnectionConfig> DaemonView::connection_config(const std::string& name) {
  const auto& pairs = driver_.engine().core().pairs;
  const auto found = pairs.find(name);
  if (found == pairs.end()) return std::nullopt;
  return describe(*found->second.connection);
}

Result<std::string> DaemonView::resolve(const std::string& name) {
  const auto& pairs = driver_.engine().core().pairs;
  if (pairs.contains(name)) return name;
  if (const auto usual = self_ + "-" + name; pairs.contains(usual)) return usual;
  for (const auto& [pair_name, pair] : pairs) {
    if (pair.connection->peer == name) return pair_name;
  }
  if (std::string manual = manual_.resolve(name); !manual.empty()) return manual;
  constexpr std::size_t kShown = 50;
  std::string known;
  std::size_t shown = 0;
  for (const auto& [pair_name, pair] : pairs) {
    if (shown++ == kShown) break;
    known += (known.empty() ? "" : ", ") + pair_name;
  }
  for (const std::string& pair_name : manual_.names()) {
    if (shown++ >= kShown) break;
    known += (known.empty() ? "" : ", ") + pair_name;
  }
  if (pairs.size() > kShown) known += fmt::format(" and {} more", pairs.size() - kShown);
  return make_error(ErrorCode::kNotFound,
                    fmt::format("there is no pair or peer '{}'; there are: {}", name,
                                known.empty() ? "none" : known));
}

Status DaemonView::not_manual(const std::string& pair, std::string_view what) const {
  if (manual_.resolve(pair) != pair) return {};
  return make_error(ErrorCode::kUnsupported,
                    fmt::format("{} has manual keys: it is up as long as the inventory has it, and "
                                "cannot be {}. Change its entry in 'manual' and run 'espalier "
                                "reload'",
                                pair, what));
}

Status DaemonView::initiate(const std::string& pair) {
  TRY(not_manual(pair, "initiated"));
  return driver_.command(ike::Initiate{pair});
}
Status DaemonView::terminate(const std::string& pair) {
  TRY(not_manual(pair, "taken down"));
  return driver_.command(ike::Terminate{pair});
}
Status DaemonView::rekey(const std::string& pair, bool ike) {
  TRY(not_manual(pair, "rekeyed"));
  return driver_.command(ike::Rekey{pair, ike});
}
Status DaemonView::redirect(const std::string& pair, const IpAddress& to) {
  TRY(not_manual(pair, "redirected"));
  return driver_.command(ike::Redirect{pair, to});
}

std::vector<std::pair<std::string, std::uint64_t>> DaemonView::counters() {
  std::vector<std::pair<std::string, std::uint64_t>> out;
  for (std::size_t i = 0; i < ike::kCounterInfo.size(); ++i) {
    out.emplace_back(std::string(ike::kCounterInfo[i].name),
                     driver_.engine().counter(static_cast<ike::Counter>(i)));
  }
  if (const auto plane = plane_.query()) {
    for (const auto& [name, value] : plane->counters) out.emplace_back("esp_" + name, value);
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace espalier::daemon
