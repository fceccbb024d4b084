// Against the kernel, each test in a network namespace of its own. The wire is a veth pair whose
// other end is in a second namespace, "peer".
#include "dataplane/userspace/host_setup.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "dataplane/userspace/netns_testing.hpp"

namespace espalier::dataplane::userspace {
namespace {

using ::testing::HasSubstr;
using testing::in_fresh_netns;
using ::testing::Not;
using testing::sh;

Prefix p(const char* text) { return *Prefix::parse(text); }

struct Wire {
  int host = -1, peer = -1;  // descriptors of the two namespaces

  // The calling process's namespace becomes "host"; it has 10.77.0.1 and fd77::1, the peer .2, and
  // both an unprotected second pair of addresses, 10.99.0.1 and .2.
  void make() {
    host = open("/proc/thread-self/ns/net", O_RDONLY);
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    peer = open("/proc/thread-self/ns/net", O_RDONLY);
    sh("ip link set lo up");
    enter(host);
    sh("ip link set lo up");
    sh(fmt::format("ip link add eth0 type veth peer name eth0 netns /proc/{}/fd/{}", getpid(),
                   peer));
    addresses(1);
    enter(peer);
    addresses(2);
    enter(host);
  }
  static void addresses(int last) {
    sh(
        fmt::format("ip addr add 10.77.0.{0}/24 dev eth0; ip addr add 10.99.0.{0}/24 dev eth0; "
                    "ip addr add fd77::{0}/64 dev eth0 nodad; ip link set eth0 up",
                    last));
  }
  void enter(int ns) const { ASSERT_EQ(setns(ns, CLONE_NEWNET), 0); }
};

int open_tun() {
  const int tun = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
  ifreq request{};
  request.ifr_flags = IFF_TUN | IFF_NO_PI;
  std::strcpy(request.ifr_name, "espalier0");
  EXPECT_EQ(ioctl(tun, TUNSETIFF, &request), 0) << std::strerror(errno);
  return tun;
}

HostNetwork two_hosts() {
  HostNetwork network;
  network.pairs = {{"bender-flexo",
                    {p("10.77.0.1/32"), p("fd77::1/128")},
                    {p("10.77.0.2/32"), p("fd77::2/128"), p("10.3.0.0/24")},
                    *IpAddress::parse("10.77.0.1"),
                    *IpAddress::parse("fd77::1")}};
  return network;
}

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  Address(const char* ip, std::uint16_t port) {
    auto& v4 = reinterpret_cast<sockaddr_in&>(storage);
    auto& v6 = reinterpret_cast<sockaddr_in6&>(storage);
    if (inet_pton(AF_INET, ip, &v4.sin_addr) == 1) {
      v4.sin_family = AF_INET;
      v4.sin_port = htons(port);
      size = sizeof(v4);
    } else {
      inet_pton(AF_INET6, ip, &v6.sin6_addr);
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(port);
      size = sizeof(v6);
    }
  }
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

int bound(const char* ip, std::uint16_t port, std::uint32_t mark = 0) {
  const Address address(ip, port);
  const int fd = socket(address.storage.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  EXPECT_EQ(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)), 0);
  if (mark != 0) {
    EXPECT_EQ(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
  }
  EXPECT_EQ(bind(fd, address.raw(), address.size), 0) << ip << " " << port << std::strerror(errno);
  return fd;
}

// Whether a datagram from one socket arrives at the other.
bool passes(int from, int to, const char* ip, std::uint16_t port) {
  const Address address(ip, port);
  char buffer[64];
  while (recv(to, buffer, sizeof(buffer), MSG_DONTWAIT) > 0) {  // what an earlier try left behind
  }
  (void)!sendto(from, "cleartext", 9, 0, address.raw(), address.size);
  pollfd ready{to, POLLIN, 0};
  if (poll(&ready, 1, 150) != 1) return false;
  return recv(to, buffer, sizeof(buffer), 0) == 9;
}

TEST(Protection, CleartextIsDroppedInBothDirectionsAndTheRestPasses) {
  NEEDS_ROOT();
  in_fresh_netns([] {
    Wire wire;
    wire.make();
    wire.enter(wire.peer);
    const int peer4 = bound("10.77.0.2", 9000), peer6 = bound("fd77::2", 9000);
    const int peer_other = bound("10.99.0.2", 9000);
    const int peer_ike = bound("10.77.0.2", 500), peer_natt = bound("10.77.0.2", 4500);
    wire.enter(wire.host);
    const int own4 = bound("10.77.0.1", 9000), own6 = bound("fd77::1", 9000);
    const int own_other = bound("10.99.0.1", 9000);
    const int own_ike = bound("10.77.0.1", 500, kFwmark),
              own_natt = bound("10.77.0.1", 4500, kFwmark);
    const int own_unmarked = bound("10.77.0.1", 4501);

    EXPECT_TRUE(passes(own4, peer4, "10.77.0.2", 9000))
        << "before protection the wire must be open";
    EXPECT_TRUE(passes(peer6, own6, "fd77::1", 9000)) << "before protection the wire must be open";
    const auto applied = apply_protection(two_hosts());
    ASSERT_TRUE(applied.ok()) << applied.error().message;

    EXPECT_FALSE(passes(own4, peer4, "10.77.0.2", 9000));
    EXPECT_FALSE(passes(peer4, own4, "10.77.0.1", 9000));
    EXPECT_FALSE(passes(own6, peer6, "fd77::2", 9000));
    EXPECT_FALSE(passes(peer6, own6, "fd77::1", 9000));
    EXPECT_FALSE(passes(own_unmarked, peer4, "10.77.0.2", 9000));

    EXPECT_TRUE(passes(own_other, peer_other, "10.99.0.2", 9000))
        << "other addresses are not ours to close";
    EXPECT_TRUE(passes(own_ike, peer_ike, "10.77.0.2", 500));
    EXPECT_TRUE(passes(peer_ike, own_ike, "10.77.0.1", 500));
    EXPECT_TRUE(passes(own_natt, peer_natt, "10.77.0.2", 4500));
    EXPECT_TRUE(passes(peer_natt, own_natt, "10.77.0.1", 4500));
    EXPECT_TRUE(passes(own4, own_ike, "10.77.0.1", 500)) << "traffic to itself is unaffected";
    EXPECT_THAT(sh("nft list counter inet espalier dropped_in"), Not(HasSubstr("packets 0 ")));
    EXPECT_THAT(sh("nft list counter inet espalier dropped_out"), Not(HasSubstr("packets 0 ")));
  });
}

TEST(Protection, NeighbourDiscoveryAndEspPassPingDoesNot) {
  NEEDS_ROOT();
  in_fresh_netns([] {
    Wire wire;
    wire.make();
    ASSERT_TRUE(apply_protection(two_hosts()).ok());
    // A ping is dropped when it leaves, after the neighbour was asked for: so the peer asks.
    wire.enter(wire.peer);
    sh("ip -6 neigh flush dev eth0; ping -6 -c1 -W1 fd77::1 >/dev/null; test $? = 1");
    EXPECT_THAT(sh("ip -6 neigh show fd77::1"), HasSubstr("lladdr"));
    sh("ping -c1 -W1 10.77.0.1 >/dev/null; test $? = 1");
    const int esp_in = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ESP);
    wire.enter(wire.host);
    const int esp_out = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ESP);
    const Address to("10.77.0.2", 0);
    EXPECT_EQ(sendto(esp_out, "12345678", 8, 0, to.raw(), to.size), 8);
    pollfd ready{esp_in, POLLIN, 0};
    EXPECT_EQ(poll(&ready, 1, 500), 1);
  });
}

TEST(Protection, ForwardedAndTranslatedPacketsAreHeldToo) {
  NEEDS_ROOT();
  in_fresh_netns([] {
    Wire wire;
    wire.make();
    // A container of the host, whose packets leave under the host's own, protected address.
    const int host = wire.host;
    ASSERT_EQ(unshare(CLONE_NEWNET), 0);
    const int container = open("/proc/thread-self/ns/net", O_RDONLY);
    wire.enter(host);
    sh(
        fmt::format("ip link add c0 type veth peer name eth0 netns /proc/{}/fd/{}; ip addr add "
                    "172.17.0.1/24 dev c0;"
                    "ip link set c0 up; sysctl -qw net.ipv4.ip_forward=1",
                    getpid(), container));
    wire.enter(container);
    sh("ip addr add 172.17.0.2/24 dev eth0; ip link set eth0 up; ip route add default via "
       "172.17.0.1");
    const int inside = bound("172.17.0.2", 9000);
    wire.enter(host);
    sh("nft 'table ip t { chain post { type nat hook postrouting priority srcnat; ip saddr "
       "172.17.0.0/24 oifname "
       "eth0 masquerade; }; chain pre { type nat hook prerouting priority dstnat; iifname eth0 udp "
       "dport 9001 dnat "
       "to 172.17.0.2:9000; }; }'");
    wire.enter(wire.peer);
    const int peer = bound("10.77.0.2", 9000);
    EXPECT_TRUE(passes(inside, peer, "10.77.0.2", 9000)) << "open before protection";
    EXPECT_TRUE(passes(peer, inside, "10.77.0.1", 9001)) << "open before protection";
    wire.enter(host);
    ASSERT_TRUE(apply_protection(two_hosts()).ok());
    EXPECT_FALSE(passes(inside, peer, "10.77.0.2", 9000));
    EXPECT_FALSE(passes(peer, inside, "10.77.0.1", 9001));
  });
}

TEST(Protection, HasNoGapWhileItIsReplacedUnderTraffic) {
  NEEDS_ROOT();
  in_fresh_netns([] {
    Wire wire;
    wire.make();
    wire.enter(wire.peer);
    const int peer = bound("10.77.0.2", 9000);
    wire.enter(wire.host);
    const int own = bound("10.77.0.1", 9000);
    auto network = two_hosts();
    ASSERT_TRUE(apply_protection(network).ok());
    std::atomic<bool> stop{false};
    std::atomic<unsigned long> tried{0};
    const auto blast = [&](int from, const char* ip) {
      const Address to(ip, 9000);
      for (; !stop; ++tried) (void)!sendto(from, "leak", 4, 0, to.raw(), to.size);
    };
    std::thread out([&] { blast(own, "10.77.0.2"); });
    std::thread in([&] { blast(peer, "10.77.0.1"); });
    for (unsigned i = 0; i < 60; ++i) {
      network.pairs.resize(1);
      for (unsigned j = 0; j < i * 10; ++j) {
        network.pairs.push_back(
            {"x", {p("10.77.0.1/32")}, {Prefix::host(IpAddress::v4(0x0A4E0000u + j))}, {}, {}});
      }
      const auto applied = apply_protection(network);
      EXPECT_TRUE(applied.ok()) << applied.error().message;
      if (!applied) break;
    }
    stop = true;
    out.join();
    in.join();
    EXPECT_GT(tried, 10000u);
    char buffer[16];
    EXPECT_EQ(recv(peer, buffer, sizeof(buffer), MSG_DONTWAIT), -1) << "cleartext left the host";
    EXPECT_EQ(recv(own, buffer, sizeof(buffer), MSG_DONTWAIT), -1) << "cleartext was accepted";
    const auto table = sh("nft -t list table inet espalier");
    EXPECT_THAT(table, HasSubstr("chain leaving_61 "));
    EXPECT_THAT(table, Not(HasSubstr("_60")));
  });
}

TEST(Protection, AHalfFinishedReplacementIsFinishedByTheNext) {
  NEEDS_ROOT();
  in_fresh_netns([] {
    ASSERT_TRUE(apply_protection(two_hosts()).ok());
    // As a SIGKILL between the two transactions leaves it.
    {
      FILE* nft = popen("nft -f -", "w");
      const auto text = protection_ruleset(two_hosts(), 2);
      fwrite(text.data(), 1, text.size(), nft);
      EXPECT_EQ(pclose(nft), 0);
    }
    const auto applied = apply_protection(two_hosts());
    ASSERT_TRUE(applied.ok()) << applied.error().message;
    const auto table = sh("nft -t list table inet espalier");
    EXPECT_THAT(table, HasSubstr("leaving_3"));
    EXPECT_THAT(table, Not(HasSubstr("_1 ")));
    EXPECT_THAT(table, Not(HasSubstr("_2 ")));
  });
}

TEST(Protection, OverlappingPeersAreTaken) {
  NEEDS_ROOT();
  in_fresh_netns([] {
    auto network = two_hosts();
    network.pairs.push_back({"a", {p("10.77.0.0/30")}, {p("10.3.0.0/16"), p("fd00::/8")}, {}, {}});
    network.pairs.push_back({"b", {p("10.77.0.1/32")}, {p("10.3.0.0/24"), p("0.0.0.0/0")}, {}, {}});
    network.own_subnets = {p("10.3.5.0/24")};
    const auto applied = apply_protection(network);
    EXPECT_TRUE(applied.ok()) << applied.error().message;
  });
}

std::string table_of(const char* family) {
  return sh(fmt::format("ip {} route show table {} 2>/dev/null || true", family, kRouteTable));
}

TEST(Routes, LeadPeersIntoTheTunWithTheirSourceAndChangeByDifferences) {
  NEEDS_ROOT();
  in_fresh_netns([] {
    Wire wire;
    wire.make();
    const int tun = open_tun();
    auto network = two_hosts();
    network.own_subnets = {p("10.3.0.128/25"), p("192.168.0.0/24")};
    auto applied = apply_routes(network);
    ASSERT_TRUE(applied.ok()) << applied.error().message;
    EXPECT_THAT(sh("ip route get 10.77.0.2"), HasSubstr("dev espalier0 table 58624 src 10.77.0.1"));
    EXPECT_THAT(sh("ip route get 10.77.0.2 mark 0xe5000000"), HasSubstr("dev eth0 src 10.77.0.1"));
    EXPECT_THAT(sh("ip -6 route get fd77::2"),
                HasSubstr("dev espalier0 table 58624 proto 229 src fd77::1"));
    EXPECT_THAT(sh("ip -6 route get fd77::2 mark 0xe5000000"), HasSubstr("dev eth0"));
    EXPECT_THAT(sh("ip route get 10.99.0.2"), HasSubstr("dev eth0"));
    EXPECT_THAT(sh("ip route get 10.77.0.1"), HasSubstr("dev lo"));
    EXPECT_THAT(table_of("-4"), HasSubstr("throw 10.3.0.128/25 proto 229"));
    EXPECT_THAT(table_of("-4"), Not(HasSubstr("192.168"))) << "nothing larger to take it out of";
    EXPECT_THAT(sh("ip link show espalier0"), HasSubstr("mtu 1400"));
    EXPECT_THAT(sh("ip addr show espalier0"), Not(HasSubstr("fe80")));

    // The same again sends no change; then one host more and one subnet less.
    sh(fmt::format("timeout 30 ip monitor route rule > /tmp/espalier-monitor.{} & sleep 0.3",
                   getpid()));
    ASSERT_TRUE(apply_routes(network).ok());
    const std::string monitor = fmt::format("/tmp/espalier-monitor.{}", getpid());
    EXPECT_EQ(sh("sleep 0.2; cat " + monitor), "");
    network.pairs.push_back({"bender-amy",
                             {p("10.77.0.1/32")},
                             {p("10.77.0.3/32")},
                             *IpAddress::parse("10.77.0.1"),
                             {}});
    network.pairs[0].remote.pop_back();
    applied = apply_routes(network);
    ASSERT_TRUE(applied.ok()) << applied.error().message;
    const auto changes = sh("sleep 0.2; cat " + monitor + "; rm " + monitor);
    EXPECT_EQ(std::count(changes.begin(), changes.end(), '\n'), 3) << changes;
    EXPECT_THAT(changes, HasSubstr("10.77.0.3 dev espalier0"));
    EXPECT_THAT(changes, HasSubstr("Deleted 10.3.0.0/24"));
    EXPECT_THAT(changes, HasSubstr("Deleted throw 10.3.0.128/25"));
    EXPECT_THAT(sh("ip rule"), HasSubstr("229:\tnot from all fwmark 0xe5000000 lookup 58624"));
    EXPECT_THAT(sh("ip -6 rule"), HasSubstr("229:\tnot from all fwmark 0xe5000000 lookup 58624"));
    close(tun);
    EXPECT_THAT(table_of("-4"), Not(HasSubstr("espalier0"))) << "without the daemon the routes go";
  });
}

TEST(Routes, StrictReversePathFilteringHoldsPeersOffUntilTheWarningIsHeeded) {
  NEEDS_ROOT();
  in_fresh_netns([] {
    Wire wire;
    wire.make();
    const int tun = open_tun();
    ASSERT_TRUE(apply_protection(two_hosts()).ok());
    ASSERT_TRUE(apply_routes(two_hosts()).ok());
    wire.enter(wire.peer);
    const int peer_ike = bound("10.77.0.2", 500);
    wire.enter(wire.host);
    const int own_ike = bound("10.77.0.1", 500, kFwmark);
    sh("sysctl -qw net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.all.src_valid_mark=0");
    EXPECT_FALSE(passes(peer_ike, own_ike, "10.77.0.1", 500)) << "else the warning is needless";
    const auto warnings = preflight(two_hosts());
    ASSERT_EQ(warnings.size(), 1u);
    sh(warnings[0].command);
    bool passed = false;  // the peer asks for our link address once a second
    for (int i = 0; i < 20 && !passed; ++i) passed = passes(peer_ike, own_ike, "10.77.0.1", 500);
    EXPECT_TRUE(passed);
    EXPECT_TRUE(preflight(two_hosts()).empty());
    // The mark alone is enough for a peer whose ARP requests need no answer (behind a router).
    usleep(300'000);  // for packets that waited for the link address
    sh("sysctl -qw net.ipv4.conf.eth0.rp_filter=1");
    EXPECT_FALSE(passes(peer_ike, own_ike, "10.77.0.1", 500));
    sh("sysctl -qw net.ipv4.conf.all.src_valid_mark=1");
    EXPECT_TRUE(passes(peer_ike, own_ike, "10.77.0.1", 500));
    close(tun);
  });
}

TEST(Routes, WaitForASourceAddressAndGoInWithoutItMeanwhile) {
  NEEDS_ROOT();
  in_fresh_netns([] {
    Wire wire;
    wire.make();
    const int tun = open_tun();
    auto network = two_hosts();
    network.pairs[0].source4 = *IpAddress::parse("10.88.0.1");
    network.pairs[0].source6 = *IpAddress::parse("fd88::1");
    const auto waiting = apply_routes(network);
    ASSERT_FALSE(waiting.ok());
    EXPECT_EQ(waiting.error().code, ErrorCode::kBusy);
    EXPECT_THAT(waiting.error().message, HasSubstr("10.88.0.1"));
    EXPECT_THAT(table_of("-4"), HasSubstr("10.77.0.2 dev espalier0"));
    EXPECT_THAT(table_of("-6"), HasSubstr("fd77::2 dev espalier0"));
    sh("ip addr add 10.88.0.1/32 dev lo; ip addr add fd88::1/128 dev lo nodad");
    const auto applied = apply_routes(network);
    ASSERT_TRUE(applied.ok()) << applied.error().message;
    EXPECT_THAT(sh("ip route get 10.77.0.2"), HasSubstr("src 10.88.0.1"));
    EXPECT_THAT(sh("ip -6 route get fd77::2"), HasSubstr("src fd88::1"));
    const auto v6 = table_of("-6");
    EXPECT_EQ(std::count(v6.begin(), v6.end(), '\n'), 1) << v6;
    close(tun);
  });
}

TEST(Routes, WithoutTheDeviceSayWhichOneIsMissing) {
  NEEDS_ROOT();
  in_fresh_netns([] {
    const auto applied = apply_routes(two_hosts());
    ASSERT_FALSE(applied.ok());
    EXPECT_EQ(applied.error().code, ErrorCode::kNotFound);
    EXPECT_THAT(applied.error().message, HasSubstr("espalier0"));
  });
}

class Lines : public Logger {
 public:
  void log(const LogLine& line) override { text += line.text + "\n"; }
  std::string text;
};

TEST(Teardown, LeavesNothingOfOursAndEverythingElse) {
  NEEDS_ROOT();
  in_fresh_netns([] {
    Wire wire;
    wire.make();
    sh("ip rule add pref 230 fwmark 0x1 lookup 100; ip route add 10.50.0.0/24 dev eth0 table 100; "
       "nft add table inet x");
    const auto before =
        sh("ip rule; ip -6 rule; ip route show table 100; ip route; nft list ruleset; ip -o link");
    sh("ip tuntap add espalier0 mode tun");
    ASSERT_TRUE(apply_protection(two_hosts()).ok());
    ASSERT_TRUE(apply_routes(two_hosts()).ok());
    Lines lines;
    const auto done = teardown_host(lines);
    EXPECT_TRUE(done.ok()) << done.error().message;
    EXPECT_THAT(lines.text, HasSubstr("Removed 2 routing rules of table 58624."));
    EXPECT_THAT(lines.text, HasSubstr("Removed 3 routes of table 58624."));
    EXPECT_THAT(lines.text, HasSubstr("Removed the device espalier0."));
    EXPECT_THAT(lines.text, HasSubstr("the nftables table inet espalier"));
    EXPECT_EQ(
        sh("ip rule; ip -6 rule; ip route show table 100; ip route; nft list ruleset; ip -o link"),
        before);
    EXPECT_EQ(table_of("-4") + table_of("-6"), "");
    Lines again;
    EXPECT_TRUE(teardown_host(again).ok());
    EXPECT_EQ(again.text, "");
  });
}

TEST(Teardown, SparesADeviceOfOurNameThatIsNoTun) {
  NEEDS_ROOT();
  in_fresh_netns([] {
    sh("ip link add espalier0 type veth peer name other");
    Lines lines;
    const auto done = teardown_host(lines);
    ASSERT_FALSE(done.ok());
    EXPECT_EQ(done.error().code, ErrorCode::kBusy);
    sh("ip link show espalier0");
  });
}

}  // namespace
}  // namespace espalier::dataplane::userspace
