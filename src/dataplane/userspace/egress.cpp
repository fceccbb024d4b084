#include "dataplane/userspace/egress.hpp"

#include <unistd.h>

#include <cerrno>

#include "dataplane/userspace/limits.hpp"
#include "wire/ip/packet.hpp"

namespace espalier::dataplane::userspace {
namespace {

// The last sixteenth of the numbers without ESN: time enough to rekey at any rate.
constexpr std::uint64_t kSoftSequencesLeft = 0x10000000;

}  // namespace

Egress::Egress(Shared& shared, crypto::Rng& rng)
    : shared_(shared),
      rng_(rng),
      sender_(shared),
      input_(VnetHeader::kOctets + kMaxIpOctets),
      arena_(kEgressArenaOctets) {
  packets_.reserve(kEgressPackets);
  meta_.reserve(kEgressPackets);
}

bool Egress::turn() {
  turn_octets_ = 0;
  bool alive = true;
  for (std::size_t i = 0; i < kTunReadsPerTurn && turn_octets_ < kEgressOctetsPerTurn; ++i) {
    const ssize_t got = ::read(shared_.tun_fd, input_.data(), input_.size());
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) break;
      shared_.counters.add(Counter::kOutTunReadErrors);
      alive = errno != EBADFD && errno != EBADF;  // the device was deleted
      break;
    }
    if (static_cast<std::size_t>(got) < VnetHeader::kOctets) {
      shared_.counters.add(got == 0 ? Counter::kOutTunReadErrors : Counter::kOutMalformed);
      break;
    }
    take(VnetHeader::read(input_.data()),
         ByteView(input_).subspan(VnetHeader::kOctets,
                                  static_cast<std::size_t>(got) - VnetHeader::kOctets));
  }
  flush();
  return alive;
}

// Closed when it fails: without a policy, or without an SA, a packet goes nowhere.
OutSa* Egress::find_sa(const Flow& flow) {
  const PolicySpec* policy = shared_.table.policy(flow);
  if (policy == nullptr) {
    shared_.counters.add(Counter::kOutNoPolicy);
    return nullptr;
  }
  Bundle& bundle = shared_.table.bundle(policy->reqid);
  for (auto at = bundle.sas.rbegin(); at != bundle.sas.rend(); ++at) {
    if (!(*at)->dead) return *at;
  }
  shared_.counters.add(Counter::kOutNoSa);
  if (shared_.may_tell(bundle.acquire_sent)) shared_.events.push_back(Acquire{policy->reqid});
  return nullptr;
}

void Egress::take(const VnetHeader& header, ByteView packet) {
  const auto flow = parse_flow(packet);
  auto segments = flow ? Segmenter::make(header, packet.first(flow->octets)) : std::nullopt;
  if (!segments) {
    shared_.counters.add(Counter::kOutMalformed);
    return;
  }
  OutSa* sa = find_sa(*flow);
  if (sa == nullptr) return;
  const std::uint8_t next_header =
      flow->source.is_v4() ? wire::ip::kProtocolIpv4 : wire::ip::kProtocolIpv6;
  // DSCP and ECN are copied outwards (RFC 4301 section 5.1.2, RFC 6040 section 4.1 normal mode).
  append(*segments, *sa, next_header, flow->traffic_class);
}

void Egress::append(Segmenter& segments, OutSa& sa, std::uint8_t next_header,
                    std::uint8_t traffic_class) {
  const esp::Shape& shape = sa.esp.shape();
  while (const std::size_t octets = segments.next_octets()) {
    const std::size_t whole = shape.esp_size(octets);
    if (packets_.size() == kEgressPackets || used_ + whole > arena_.size()) {
      flush();
      if (sa.dead) return;  // a hard limit, in the middle of a super-packet
    }
    const MutableByteView place = MutableByteView(arena_).subspan(used_, whole);
    segments.next(place.data() + shape.headroom());
    packets_.push_back({place, octets, next_header});
    meta_.push_back({&sa, traffic_class});
    used_ += whole;
    turn_octets_ += whole;
  }
}

// Packets from..to-1 are of one SA. Returns how many from the front are now ESP packets.
std::size_t Egress::seal_run(std::size_t from, std::size_t to) {
  OutSa& sa = *meta_[from].sa;
  if (sa.dead) return 0;
  const std::uint64_t left = sa.packets_left();
  const std::size_t count = left < to - from ? static_cast<std::size_t>(left) : to - from;
  const std::size_t sealed = sa.esp.seal(std::span(packets_).subspan(from, count), rng_);
  std::uint64_t octets = 0;
  for (std::size_t i = from; i < from + sealed; ++i) octets += packets_[i].payload_octets;
  shared_.account(sa, sealed, octets);
  if (sa.esp.remaining() == 0 || (sealed < to - from)) {
    shared_.expire(sa);
  } else if (!sa.soft_sent && sa.esp.remaining() < kSoftSequencesLeft) {
    sa.soft_sent = true;
    shared_.events.push_back(SoftExpire{sa.key});
  }
  return sealed;
}

void Egress::flush() {
  for (std::size_t from = 0; from < packets_.size();) {
    std::size_t to = from + 1;
    while (to < packets_.size() && meta_[to].sa == meta_[from].sa) ++to;
    const std::size_t sealed = seal_run(from, to);
    if (sealed < to - from) shared_.counters.add(Counter::kOutSaExpired, to - from - sealed);
    for (std::size_t i = from; i < from + sealed; ++i) {
      sender_.add(*meta_[from].sa, packets_[i].packet, meta_[i].traffic_class);
    }
    from = to;
  }
  sender_.flush();
  packets_.clear();
  meta_.clear();
  used_ = 0;
}

}  // namespace espalier::dataplane::userspace
