// For tests: a clock, and a plane whose TUN device is a socket pair and whose peer is on the
// loopback.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>

#include <chrono>

#include "dataplane/userspace/sockaddr.hpp"
#include "dataplane/userspace/udp.hpp"
#include "dataplane/userspace/userspace.hpp"
#include "dataplane/userspace/vnet.hpp"
#include "policy/selectors.hpp"

namespace espalier::dataplane::userspace::testing {

inline Instant monotonic_now() {
  return Instant(
      std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

inline policy::TrafficSelector net(std::string_view text) {
  return policy::from_prefix(Prefix::parse(text).value());
}

inline SocketAddress bound_address(int fd) {
  sockaddr_storage name{};
  socklen_t octets = sizeof(name);
  EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &octets), 0);
  return from_sockaddr(name);
}

// A plane on 127.0.0.1 and ::1; `host` is the kernel's end of its TUN device.
struct LoopbackPlane {
  LoopbackPlane() {
    int pair[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    device = Fd(pair[0]);
    host = Fd(pair[1]);
    udp4 = open_udp(Family::kIpv4, 0, 0, true).value();
    auto v6 = open_udp(Family::kIpv6, 0, 0, true);
    if (v6) udp6 = std::move(*v6);
    UserspaceOptions options;
    options.tun_fd = device.get();
    options.udp4_fd = udp4.get();
    options.udp6_fd = udp6.get();
    options.clock = monotonic_now;
    options.rng = &rng;
    plane = Userspace::make(std::move(options)).value();
  }
  Port& port() { return *plane; }
  SocketAddress address(Family family = Family::kIpv4) const {
    const bool v4 = family == Family::kIpv4;
    return {IpAddress::parse(v4 ? "127.0.0.1" : "::1").value(),
            bound_address(v4 ? udp4.get() : udp6.get()).port};
  }
  std::uint64_t counter(std::string_view name) {
    const Snapshot snapshot = plane->query().value();
    for (const auto& [key, value] : snapshot.counters) {
      if (key == name) return value;
    }
    ADD_FAILURE() << "no counter " << name;
    return 0;
  }
  // As the kernel: hands the plane a packet.
  void write(ByteView packet, const VnetHeader& header = {}) {
    Bytes all(VnetHeader::kOctets);
    header.write(all.data());
    all.insert(all.end(), packet.begin(), packet.end());
    EXPECT_EQ(::send(host.get(), all.data(), all.size(), 0), static_cast<ssize_t>(all.size()));
  }
  // As the kernel: what the plane wrote, header and packet; empty after a second.
  std::pair<VnetHeader, Bytes> read(int timeout_ms = 1000) {
    pollfd readable{host.get(), POLLIN, 0};
    if (::poll(&readable, 1, timeout_ms) != 1) return {};
    Bytes all(70000);
    const ssize_t got = ::recv(host.get(), all.data(), all.size(), 0);
    EXPECT_GE(got, static_cast<ssize_t>(VnetHeader::kOctets));
    all.resize(static_cast<std::size_t>(std::max<ssize_t>(got, VnetHeader::kOctets)));
    return {VnetHeader::read(all.data()), Bytes(all.begin() + VnetHeader::kOctets, all.end())};
  }
  // Waits until the counter has the value, so that tests need not sleep.
  bool reaches(std::string_view name, std::uint64_t value) {
    for (int i = 0; i < 200; ++i) {
      if (counter(name) >= value) return true;
      ::poll(nullptr, 0, 10);
    }
    return false;
  }

  Fd device, host, udp4, udp6;
  crypto::SystemRng rng;
  std::unique_ptr<Userspace> plane;
};

// The two SAs of a child, as the plane at `local` sees them. spi_in 0: only the outbound one.
struct Child {
  SocketAddress local, remote;
  std::uint32_t spi_in = 0x1000, spi_out = 0x2000;
  std::uint32_t reqid = 1;
  policy::SelectorList local_ts, remote_ts;
  crypto::CipherSuite suite{crypto::EncrId::kAesGcm16, 128, crypto::IntegId::kNone};
};

inline SaSpec sa_of(const Child& child, Direction direction) {
  const bool in = direction == Direction::kIn;
  SaSpec out;
  out.direction = direction;
  out.spi = Spi(in ? child.spi_in : child.spi_out);
  out.reqid = ReqId(child.reqid);
  out.pair = "left-right";
  out.local = child.local;
  out.remote = child.remote;
  out.suite = child.suite;
  const crypto::SuiteSizes sizes = crypto::sizes(child.suite).value();
  // Both ends derive the key of a direction from its SPI: tests only.
  out.encr_key = SecretBytes(Bytes(sizes.encr_key, static_cast<std::uint8_t>(out.spi.value >> 8)));
  out.integ_key =
      SecretBytes(Bytes(sizes.integ_key, static_cast<std::uint8_t>(out.spi.value >> 8)));
  out.esn = true;
  out.local_ts = child.local_ts;
  out.remote_ts = child.remote_ts;
  return out;
}

inline Status install(Port& port, const Child& child) {
  const std::vector<Change> changes{
      AddSa{sa_of(child, Direction::kIn)}, AddSa{sa_of(child, Direction::kOut)},
      SetPolicy{{"left-right", ReqId(child.reqid), child.local_ts, child.remote_ts}}};
  return port.apply(changes);
}

inline Child other_end(const Child& child) {
  Child out = child;
  std::swap(out.local, out.remote);
  std::swap(out.spi_in, out.spi_out);
  std::swap(out.local_ts, out.remote_ts);
  return out;
}

}  // namespace espalier::dataplane::userspace::testing
