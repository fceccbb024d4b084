// Two engines, N pairs between them, from cold to an IKE SA with a child each: CPU time and heap
// per pair, and whether either grows with N. No sockets and no dataplane: what the protocol itself
// costs.
//
//   ike_pairs_bench [N]...     (default: 10 1000 10000)
#include <malloc.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

#include "ike/core/endpoint.hpp"
#include "policy/identity.hpp"
#include "policy/proposal.hpp"
#include "policy/selectors.hpp"

namespace espalier {
namespace {

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

std::size_t heap_octets() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

class NoKeys final : public ike::KeyStore {
  std::shared_ptr<const crypto::PrivateKey> find(const std::string&) const override {
    return nullptr;
  }
};

struct End {
  ike::Endpoint engine;
  crypto::SystemRng rng;
  IpAddress address;
  std::size_t installed = 0;
  double job_seconds = 0;
};

policy::Connection connection(const End& own, const End& other, const std::string& self,
                              const std::string& peer, std::size_t number) {
  policy::Connection made;
  made.name = self + "-" + peer;
  made.peer = peer;
  made.local_addresses = {own.address};
  made.remote_addresses = {other.address};
  made.local_id = policy::parse_identity(self).value();
  made.remote_id = policy::parse_identity(peer).value();
  made.psk = SecretBytes(as_bytes("0123456789abcdef0123456789abcdef"));
  made.proposals = {policy::parse_ike_proposal("aes128gcm16-prfsha256-x25519").value()};
  policy::ChildConfig child;
  child.name = "net";
  const auto net = [&](char side) {
    const unsigned first = side == 'a' ? 100 : 200;
    const auto text = std::to_string(first) + "." + std::to_string(number >> 16) + "." +
                      std::to_string(number >> 8 & 255) + "." + std::to_string(number & 255);
    return policy::from_prefix(Prefix::host(IpAddress::parse(text).value()));
  };
  child.local_ts = {net(self.front())};
  child.remote_ts = {net(peer.front())};
  child.proposals = {policy::parse_esp_proposal("aes128gcm16").value()};
  made.children = {child};
  made.start = policy::Start::kNone;
  return made;
}

void drain(End& from, End& to, Instant now) {
  static const NoKeys keys;
  std::vector<ike::Transmit> out;
  for (;;) {
    if (auto effect = from.engine.poll_effect()) {
      if (const auto* job = std::get_if<ike::StartJob>(&*effect)) {
        const double begun = cpu_seconds();
        ike::JobDone done{job->id, ike::run_job(job->job, from.rng, keys, 0)};
        from.job_seconds += cpu_seconds() - begun;
        from.engine.handle_completion(now, from.rng, done);
      }
      if (std::holds_alternative<ike::InstallSa>(*effect)) ++from.installed;
    } else if (auto transmit = from.engine.poll_transmit()) {
      out.push_back(std::move(*transmit));
    } else if (!from.engine.poll_event()) {
      break;
    }
  }
  for (const ike::Transmit& transmit : out) {
    const ike::Path path{transmit.path.remote, transmit.path.local};
    to.engine.handle_datagram(now, to.rng, path, transmit.datagram);
    drain(to, from, now);
  }
}

int run(std::size_t count) {
  const Instant now{};
  const std::size_t heap_start = heap_octets();
  End a, b;
  a.address = IpAddress::parse("192.0.2.1").value();
  b.address = IpAddress::parse("192.0.2.2").value();
  {
    ike::Configure for_a, for_b;
    for (std::size_t i = 0; i < count; ++i) {
      const std::string name_a = "a" + std::to_string(i), name_b = "b" + std::to_string(i);
      for_a.connections.push_back(connection(a, b, name_a, name_b, i));
      for_b.connections.push_back(connection(b, a, name_b, name_a, i));
    }
    (void)a.engine.handle_command(now, a.rng, for_a);
    (void)b.engine.handle_command(now, b.rng, for_b);
  }
  const std::size_t heap_configured = heap_octets();
  const double begun = cpu_seconds();
  for (std::size_t i = 0; i < count; ++i) {
    const std::string name = "a" + std::to_string(i) + "-b" + std::to_string(i);
    (void)a.engine.handle_command(now, a.rng, ike::Initiate{name});
    drain(a, b, now);
  }
  const double seconds = cpu_seconds() - begun;
  const std::size_t heap_up = heap_octets();
  const double n = static_cast<double>(count);
  const std::size_t whole = std::min(a.installed, b.installed) / 2;
  std::printf(
      "%zu pairs, %zu whole: %.0f us CPU a pair (both ends), of which %.0f us Diffie-Hellman; per "
      "end and pair %.0f octets configured, %.0f octets IKE SA with child\n",
      count, whole, seconds / n * 1e6, (a.job_seconds + b.job_seconds) / n * 1e6,
      static_cast<double>(heap_configured - heap_start) / 2 / n,
      static_cast<double>(heap_up - heap_configured) / 2 / n);
  return whole == count ? 0 : 1;
}

}  // namespace
}  // namespace espalier

int main(int argc, char** argv) {
  std::vector<std::size_t> counts;
  for (int i = 1; i < argc; ++i) counts.push_back(std::strtoull(argv[i], nullptr, 10));
  if (counts.empty()) counts = {10, 1000, 10000};
  std::printf("sizeof: IkeSa %zu, ChildSa %zu, Pair %zu, Connection %zu, TrafficSelector %zu\n",
              sizeof(espalier::ike::v2::IkeSa), sizeof(espalier::ike::v2::ChildSa),
              sizeof(espalier::ike::Pair), sizeof(espalier::policy::Connection),
              sizeof(espalier::policy::TrafficSelector));
  int status = 0;
  for (const std::size_t count : counts) status |= espalier::run(count);
  return status;
}
