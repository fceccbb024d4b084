// What the explorer may do next in a state, and what may not be in one.
#include <fmt/format.h>

#include <algorithm>

#include "sim/explorer_state.hpp"

namespace espalier::sim {
namespace {

using ike::v2::ChildState;
using ike::v2::IkeSa;
using ike::v2::IkeState;

constexpr std::array kNames{"bender", "flexo"};

bool busy_child(const ike::v2::ChildSa& child) {
  return child.state != ChildState::kInstalled || !child.outbound_installed;
}

bool busy_sa(const IkeSa& sa) {
  return sa.state != IkeState::kEstablished || sa.outstanding || sa.active || sa.responding ||
         !sa.tasks.empty() || sa.job.value != 0 || sa.discard_at ||
         std::any_of(sa.children.begin(), sa.children.end(), busy_child);
}

}  // namespace

bool PairState::busy(const ExplorerEnd& end) const {
  const ike::Core& core = end.engine.core();
  if (!core.late_removals.empty()) return true;
  for (const auto& [name, pair] : core.pairs) {
    if (pair.retry_at) return true;
  }
  return std::any_of(core.sas.begin(), core.sas.end(),
                     [](const auto& entry) { return busy_sa(entry.second); });
}

bool PairState::quiet() const {
  for (std::size_t who = 0; who < 2; ++who) {
    if (ends_[who].acts_done < scenario_->acts[who].size() || busy(ends_[who])) return false;
  }
  return std::all_of(letters_.begin(), letters_.end(),
                     [](const Letter& letter) { return letter.stray; });
}

std::vector<Step> PairState::steps() const {
  std::vector<Step> out;
  bool waits_for_up = false;  // 'down' is done: nothing but 'up' ends that
  for (std::size_t who = 0; who < 2; ++who) {
    const ExplorerEnd& end = ends_[who];
    if (end.acts_done == scenario_->acts[who].size()) continue;
    out.push_back({Step::Kind::kAct, who});
    waits_for_up = waits_for_up ||
                   (scenario_->acts[who][end.acts_done] == Act::kOpenIke && end.outbound.empty());
  }
  bool under_way = false;
  for (std::size_t i = 0; i < letters_.size(); ++i) {
    out.push_back({Step::Kind::kDeliver, i});
    if (letters_[i].stray) continue;
    under_way = true;
    if (faults_left_ == 0) continue;
    out.push_back({Step::Kind::kStray, i});
    out.push_back({Step::Kind::kDouble, i});
  }
  for (std::size_t who = 0; who < 2 && faults_left_ > 0 && crashes_; ++who) {
    // Not before it has anything to forget.
    if (!ends_[who].engine.core().sas.empty()) out.push_back({Step::Kind::kCrash, who});
  }
  if (under_way || waits_for_up) return out;
  if (!busy(ends_[0]) && !busy(ends_[1])) return out;
  std::array<std::optional<Instant>, 2> due;
  for (std::size_t who = 0; who < 2; ++who) {
    if (const auto wakeup = ends_[who].engine.poll_timeout()) due[who] = wakeup->at;
  }
  for (std::size_t who = 0; who < 2; ++who) {
    const std::optional<Instant>& other = due[1 - who];
    if (due[who] && (!other || *due[who] <= std::max(*other, now_) + kTimerSlack)) {
      out.push_back({Step::Kind::kTimer, who});
    }
  }
  return out;
}

std::string PairState::describe(const Step& step) const {
  const auto letter = [&] {
    const Letter& it = letters_[step.index];
    return fmt::format("{} to {}{}",
                       it.plain ? wire::ike::describe(*it.plain) : std::string("a message"),
                       kNames[it.to], it.stray ? ", a stray," : "");
  };
  switch (step.kind) {
    case Step::Kind::kAct:
      return fmt::format("{}: {}", kNames[step.index],
                         name(scenario_->acts[step.index][ends_[step.index].acts_done]));
    case Step::Kind::kDeliver: return letter() + " arrives";
    case Step::Kind::kStray: return letter() + " goes astray";
    case Step::Kind::kDouble: return letter() + " arrives, and a copy goes astray";
    case Step::Kind::kCrash: return fmt::format("{} crashes and starts", kNames[step.index]);
    case Step::Kind::kTimer: {
      const auto wakeup = ends_[step.index].engine.poll_timeout();
      return fmt::format("{}: timer: {}", kNames[step.index],
                         wakeup ? wakeup->reason : std::string_view("none"));
    }
  }
  return "";
}

std::string PairState::unwhole() const {
  for (std::size_t who = 0; who < 2; ++who) {
    const ExplorerEnd& end = ends_[who];
    const ExplorerEnd& far = ends_[1 - who];
    const auto pairs = end.engine.snapshot();
    if (pairs.empty()) return fmt::format("{} is not configured", kNames[who]);
    const ike::PairSnapshot& pair = pairs.front();
    if (pair.state != "up") {
      return fmt::format("{} is {}: {}", kNames[who], pair.state, pair.last_error);
    }
    if (pair.ike_sas != 1) return fmt::format("{} has {} IKE SAs", kNames[who], pair.ike_sas);
    if (pair.children.size() != 1) {
      return fmt::format("{} has {} children", kNames[who], pair.children.size());
    }
    if (end.inbound.size() != 1 || end.outbound.size() != 1 || end.policies.size() != 1) {
      return fmt::format("{} has {} inbound and {} outbound SAs and {} policies in its dataplane",
                         kNames[who], end.inbound.size(), end.outbound.size(), end.policies.size());
    }
    const auto there = far.inbound.find(end.outbound.front().spi);
    if (there == far.inbound.end() || !(there->second == end.outbound.front().key)) {
      return fmt::format("{} sends into an SA that its peer does not have", kNames[who]);
    }
    const auto other = far.engine.snapshot();
    if (other.empty() || !other.front().ike || other.front().ike->spi_local != pair.ike->spi_remote)
      return "the two have different IKE SAs";
  }
  return "";
}

// What the end sends arrives in an SA.
bool PairState::works(std::size_t who) const {
  const auto& outbound = ends_[who].outbound;
  return !outbound.empty() && ends_[1 - who].inbound.contains(outbound.back().spi);
}

// Whether the end sends into nothing although it need not.
std::string PairState::hole(std::size_t who) const {
  const ExplorerEnd& end = ends_[who];
  const ExplorerEnd& far = ends_[1 - who];
  const auto works = [&](const OutboundSa& sa) { return far.inbound.contains(sa.spi); };
  const bool keeps = scenario_->keeps_traffic && was_up_;
  if (end.outbound.empty()) {
    return keeps ? fmt::format("{} has no outbound SA", kNames[who]) : "";
  }
  if (works(end.outbound.back())) return "";
  if (keeps || std::any_of(end.outbound.begin(), end.outbound.end(), works)) {
    return fmt::format("{} sends into an SA that its peer does not have", kNames[who]);
  }
  return "";
}

std::string PairState::violation() const {
  if (!broken_.empty()) return broken_;
  for (std::size_t who = 0; who < 2; ++who) {
    for (const OutboundSa& sa : ends_[who].outbound) {
      const auto there = ends_[1 - who].inbound.find(sa.spi);
      if (there != ends_[1 - who].inbound.end() && !(there->second == sa.key)) {
        return "the two ends have different keys for SPI " + to_string(sa.spi);
      }
    }
    std::size_t lasting = 0;
    for (const auto& [spi, sa] : ends_[who].engine.core().sas) {
      for (const ike::v2::ChildSa& child : sa.children) {
        if (child.state == ChildState::kInstalled && child.outbound_installed) ++lasting;
      }
    }
    if (lasting > 2) return fmt::format("{} has {} children at once", kNames[who], lasting);
  }
  if (ends_[0].crashed || ends_[1].crashed) return "";
  for (std::size_t who = 0; who < 2; ++who) {
    if (std::string fault = hole(who); !fault.empty()) return fault;
  }
  return "";
}

}  // namespace espalier::sim
