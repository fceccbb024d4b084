// Whether the mesh is whole: both ends of every pair compared.
#include <fmt/format.h>

#include <algorithm>

#include "policy/selectors.hpp"
#include "sim/world.hpp"

namespace espalier::sim {
namespace {

// Selectors of transport mode with the address that the other end has for them.
policy::SelectorList as_there(policy::SelectorList list, const IpAddress* original) {
  for (auto& one : list) {
    if (original != nullptr) one.start = one.end = *original;
  }
  return list;
}

std::string child_fault(const Host& near, const Host& far, const ike::ChildSnapshot& child) {
  const ike::ChildSaSpec& spec = child.spec;
  const auto in = near.twin.inbound.find(spec.spi_in);
  const auto out = near.twin.outbound.find({spec.spi_out, spec.path.remote.ip});
  if (in == near.twin.inbound.end()) return "has no inbound SA in its dataplane";
  if (out == near.twin.outbound.end()) return "has no outbound SA in its dataplane";
  const auto peer_in = far.twin.inbound.find(spec.spi_out);
  if (peer_in == far.twin.inbound.end()) {
    return "sends into an SA that the peer does not have";
  }
  const ike::ChildSaSpec& there = peer_in->second;
  if (there.spi_out != spec.spi_in) return "has another inbound SPI than its peer sends to";
  if (!(there.encr_in == out->second.encr_out) || !(there.integ_in == out->second.integ_out)) {
    return "has other keys than its peer";
  }
  const ike::NatOriginal* nat = spec.nat_original ? &*spec.nat_original : nullptr;
  if (there.local_ts != as_there(spec.remote_ts, nat != nullptr ? &nat->remote : nullptr) ||
      there.remote_ts != as_there(spec.local_ts, nat != nullptr ? &nat->local : nullptr)) {
    return "has other selectors than its peer";
  }
  if (!(there.suite == spec.suite)) return "has another suite than its peer";
  if (there.mode != spec.mode) return "has another mode than its peer";
  if (!near.twin.policies.contains(spec.reqid)) return "has no policy";
  return "";
}

// The IKE SA of the pair as both engines have it.
std::string ike_fault(const Host& near, const Host& far, const ike::IkeSnapshot& ike) {
  const auto& ours = near.engine.core().sas;
  const auto& theirs = far.engine.core().sas;
  const auto here = ours.find(ike.spi_local);
  const auto there = theirs.find(ike.spi_remote);
  if (here == ours.end() || there == theirs.end()) return "has an IKE SA that its peer has not";
  const ike::v2::IkeSa& a = here->second;
  const ike::v2::IkeSa& b = there->second;
  if (a.spi_i != b.spi_i || a.spi_r != b.spi_r || a.role == b.role) {
    return "has an IKE SA with other SPIs than its peer";
  }
  if (!(a.suite == b.suite)) return "has another IKE suite than its peer";
  if (!(a.keys == b.keys)) return "has other IKE keys than its peer";
  return "";
}

}  // namespace

std::string World::pair_fault(const Host& near, const Host& far, const ike::PairSnapshot& pair) {
  const std::string who = near.name + ": " + pair.name + " ";
  if (pair.state != "up") {
    return who + "is " + std::string(pair.state) +
           (pair.last_error.empty() ? "" : ": " + pair.last_error);
  }
  if (pair.ike_sas != 1) return who + fmt::format("has {} IKE SAs", pair.ike_sas);
  const auto& wanted = pair.connection->children;
  if (pair.children.size() != wanted.size()) {
    return who + fmt::format("has {} children, not {}", pair.children.size(), wanted.size());
  }
  for (const policy::ChildConfig& child : wanted) {
    const auto has = std::count_if(pair.children.begin(), pair.children.end(),
                                   [&](const auto& one) { return one.spec.child == child.name; });
    if (has != 1) return who + fmt::format("has child {} {} times", child.name, has);
  }
  if (std::string fault = ike_fault(near, far, *pair.ike); !fault.empty()) return who + fault;
  for (const ike::ChildSnapshot& child : pair.children) {
    if (std::string fault = child_fault(near, far, child); !fault.empty()) return who + fault;
  }
  return "";
}

std::string World::fault() const {
  if (!watch.violations().empty()) return watch.violations().front();
  for (const auto& host : hosts_) {
    if (!host->running) continue;
    if (!host->twin.violations.empty()) return host->name + ": " + host->twin.violations.front();
    std::size_t children = 0;
    for (const ike::PairSnapshot& pair : host->engine.snapshot()) {
      const Host* far = find(pair.peer);
      ASSERT(far != nullptr);
      if (std::string fault = pair_fault(*host, *far, pair); !fault.empty()) return fault;
      children += pair.children.size();
    }
    if (host->twin.inbound.size() != children || host->twin.outbound.size() != children) {
      return fmt::format("{}: {} inbound and {} outbound SAs for {} children", host->name,
                         host->twin.inbound.size(), host->twin.outbound.size(), children);
    }
    if (host->twin.policies.size() != children) return host->name + ": a policy too many";
  }
  return "";
}

}  // namespace espalier::sim
