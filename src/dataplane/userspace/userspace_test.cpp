// The plane over a socket pair and the loopback: every path a packet can take, without rights.
#include "dataplane/userspace/userspace.hpp"

#include <atomic>
#include <thread>

#include "dataplane/contract_tests.hpp"
#include "dataplane/userspace/limits.hpp"
#include "dataplane/userspace/packet_testing.hpp"
#include "dataplane/userspace/plane_testing.hpp"
#include "dataplane/userspace/segment.hpp"

namespace espalier::dataplane {
namespace contract {
INSTANTIATE_TYPED_TEST_SUITE_P(Userspace, PortContract, userspace::testing::LoopbackPlane);
}
namespace userspace {
namespace {

using namespace testing;

// left and right, one child between them: 192.168.1.0/24 and fd00::1 on the left.
class Planes : public ::testing::Test {
 protected:
  Child child(Family outer = Family::kIpv4) {
    Child out;
    out.local = left_.address(outer);
    out.remote = right_.address(outer);
    out.local_ts = {net("192.168.1.0/24"), net("fd00::1/128")};
    out.remote_ts = {net("192.168.2.0/24"), net("fd00::2/128")};
    return out;
  }
  void connect(const Child& one) {
    ASSERT_TRUE(install(left_.port(), one).ok());
    ASSERT_TRUE(install(right_.port(), other_end(one)).ok());
  }
  // Octets to a plane's IPv4 socket, from the other's.
  void send_raw(LoopbackPlane& from, LoopbackPlane& to, ByteView octets) {
    sockaddr_storage name{};
    const socklen_t size = to_sockaddr(to.address(), name);
    EXPECT_EQ(::sendto(from.udp4.get(), octets.data(), octets.size(), 0,
                       reinterpret_cast<sockaddr*>(&name), size),
              static_cast<ssize_t>(octets.size()));
  }
  LoopbackPlane left_, right_;
};

TEST_F(Planes, carryPacketsOfBothFamiliesOverBoth) {
  for (const Family outer : {Family::kIpv4, Family::kIpv6}) {
    if (outer == Family::kIpv6 && !left_.udp6) GTEST_SKIP() << "no IPv6 on this machine";
    Child one = child(outer);
    const std::uint32_t shift = outer == Family::kIpv4 ? 0 : 0x10000;
    one.spi_in += shift;
    one.spi_out += shift;
    one.reqid += shift;
    connect(one);
    for (const bool v4 : {true, false}) {
      for (const std::size_t size :
           {std::size_t{0}, std::size_t{1}, std::size_t{1200}, std::size_t{9000}}) {
        const Bytes packet = udp_packet(v4, filled(size));
        left_.write(packet);
        const auto [header, got] = right_.read();
        EXPECT_EQ(got, packet) << v4 << size;
        EXPECT_EQ(header, VnetHeader{});
      }
    }
  }
  const Snapshot snapshot = right_.plane->query().value();
  EXPECT_EQ(snapshot.sas[0].key.direction, Direction::kIn);
  EXPECT_EQ(snapshot.sas[0].counters.packets, 8u);
  EXPECT_EQ(snapshot.sas[0].counters.bytes, 2 * (28 * 4 + 48 * 4 + 2 * 10201) / 2u);
  EXPECT_GT(snapshot.sas[0].counters.last_used, Instant{});
}

TEST_F(Planes, everySuite) {
  using crypto::EncrId, crypto::IntegId;
  std::uint32_t shift = 0;
  for (const crypto::CipherSuite suite :
       {crypto::CipherSuite{EncrId::kAesGcm16, 256, IntegId::kNone},
        crypto::CipherSuite{EncrId::kChaCha20Poly1305, 0, IntegId::kNone},
        crypto::CipherSuite{EncrId::kAesCbc, 256, IntegId::kHmacSha2_256_128}}) {
    Child one = child();
    one.spi_in += shift;
    one.spi_out += shift;
    one.suite = suite;
    shift += 0x10000;
    connect(one);  // the same reqid: the newest outbound SA is used
    const Bytes packet = udp_packet(true, filled(700));
    left_.write(packet);
    EXPECT_EQ(right_.read().second, packet);
    EXPECT_EQ(right_.plane->query()->sas[shift / 0x10000 - 1].counters.packets, 1u);
  }
}

TEST_F(Planes, aSuperPacketCrossesInOneSendAndArrivesInOneWrite) {
  connect(child());
  for (const bool v4 : {true, false}) {
    TcpShape shape;
    shape.v4 = v4;
    const Bytes payload = filled(40000);
    Bytes packet = tcp_packet(shape, payload);
    const std::size_t tcp = v4 ? 20 : 40;
    VnetHeader header;
    header.flags = VnetHeader::kNeedsChecksum;
    header.gso_type = v4 ? VnetHeader::kGsoTcpv4 : VnetHeader::kGsoTcpv6;
    header.gso_size = 1300;
    header.checksum_start = static_cast<std::uint16_t>(tcp);
    header.checksum_offset = 16;
    put_u16(&packet[tcp + 16],
            unfinished(pseudo_sum(addresses_of(packet), 6, packet.size() - tcp)));
    left_.write(packet, header);
    Bytes received;
    int writes = 0;
    while (received.size() < payload.size()) {
      const auto [got_header, got] = right_.read();
      ASSERT_FALSE(got.empty());
      ++writes;
      received.insert(received.end(), got.begin() + static_cast<std::ptrdiff_t>(tcp + 20),
                      got.end());
    }
    EXPECT_EQ(received, payload);
    EXPECT_LE(writes, 3);  // one when the loopback keeps the segments together
  }
  EXPECT_EQ(left_.counter("out-packets"), 62u);
  EXPECT_LE(left_.counter("out-sends"), 4u);
}

TEST_F(Planes, withoutPolicyOrSaNothingLeaves) {
  left_.write(udp_packet(true, filled(10)));
  EXPECT_TRUE(left_.reaches("out-no-policy", 1));
  const Child one = child();
  const std::vector<Change> policy{
      SetPolicy{{"left-right", ReqId(1), one.local_ts, one.remote_ts}}};
  ASSERT_TRUE(left_.port().apply(policy).ok());
  for (int i = 0; i < 5; ++i) left_.write(udp_packet(true, filled(10)));
  EXPECT_TRUE(left_.reaches("out-no-sa", 5));
  const std::vector<Event> events = left_.plane->poll_events();
  ASSERT_EQ(events.size(), 1u);  // one Acquire a second, not one a packet
  EXPECT_EQ(std::get<Acquire>(events[0]).reqid, ReqId(1));
  EXPECT_EQ(left_.counter("out-packets"), 0u);
  left_.write(Bytes(30, 0x55));
  EXPECT_TRUE(left_.reaches("out-malformed", 1));
}

TEST_F(Planes, theNewestSaIsUsedAndTheOldOneTakesOverWhenItGoes) {
  Child one = child();
  connect(one);
  Child two = one;
  two.spi_in += 0x10000;
  two.spi_out += 0x10000;
  connect(two);
  left_.write(udp_packet(true, filled(1)));
  EXPECT_FALSE(right_.read().second.empty());
  const SaKey newest = sa_of(two, Direction::kOut).key();
  ASSERT_TRUE(left_.port().apply(std::vector<Change>{DeleteSa{newest}}).ok());
  left_.write(udp_packet(true, filled(1)));
  EXPECT_FALSE(right_.read().second.empty());
  const Snapshot snapshot = right_.plane->query().value();
  EXPECT_EQ(snapshot.sas[0].counters.packets, 1u);
  EXPECT_EQ(snapshot.sas[1].counters.packets, 1u);
}

// An SA whose key is right and whose packet is not for it.
TEST_F(Planes, decryptedPacketsOutsideTheSelectorsAreDropped) {
  Child one = child();
  ASSERT_TRUE(install(left_.port(), one).ok());
  Child narrow = other_end(one);
  narrow.local_ts = {net("192.168.2.99/32")};
  ASSERT_TRUE(install(right_.port(), narrow).ok());
  left_.write(udp_packet(true, filled(10)));
  EXPECT_TRUE(right_.reaches("in-selector-mismatch", 1));
  EXPECT_TRUE(right_.read(50).second.empty());
}

TEST_F(Planes, ikeKeepalivesAndRubbishAreToldApart) {
  connect(child());
  const Bytes ike =
      from_hex("00000000112233445566778800000000000000002120222000000000000000ff").value();
  send_raw(left_, right_, ike);
  send_raw(left_, right_, Bytes{0xff});
  send_raw(left_, right_, Bytes{1, 2, 3});
  send_raw(left_, right_,
           from_hex("00002000000000010000000000000001").value());  // too short for the SA
  for (int i = 0; i < 50; ++i)
    send_raw(left_, right_, from_hex("00abcdef0000000100000000").value());
  EXPECT_TRUE(right_.reaches("in-unknown-spi", 50));
  EXPECT_EQ(right_.counter("in-ike"), 1u);
  EXPECT_EQ(right_.counter("in-keepalive"), 1u);
  EXPECT_EQ(right_.counter("in-malformed"), 2u);
  pollfd readable{right_.plane->notify_fd(), POLLIN, 0};
  EXPECT_EQ(::poll(&readable, 1, 1000), 1);
  const std::vector<IkeDatagram> datagrams = right_.plane->take_ike_datagrams();
  ASSERT_EQ(datagrams.size(), 1u);
  EXPECT_EQ(datagrams[0].bytes, Bytes(ike.begin() + 4, ike.end()));
  EXPECT_EQ(datagrams[0].local, right_.address());
  EXPECT_EQ(datagrams[0].remote, left_.address());
  const std::vector<Event> events = right_.plane->poll_events();
  EXPECT_GE(events.size(), 1u);
  EXPECT_LE(events.size(), 2 * kUnknownSpiEventsPerSecond);
  for (const Event& event : events) EXPECT_EQ(std::get<UnknownSpi>(event).spi, Spi(0x00abcdef));
  EXPECT_EQ(::poll(&readable, 1, 0), 0);  // nothing waits any more
}

TEST_F(Planes, theIkeQueueKeepsTheNewest) {
  for (std::uint32_t i = 0; i < 3 * kIkeDatagrams; ++i) {
    Bytes ike(40);
    put_u32(&ike[4], i);
    send_raw(left_, right_, ike);
    if (i % 256 == 255) right_.counter("in-ike");  // lets the worker keep up
  }
  right_.reaches("in-ike", 3 * kIkeDatagrams);
  const std::vector<IkeDatagram> datagrams = right_.plane->take_ike_datagrams();
  EXPECT_EQ(datagrams.size(), kIkeDatagrams);
  EXPECT_EQ(get_u32(datagrams.back().bytes.data()), 3 * kIkeDatagrams - 1);
  EXPECT_GE(right_.counter("in-ike-dropped"), kIkeDatagrams);
}

TEST_F(Planes, forgeriesAndReplaysAreCountedAndDropped) {
  const Child one = child();
  ASSERT_TRUE(install(right_.port(), other_end(one)).ok());
  // The left plane sends to a socket of ours, so that its packets can be bent and repeated.
  const Fd tap = open_udp(Family::kIpv4, 0, 0, false).value();
  Child tapped = one;
  tapped.remote = {one.remote.ip, bound_address(tap.get()).port};
  ASSERT_TRUE(install(left_.port(), tapped).ok());
  left_.write(udp_packet(true, filled(100)));
  pollfd readable{tap.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&readable, 1, 1000), 1);
  Bytes esp(2000);
  esp.resize(static_cast<std::size_t>(::recv(tap.get(), esp.data(), esp.size(), 0)));
  Bytes bent = esp;
  bent[40] ^= 1;
  send_raw(left_, right_, bent);
  EXPECT_TRUE(right_.reaches("in-bad-icv", 1));
  send_raw(left_, right_, esp);
  EXPECT_EQ(right_.read().second, udp_packet(true, filled(100)));
  send_raw(left_, right_, esp);
  EXPECT_TRUE(right_.reaches("in-replayed", 1));
  EXPECT_TRUE(right_.read(50).second.empty());
}

TEST_F(Planes, anAuthenticPacketFromElsewhereTellsOnce) {
  Child one = child();
  connect(one);
  Child expects_elsewhere = other_end(one);
  const SaKey in = sa_of(expects_elsewhere, Direction::kIn).key();
  SocketAddress elsewhere = one.local;
  elsewhere.port = static_cast<std::uint16_t>(elsewhere.port + 1);
  ASSERT_TRUE(right_.port().apply(std::vector<Change>{MoveSa{in, one.remote, elsewhere}}).ok());
  EXPECT_EQ(right_.port()
                .apply(std::vector<Change>{MoveSa{in, one.remote, elsewhere, false}})
                .error()
                .code,
            ErrorCode::kUnsupported);
  for (int i = 0; i < 5; ++i) left_.write(udp_packet(true, filled(10)));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(right_.read().second.empty());
  right_.counter("in-packets");  // behind the turn that tells
  const std::vector<Event> events = right_.plane->poll_events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(std::get<PeerMoved>(events[0]).key, in);
  EXPECT_EQ(std::get<PeerMoved>(events[0]).from, one.local);
}

// Not what is forged, nor the second.
TEST_F(Planes, theFirstAuthenticPacketIsToldOnce) {
  const Child one = child();
  Child there = other_end(one);
  SaSpec in = sa_of(there, Direction::kIn);
  in.tell_first = true;
  ASSERT_TRUE(right_.port().apply(std::vector<Change>{AddSa{in}}).ok());
  Bytes forged(64, 7);
  for (std::size_t i = 0; i < 4; ++i) {
    forged[i] = static_cast<std::uint8_t>(in.spi.value >> (24 - 8 * i));
  }
  send_raw(left_, right_, forged);
  EXPECT_TRUE(right_.reaches("in-bad-icv", 1));
  EXPECT_TRUE(right_.plane->poll_events().empty());
  SaSpec out = sa_of(one, Direction::kOut);
  ASSERT_TRUE(left_.port()
                  .apply(std::vector<Change>{
                      AddSa{out}, SetPolicy{{"left-right", ReqId(1), one.local_ts, one.remote_ts}}})
                  .ok());
  for (int i = 0; i < 3; ++i) left_.write(udp_packet(true, filled(10)));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(right_.read().second.empty());
  right_.counter("in-packets");  // behind the turn that tells
  const std::vector<Event> events = right_.plane->poll_events();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(std::get<FirstPacket>(events[0]).key, in.key());
}

TEST_F(Planes, limitsSpeakAndStop) {
  const Child one = child();
  SaSpec limited = sa_of(one, Direction::kOut);
  limited.soft_packets = 2;
  limited.hard_packets = 4;
  const std::vector<Change> changes{
      AddSa{limited}, SetPolicy{{"left-right", ReqId(1), one.local_ts, one.remote_ts}}};
  ASSERT_TRUE(left_.port().apply(changes).ok());
  ASSERT_TRUE(install(right_.port(), other_end(one)).ok());
  for (int i = 0; i < 10; ++i) left_.write(udp_packet(true, filled(10)));
  for (int i = 0; i < 4; ++i) EXPECT_FALSE(right_.read().second.empty()) << i;
  EXPECT_TRUE(right_.read(50).second.empty());
  EXPECT_EQ(left_.counter("out-packets"), 4u);
  EXPECT_EQ(left_.counter("out-sa-expired") + left_.counter("out-no-sa"), 6u);
  EXPECT_TRUE(left_.plane->query()->sas.empty());
  std::vector<Event> events = left_.plane->poll_events();
  std::erase_if(events, [](const Event& event) { return std::holds_alternative<Acquire>(event); });
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(std::get<SoftExpire>(events[0]).key, limited.key());
  EXPECT_EQ(std::get<HardExpire>(events[1]).key, limited.key());
}

TEST_F(Planes, whatItCannotCarryIsRefusedInWords) {
  SaSpec bare = sa_of(child(), Direction::kOut);
  bare.udp_encap = false;
  EXPECT_EQ(left_.port().apply(std::vector<Change>{AddSa{bare}}).error().code,
            ErrorCode::kUnsupported);
  SaSpec transport = sa_of(child(), Direction::kOut);
  transport.mode = policy::Mode::kTransport;
  const Status status = left_.port().apply(std::vector<Change>{AddSa{transport}});
  EXPECT_EQ(status.error().code, ErrorCode::kUnsupported);
  EXPECT_NE(status.error().message.find("mode: tunnel"), std::string::npos);
}

TEST_F(Planes, dscpAndEcnGoOutwardAndCongestionComesBack) {
  const Child one = child();
  ASSERT_TRUE(install(right_.port(), other_end(one)).ok());
  const Fd tap = open_udp(Family::kIpv4, 0, 0, false).value();
  Child tapped = one;
  tapped.remote = {one.remote.ip, bound_address(tap.get()).port};
  ASSERT_TRUE(install(left_.port(), tapped).ok());
  left_.write(udp_packet(true, filled(10), 1, 2, 0xb8 | 2));  // EF, ECT(0)
  pollfd readable{tap.get(), POLLIN, 0};
  ASSERT_EQ(::poll(&readable, 1, 1000), 1);
  Bytes esp(2000);
  alignas(cmsghdr) std::uint8_t control[256];
  iovec vector{esp.data(), esp.size()};
  msghdr header{};
  header.msg_iov = &vector;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  esp.resize(static_cast<std::size_t>(::recvmsg(tap.get(), &header, 0)));
  int seen = -1;
  for (cmsghdr* at = CMSG_FIRSTHDR(&header); at != nullptr; at = CMSG_NXTHDR(&header, at)) {
    if (at->cmsg_level == IPPROTO_IP && at->cmsg_type == IP_TOS) seen = *CMSG_DATA(at);
  }
  EXPECT_EQ(seen, 0xb8 | 2);
  // On the way a router marks congestion.
  const int marked = 0xb8 | 3;
  ASSERT_EQ(::setsockopt(left_.udp4.get(), IPPROTO_IP, IP_TOS, &marked, sizeof(marked)), 0);
  send_raw(left_, right_, esp);
  EXPECT_EQ(right_.read().second, udp_packet(true, filled(10), 1, 2, 0xb8 | 3));
}

TEST_F(Planes, changesWhileTrafficFlows) {
  connect(child());
  std::atomic<bool> stop = false;
  std::thread traffic([&] {
    while (!stop) {
      Bytes all(VnetHeader::kOctets);
      const Bytes packet = udp_packet(true, filled(500));
      all.insert(all.end(), packet.begin(), packet.end());
      [[maybe_unused]] const auto sent = ::send(left_.host.get(), all.data(), all.size(), 0);
      right_.read(1);
    }
  });
  for (std::uint32_t i = 1; i <= 200; ++i) {
    Child next = child();
    next.spi_in += i * 0x10000;
    next.spi_out += i * 0x10000;
    ASSERT_TRUE(install(right_.port(), other_end(next)).ok());
    ASSERT_TRUE(install(left_.port(), next).ok());
    if (i < 3) continue;
    Child old = child();
    old.spi_in += (i - 2) * 0x10000;
    old.spi_out += (i - 2) * 0x10000;
    for (LoopbackPlane* plane : {&left_, &right_}) {
      const Child view = plane == &left_ ? old : other_end(old);
      ASSERT_TRUE(plane->port()
                      .apply(std::vector<Change>{DeleteSa{sa_of(view, Direction::kOut).key()}})
                      .ok());
    }
    left_.plane->poll_events();
    right_.plane->take_ike_datagrams();
    // Changes are quicker than packets: each ten have some between them.
    const std::uint64_t before = right_.counter("in-packets");
    for (int turn = 0; i % 10 == 0 && turn < 2000; ++turn) {
      if (right_.counter("in-packets") > before) break;
      std::this_thread::sleep_for(1ms);
    }
  }
  stop = true;
  traffic.join();
  EXPECT_GT(right_.counter("in-packets"), 10u);
  EXPECT_EQ(right_.counter("in-bad-icv"), 0u);
  EXPECT_EQ(left_.counter("out-no-sa"), 0u);
}

TEST(Udp, aTakenPortIsBusy) {
  const Fd first = open_udp(Family::kIpv4, 0, 0, true).value();
  const auto second = open_udp(Family::kIpv4, bound_address(first.get()).port, 0, true);
  EXPECT_EQ(second.error().code, ErrorCode::kBusy);
}

TEST(Userspace, needsItsParts) {
  EXPECT_EQ(Userspace::make({}).error().code, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace userspace
}  // namespace espalier::dataplane
