#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "dataplane/userspace/host_setup.hpp"

namespace espalier::dataplane::userspace {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class Preflight : public ::testing::Test {
 protected:
  Preflight() {
    char path[] = "/tmp/espalier-sysctl-XXXXXX";
    root_ = mkdtemp(path);
    for (const char* scope : {"all", "default", "eth0", "espalier0", "lo"}) {
      set(std::string("net/ipv4/conf/") + scope + "/rp_filter", 0);
      set(std::string("net/ipv6/conf/") + scope + "/disable_ipv6", 0);
    }
    set("net/ipv4/ip_forward", 0);
    set("net/ipv6/conf/all/forwarding", 0);
    network_.pairs = {{"bender-flexo",
                       {*Prefix::parse("10.77.0.1/32")},
                       {*Prefix::parse("10.77.0.2/32"), *Prefix::parse("fd77::2/128")},
                       {},
                       {}}};
  }
  ~Preflight() override { std::filesystem::remove_all(root_); }
  void set(const std::string& path, int value) {
    std::filesystem::create_directories(std::filesystem::path(root_ + "/" + path).parent_path());
    std::ofstream(root_ + "/" + path) << value << "\n";
  }
  std::vector<Warning> run() const { return preflight(network_, root_); }
  std::string root_;
  HostNetwork network_;
};

TEST_F(Preflight, AHostThatWorksHasNoWarnings) { EXPECT_THAT(run(), IsEmpty()); }

TEST_F(Preflight, LooseFilteringIsFine) {
  set("net/ipv4/conf/all/rp_filter", 1);
  set("net/ipv4/conf/eth0/rp_filter", 2);
  EXPECT_THAT(run(), IsEmpty());
}

TEST_F(Preflight, StrictFilteringNamesTheDeviceAndTheCommand) {
  set("net/ipv4/conf/eth0/rp_filter", 1);
  ASSERT_THAT(run(), SizeIs(1));
  EXPECT_THAT(run()[0].text, HasSubstr("eth0"));
  EXPECT_EQ(run()[0].command, "sysctl -w net.ipv4.conf.eth0.rp_filter=2");
}

TEST_F(Preflight, OurOwnDeviceMayBeStrict) {
  set("net/ipv4/conf/espalier0/rp_filter", 1);
  EXPECT_THAT(run(), IsEmpty());
}

TEST_F(Preflight, ForwardingMattersOnlyWithSubnetsBehindTheHost) {
  network_.own_subnets = {*Prefix::parse("10.3.0.0/24"), *Prefix::parse("fd03::/64")};
  ASSERT_THAT(run(), SizeIs(2));
  EXPECT_EQ(run()[0].command, "sysctl -w net.ipv4.ip_forward=1");
  EXPECT_EQ(run()[1].command, "sysctl -w net.ipv6.conf.all.forwarding=1");
}

TEST_F(Preflight, DisabledIpv6IsSaidWhenPeersNeedIt) {
  set("net/ipv6/conf/default/disable_ipv6", 1);
  ASSERT_THAT(run(), SizeIs(1));
  EXPECT_EQ(run()[0].command, "sysctl -w net.ipv6.conf.default.disable_ipv6=0");
}

}  // namespace
}  // namespace espalier::dataplane::userspace
