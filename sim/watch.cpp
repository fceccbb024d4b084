#include "sim/watch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "ike/core/limits.hpp"
#include "sim/hash.hpp"
#include "sim/world.hpp"
#include "wire/ike/message.hpp"

namespace espalier::sim {
namespace {

using wire::ike::PayloadType;

constexpr std::size_t kViolationsKept = 100;
constexpr std::uint32_t kSpinsMax = 10'000;
constexpr std::size_t kGenericHeader = 4;  // RFC 7296 section 3.2
// While datagrams are lost a bound is given so many rounds.
constexpr std::uint8_t kLossyRounds = 4;

Duration retransmission_time() {
  Duration total{};
  for (unsigned i = 0; i < ike::kRetransmitTries; ++i) {
    total += std::min<Duration>(ike::kRetransmitFirst * (1u << i), ike::kRetransmitMax);
  }
  return total + total / 10;  // the jitter
}

std::uint64_t u64_at(ByteView bytes, std::size_t offset) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < 8; ++i) value = value << 8 | bytes[offset + i];
  return value;
}

// Whether the SA is one of the host with `far`.
bool is_with(const Host& host, const Host& far, const ike::ChildSaSpec& sa) {
  const auto& pairs = host.engine.core().pairs;
  const auto pair = pairs.find(sa.pair);
  return pair != pairs.end() && pair->second.connection->peer == far.name;
}

bool has_inbound(const Host& host, const Host& far, Spi spi) {
  const auto found = host.twin.inbound.find(spi);
  return found != host.twin.inbound.end() && is_with(host, far, found->second);
}

bool has_outbound(const Host& host, const Host& far, Spi spi) {
  const auto& all = host.twin.outbound;
  for (auto sa = all.lower_bound({spi, IpAddress()}); sa != all.end() && sa->first.first == spi;
       ++sa) {
    if (is_with(host, far, sa->second)) return true;
  }
  return false;
}

}  // namespace

std::optional<Duration> halfling_bound(Duration dpd) {
  if (dpd.count() == 0) return std::nullopt;
  // The check may have to wait for one exchange under way before it, and is repeated itself.
  return dpd + 2 * retransmission_time() + ike::kDuplicateGrace + ike::kInboundLinger;
}

void Watch::violation(Instant now, std::string_view who, const std::string& what) {
  ++count_;
  if (violations_.size() >= kViolationsKept) return;
  violations_.push_back(
      fmt::format("{:.6f} s: {}: {}", seconds(now.time_since_epoch()), who, what));
}

void Watch::sent(const Host& from, Instant now, ByteView datagram) {
  const std::size_t body = wire::ike::kHeaderOctets + kGenericHeader;
  if (datagram.size() < body + 16) return;
  const auto first = static_cast<PayloadType>(datagram[16]);
  const std::uint64_t spi_i = u64_at(datagram, 0);
  const std::uint64_t spi_r = u64_at(datagram, 8);
  const std::uint64_t direction = datagram[19] & wire::ike::kFlagInitiator;
  if (first == PayloadType::kSk || first == PayloadType::kSkf) {
    // The SPIs and the direction stand for the key. AEADs have an IV of 8 octets; of a CBC's
    // unpredictable 16 the first 8 tell as much.
    const std::size_t iv = body + (first == PayloadType::kSkf ? 4 : 0);
    const std::uint64_t key = mix(mix(mix(spi_i, spi_r), direction), u64_at(datagram, iv));
    const std::uint64_t content = fingerprint(datagram);
    if (const auto [at, fresh] = messages_.emplace(key, content); !fresh && at->second != content) {
      violation(now, from.name, "one key and IV protect two different messages");
    }
    return;
  }
  if (static_cast<wire::ike::ExchangeType>(datagram[18]) != wire::ike::ExchangeType::kIkeSaInit) {
    return;
  }
  auto payload = first;
  std::size_t at = wire::ike::kHeaderOctets;
  while (payload != PayloadType::kNone && at + kGenericHeader <= datagram.size()) {
    const std::size_t size = std::size_t{datagram[at + 2]} << 8 | datagram[at + 3];
    if (size < kGenericHeader || at + size > datagram.size()) return;
    if (payload == PayloadType::kNonce) {
      const std::uint64_t nonce =
          fingerprint(datagram.subspan(at + kGenericHeader, size - kGenericHeader));
      // A retry with a cookie or another group keeps the nonce, and the SPI (RFC 7296 2.6).
      const std::uint64_t exchange =
          mix(mix(direction != 0 ? spi_i : mix(spi_i, spi_r), direction), from.boots);
      if (const auto [known, fresh] = nonces_.emplace(nonce, exchange);
          !fresh && known->second != exchange) {
        violation(now, from.name, "one nonce keys two exchanges");
      }
    }
    payload = static_cast<PayloadType>(datagram[at]);
    at += size;
  }
}

void Watch::installed(const World& world, const Host& host, const ike::InstallSa& install) {
  const Instant now = world.now();
  const ike::ChildSaSpec& sa = install.sa;
  const bool in = install.direction == ike::Direction::kIn;
  const SecretBytes& encr = in ? sa.encr_in : sa.encr_out;
  const SecretBytes& integ = in ? sa.integ_in : sa.integ_out;
  const std::uint64_t key = fingerprint(integ.reveal(), fingerprint(encr.reveal()));
  if (!(in ? keys_in_ : keys_out_).insert(key).second) {
    violation(now, sa.pair, fmt::format("{} installs a child key a second time", host.name));
  }
  const auto& core = host.engine.core();
  const auto pair = core.pairs.find(sa.pair);
  if (pair == core.pairs.end()) return;
  if (pair->second.sas.size() > ike::kIkeSasPerPairMax) {
    violation(now, sa.pair, fmt::format("{} IKE SAs", pair->second.sas.size()));
  }
  for (const IkeSpi spi : pair->second.sas) {
    const auto ike = core.sas.find(spi);
    if (ike == core.sas.end()) continue;
    if (ike->second.children.size() > 2 * ike::kChildrenPerIkeSaMax + 1) {
      violation(now, sa.pair, fmt::format("{} children", ike->second.children.size()));
    }
    if (ike->second.tasks.size() > ike::kQueuedTasksMax) {
      violation(now, sa.pair, fmt::format("{} tasks wait", ike->second.tasks.size()));
    }
  }
  const auto bound = halfling_bound(pair->second.connection->dpd);
  const Host* far = world.find(pair->second.connection->peer);
  if (!bound || far == nullptr) return;
  Due due{now + *bound, host.id,  install.direction,    in ? sa.spi_in : sa.spi_out,
          far->id,      sa.reqid, Due::What::kHalfling, *bound};
  push(due);
  if (in) return;
  const auto newest = host.twin.newest.find(sa.reqid);
  if (newest == host.twin.newest.end() || newest->second.size() < kChildrenPerSelector) return;
  due.what = Due::What::kOverlap;
  push(due);
}

void Watch::removed(const World& world, const Host& host, ike::Direction direction,
                    const ike::ChildSaSpec& sa) {
  const auto& pairs = host.engine.core().pairs;
  const auto pair = pairs.find(sa.pair);
  if (pair == pairs.end()) return;
  const auto bound = halfling_bound(pair->second.connection->dpd);
  const Host* far = world.find(pair->second.connection->peer);
  if (!bound || far == nullptr) return;
  const bool in = direction == ike::Direction::kIn;
  const Due due{
      world.now() + *bound,        far->id, in ? ike::Direction::kOut : ike::Direction::kIn,
      in ? sa.spi_in : sa.spi_out, host.id, ReqId(),
      Due::What::kLeftOver,        *bound};
  left_since_[name(due)] = world.now();
  push(due);
}

void Watch::woke(Host& host, Instant now, std::string_view reason) {
  if (reason.empty()) violation(now, host.name, "a timer without a reason");
  const bool spins = host.wakeup && *host.wakeup >= now && host.last_fired == now;
  host.spins = spins ? host.spins + 1 : 0;
  host.last_fired = now;
  if (host.spins == kSpinsMax) {
    violation(now, host.name, fmt::format("timer '{}' fires for ever", reason));
  }
}

void Watch::push(Due due) {
  due_.push_back(due);
  std::push_heap(due_.begin(), due_.end(), std::greater<>());
}

void Watch::look(const World& world, Instant now) {
  while (!due_.empty() && due_.front().at <= now) {
    std::pop_heap(due_.begin(), due_.end(), std::greater<>());
    const Due due = due_.back();
    due_.pop_back();
    check(world, now, due);
  }
}

std::uint64_t Watch::name(const Due& due) {
  const bool in = due.direction == ike::Direction::kIn;
  return mix(mix(due.host, due.far), std::uint64_t{due.spi.value} << 1 | (in ? 1 : 0));
}

void Watch::check(const World& world, Instant now, Due due) {
  const Host& host = world.host(due.host);
  // What the other end removed of late is looked at on that account, not since it was installed.
  const auto left = left_since_.find(name(due));
  const bool lately = left != left_since_.end() && left->second + due.bound > now;
  if (due.what != Due::What::kOverlap && lately) return;
  if (due.what == Due::What::kLeftOver && left != left_since_.end() && !is_halfling(world, due)) {
    left_since_.erase(left);
    return;
  }
  if (due.what == Due::What::kOverlap) {
    const auto newest = host.twin.newest.find(due.reqid);
    const std::size_t count = newest == host.twin.newest.end() ? 0 : newest->second.size();
    if (count <= kChildrenPerSelector) return;
  } else if (!is_halfling(world, due)) {
    return;
  }
  // The bound counts from the last disturbance, and is longer on a lossy network.
  const bool lossy = world.network.loss > 0 && ++due.rounds < kLossyRounds;
  if (lossy || disturbed_ + due.bound > now) {
    due.at = std::max(now, disturbed_) + due.bound;
    return push(due);
  }
  const std::string what =
      due.what == Due::What::kOverlap
          ? fmt::format("more than {} child pairs for one selector", kChildrenPerSelector)
          : fmt::format("{} SA {} is known to one end only",
                        due.direction == ike::Direction::kIn ? "inbound" : "outbound",
                        to_string(due.spi));
  violation(now, host.name, fmt::format("{} for longer than {:.0f} s", what, seconds(due.bound)));
}

// Whether the host still has that SA and the other end has not its counterpart.
bool Watch::is_halfling(const World& world, const Due& due) const {
  const Host& host = world.host(due.host);
  const Host& far = world.host(due.far);
  const bool in = due.direction == ike::Direction::kIn;
  if (!(in ? has_inbound(host, far, due.spi) : has_outbound(host, far, due.spi))) return false;
  return !(in ? has_outbound(far, host, due.spi) : has_inbound(far, host, due.spi));
}

}  // namespace espalier::sim
