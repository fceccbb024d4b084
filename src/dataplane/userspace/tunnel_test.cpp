// Two planes with real TUN devices in two network namespaces joined by a veth, static keys: ping
// and TCP. Needs root and /dev/net/tun; skips with a word otherwise.
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>

#include <condition_variable>
#include <cstdlib>
#include <future>
#include <thread>

#include "dataplane/userspace/packet_testing.hpp"
#include "dataplane/userspace/plane_testing.hpp"
#include "dataplane/userspace/tun.hpp"
#include "esp/shape.hpp"

namespace espalier::dataplane::userspace {
namespace {

using namespace testing;

constexpr std::uint16_t kPort = 4500;

// A thread in a network namespace of its own, that runs what it is given. Descriptors made there
// stay there; the namespace ends with the thread.
class Namespace {
 public:
  Namespace() {
    std::promise<bool> ready;
    auto made = ready.get_future();
    thread_ = std::thread([this, &ready] {
      const bool ok = ::unshare(CLONE_NEWNET) == 0;
      tid_ = ::gettid();
      ready.set_value(ok);
      if (ok) loop();
    });
    ok_ = made.get();
  }
  ~Namespace() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  bool ok() const { return ok_; }
  int tid() const { return tid_; }
  void run(std::function<void()> work) {
    std::unique_lock lock(mutex_);
    work_ = std::move(work);
    changed_.notify_all();
    changed_.wait(lock, [&] { return !work_; });
  }
  // A shell command in the namespace; true when it succeeds.
  bool shell(const std::string& command) {
    int status = -1;
    run([&] { status = std::system(command.c_str()); });
    return status == 0;
  }

 private:
  void loop() {
    std::unique_lock lock(mutex_);
    while (!stop_) {
      if (work_) {
        work_();
        work_ = nullptr;
        changed_.notify_all();
      }
      changed_.wait(lock, [&] { return stop_ || work_; });
    }
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> work_;
  bool stop_ = false;
  bool ok_ = false;
  int tid_ = 0;
  std::thread thread_;
};

// One host: its namespace, devices and plane.
struct Host {
  void open(unsigned mtu) {
    space.run([&] {
      tun = open_tun("esp0", false, mtu).value();
      udp4 = open_udp(Family::kIpv4, kPort, 0x45, true).value();
      udp6 = open_udp(Family::kIpv6, kPort, 0x45, true).value();
    });
    UserspaceOptions options;
    options.tun_fd = tun.fd.get();
    options.udp4_fd = udp4.get();
    options.udp6_fd = udp6.get();
    options.clock = monotonic_now;
    options.rng = &rng;
    plane = Userspace::make(std::move(options)).value();
  }
  std::uint64_t counter(std::string_view name) {
    const Snapshot snapshot = plane->query().value();
    for (const auto& [key, value] : snapshot.counters) {
      if (key == name) return value;
    }
    return 0;
  }
  std::string drops() {
    std::string out;
    const Snapshot snapshot = plane->query().value();
    for (const auto& [key, value] : snapshot.counters) {
      if (value > 0) out += key + "=" + std::to_string(value) + " ";
    }
    return out;
  }
  Namespace space;
  Tun tun;
  Fd udp4, udp6;
  crypto::SystemRng rng;
  std::unique_ptr<Userspace> plane;
};

class Tunnel : public ::testing::TestWithParam<Family> {
 protected:
  void SetUp() override {
    struct stat device;
    if (::stat("/dev/net/tun", &device) != 0)
      GTEST_SKIP() << "SKIPPED LOUDLY: there is no /dev/net/tun here";
    if (!left_.space.ok() || !right_.space.ok())
      GTEST_SKIP() << "SKIPPED LOUDLY: network namespaces need root";
    const std::string peer = std::to_string(right_.space.tid());
    ASSERT_TRUE(left_.space.shell("ip link add under type veth peer name under netns " + peer));
    link(left_, 1);
    link(right_, 2);
    connect();
  }
  void link(Host& host, int number) {
    const std::string n = std::to_string(number), other = std::to_string(3 - number);
    ASSERT_TRUE(host.space.shell("ip link set lo up; ip addr add 192.0.2." + n +
                                 "/24 dev under; "
                                 "ip -6 addr add 2001:db8::" +
                                 n + "/64 dev under nodad; ip link set under up"));
    const esp::Encapsulation encapsulation{suite_, GetParam(), true, policy::Mode::kTunnel};
    host.open(static_cast<unsigned>(esp::largest_inner(encapsulation, 1500).value()));
    ASSERT_TRUE(host.tun.offloads);
    ASSERT_TRUE(host.space.shell("ip addr add 10.0.0." + n +
                                 "/32 dev esp0; "
                                 "ip -6 addr add fd00::" +
                                 n +
                                 "/128 dev esp0 nodad; ip link set esp0 up; "
                                 "ip route add 10.0.0." +
                                 other + "/32 dev esp0 src 10.0.0." + n +
                                 "; "
                                 "ip -6 route add fd00::" +
                                 other + "/128 dev esp0 src fd00::" + n));
  }
  void connect() {
    Child child;
    const bool v4 = GetParam() == Family::kIpv4;
    child.local = {IpAddress::parse(v4 ? "192.0.2.1" : "2001:db8::1").value(), kPort};
    child.remote = {IpAddress::parse(v4 ? "192.0.2.2" : "2001:db8::2").value(), kPort};
    child.local_ts = {net("10.0.0.1/32"), net("fd00::1/128")};
    child.remote_ts = {net("10.0.0.2/32"), net("fd00::2/128")};
    child.suite = suite_;
    ASSERT_TRUE(install(*left_.plane, child).ok());
    ASSERT_TRUE(install(*right_.plane, other_end(child)).ok());
  }

  crypto::CipherSuite suite_{crypto::EncrId::kAesGcm16, 128, crypto::IntegId::kNone};
  Host left_, right_;
};
INSTANTIATE_TEST_SUITE_P(Outer, Tunnel, ::testing::Values(Family::kIpv4, Family::kIpv6),
                         [](const auto& row) { return row.param == Family::kIpv4 ? "v4" : "v6"; });

TEST_P(Tunnel, ping) {
  EXPECT_TRUE(left_.space.shell("ping -q -c 3 -i 0.05 -W 2 10.0.0.2 >/dev/null"));
  EXPECT_TRUE(left_.space.shell("ping -q -c 3 -i 0.05 -W 2 fd00::2 >/dev/null"));
  // Larger than the tunnel's MTU: fragments, of which the later have no ports.
  EXPECT_TRUE(left_.space.shell("ping -q -c 3 -i 0.05 -W 2 -s 5000 10.0.0.2 >/dev/null"));
  EXPECT_TRUE(left_.space.shell("ping -q -c 3 -i 0.05 -W 2 -s 5000 fd00::2 >/dev/null"));
  EXPECT_GE(right_.counter("in-packets"), 3u * (2 + 4 + 4));
}

// A listening socket and a connected one, made in their namespaces.
std::pair<Fd, Fd> make_connection(Host& server, Host& client, const SocketAddress& address) {
  const int family = address.ip.is_v4() ? AF_INET : AF_INET6;
  sockaddr_storage name{};
  const socklen_t octets = to_sockaddr(address, name);
  Fd listener, connection, accepted;
  server.space.run([&] {
    listener = Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener.get(), reinterpret_cast<sockaddr*>(&name), octets), 0);
    EXPECT_EQ(::listen(listener.get(), 1), 0);
  });
  client.space.run([&] {
    connection = Fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::connect(connection.get(), reinterpret_cast<sockaddr*>(&name), octets), 0);
  });
  accepted = Fd(::accept(listener.get(), nullptr, nullptr));
  return {std::move(accepted), std::move(connection)};
}

std::uint64_t digest(ByteView bytes) {  // FNV-1a
  std::uint64_t out = 0xcbf29ce484222325;
  for (const std::uint8_t byte : bytes) out = (out ^ byte) * 0x100000001b3;
  return out;
}

TEST_P(Tunnel, tcpBothWays) {
  const Bytes data = left_.rng.bytes(8 * 1024 * 1024 + 123);
  for (const char* inner : {"10.0.0.2", "fd00::2"}) {
    auto [accepted, connected] =
        make_connection(right_, left_, {IpAddress::parse(inner).value(), 7777});
    for (const auto& [from, to] :
         {std::pair{connected.get(), accepted.get()}, {accepted.get(), connected.get()}}) {
      std::thread sender([&, fd = from] {
        for (std::size_t at = 0; at < data.size();) {
          const ssize_t sent = ::send(fd, data.data() + at, data.size() - at, MSG_NOSIGNAL);
          if (sent <= 0) return;
          at += static_cast<std::size_t>(sent);
        }
      });
      Bytes received(data.size());
      std::size_t got = 0;
      while (got < received.size()) {
        const ssize_t now = ::recv(to, received.data() + got, received.size() - got, 0);
        if (now <= 0) break;
        got += static_cast<std::size_t>(now);
      }
      sender.join();
      EXPECT_EQ(got, data.size());
      EXPECT_EQ(digest(received), digest(data)) << inner;
    }
  }
  // The packets crossed in batches, and none was lost to us.
  EXPECT_GT(left_.counter("out-packets"), 4 * left_.counter("out-sends")) << left_.drops();
  for (Host* host : {&left_, &right_}) {
    EXPECT_EQ(host->counter("in-bad-icv"), 0u) << host->drops();
    EXPECT_EQ(host->counter("in-malformed"), 0u) << host->drops();
    EXPECT_EQ(host->counter("in-selector-mismatch"), 0u) << host->drops();
    EXPECT_EQ(host->counter("in-tun-write-errors"), 0u) << host->drops();
    EXPECT_EQ(host->counter("out-send-errors"), 0u) << host->drops();
  }
}

// The route's MTU shrinks below the segments: segmentation offload is refused, and packets are
// fragmented.
TEST_P(Tunnel, aSmallerMtuOutsideStillPasses) {
  ASSERT_TRUE(left_.space.shell("ip link set under mtu 1400"));
  ASSERT_TRUE(right_.space.shell("ip link set under mtu 1400"));
  auto [accepted, connected] =
      make_connection(right_, left_, {IpAddress::parse("10.0.0.2").value(), 7778});
  const Bytes data = left_.rng.bytes(300000);
  std::thread sender([&, fd = connected.get()] {
    for (std::size_t at = 0; at < data.size();) {
      const ssize_t sent = ::send(fd, data.data() + at, data.size() - at, MSG_NOSIGNAL);
      if (sent <= 0) return;
      at += static_cast<std::size_t>(sent);
    }
  });
  Bytes received(data.size());
  EXPECT_EQ(::recv(accepted.get(), received.data(), received.size(), MSG_WAITALL),
            static_cast<ssize_t>(data.size()));
  sender.join();
  EXPECT_EQ(digest(received), digest(data));
  EXPECT_GE(left_.counter("out-gso-refused"), 1u) << left_.drops();
  EXPECT_LE(left_.counter("out-gso-refused"), 5u) << left_.drops();
}

TEST_P(Tunnel, aDeletedDeviceDoesNotSpinTheWorker) {
  ASSERT_TRUE(left_.space.shell("ip link del esp0"));
  for (int i = 0; i < 100 && left_.counter("out-tun-read-errors") == 0; ++i) ::poll(nullptr, 0, 10);
  const std::uint64_t before = left_.counter("out-tun-read-errors");
  ::poll(nullptr, 0, 50);
  EXPECT_EQ(before, 1u);
  EXPECT_EQ(left_.counter("out-tun-read-errors"), before);
}

TEST_P(Tunnel, tunDevicesPersistAndGo) {
  left_.space.run([&] {
    { const Tun kept = open_tun("espkeep", true, 1400).value(); }
    const auto again = open_tun("espkeep", true, 1300);
    EXPECT_TRUE(again.ok());
    EXPECT_EQ(delete_tun("espkeep").error().code, ErrorCode::kBusy);
  });
  EXPECT_TRUE(left_.space.shell("ip link show espkeep | grep -q 'mtu 1300'"));
  left_.space.run([&] {
    EXPECT_TRUE(delete_tun("espkeep").ok());
    EXPECT_TRUE(delete_tun("espkeep").ok());
    EXPECT_EQ(delete_tun("under").error().code, ErrorCode::kInvalidArgument);
    EXPECT_EQ(delete_tun("a/b").error().code, ErrorCode::kInvalidArgument);
  });
  EXPECT_FALSE(left_.space.shell("ip link show espkeep 2>/dev/null"));
}

// Not a test: a measurement, printed. Run with --gtest_also_run_disabled_tests
// --gtest_filter=*iperf3*.
TEST_P(Tunnel, DISABLED_iperf3) {
  ASSERT_TRUE(right_.space.shell("timeout 12 iperf3 -s -1 >/dev/null 2>&1 & sleep 0.5"));
  const char* streams = std::getenv("STREAMS");
  EXPECT_TRUE(left_.space.shell("iperf3 -c 10.0.0.2 -t 5 -P " +
                                std::string(streams ? streams : "1") +
                                " | grep -E 'sender|receiver' | tail -2"));
  std::printf("left:  %s\nright: %s\n", left_.drops().c_str(), right_.drops().c_str());
}

}  // namespace
}  // namespace espalier::dataplane::userspace
