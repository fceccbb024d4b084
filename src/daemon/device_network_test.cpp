#include "daemon/device_network.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "config/inventory.hpp"

namespace espalier::daemon {
namespace {

using dataplane::kernel::DeviceKind;
using dataplane::kernel::DeviceRoute;

mesh::HostPlan plan_of(const std::string& settings, const std::string& hosts) {
  const auto loaded = config::load_inventory(
      "mesh: p\ndefaults: {" + settings + "}\nhosts:\n" + hosts, "m", config::kKernelPlane);
  for (const auto& fault : loaded.diagnostics) ADD_FAILURE() << to_string(fault);
  mesh::Credentials credentials;
  credentials.mesh_secret = SecretBytes(to_vector(as_bytes("k7#QzP!v02_xLm9w")));
  auto plan = mesh::compile(*loaded.inventory, "a", credentials);
  EXPECT_TRUE(plan.ok()) << plan.error().message;
  return std::move(*plan);
}

constexpr const char* kThree =
    "  a: {address: 192.0.2.1, subnets: [10.1.0.0/16]}\n"
    "  b: {address: 192.0.2.2, subnets: [10.2.0.0/16]}\n"
    "  c: 192.0.2.3\n";

TEST(DeviceNetwork, NoneWithoutAnInterface) {
  const DeviceNetwork network = make_device_network(plan_of("if_id: 7, except: ssh", kThree));
  EXPECT_TRUE(network.empty());
  EXPECT_TRUE(network.routing.routes.empty());
  EXPECT_TRUE(network.routing.past.empty());
}

TEST(DeviceNetwork, OneInterfaceForAllPairs) {
  const DeviceNetwork network = make_device_network(plan_of("interface: ipsec0, if_id: 7", kThree));
  ASSERT_EQ(network.devices.size(), 1u);
  EXPECT_EQ(network.devices[0].name, "ipsec0");
  EXPECT_EQ(network.devices[0].number, 7u);
  // 1500 - 20 IP - 8 UDP - 8 ESP - 16 IV - 16 ICV = 1432; whole blocks of 16: 1424, 2 of trailer.
  EXPECT_EQ(network.devices[0].mtu, 1422u);
  const IpAddress own = IpAddress::parse("192.0.2.1").value();
  for (const char* prefix : {"192.0.2.2/32", "10.2.0.0/16", "192.0.2.3/32"}) {
    const DeviceRoute wanted{Prefix::parse(prefix).value(), "ipsec0", own};
    EXPECT_NE(std::find(network.routing.routes.begin(), network.routing.routes.end(), wanted),
              network.routing.routes.end())
        << prefix;
  }
  EXPECT_EQ(network.routing.routes.size(), 3u);
}

TEST(DeviceNetwork, ThePairThatHasOne) {
  const auto plan =
      plan_of("except: [{proto: tcp, port: 22}]",
              std::string(kThree) +
                  "pairs:\n  a-b: {if_id: 9, interface: {name: x0, device: eth1, mtu: 1300}}\n");
  const DeviceNetwork network = make_device_network(plan);
  ASSERT_EQ(network.devices.size(), 1u);
  EXPECT_EQ(network.devices[0].underlying, "eth1");
  EXPECT_EQ(network.devices[0].mtu, 1300u);
  EXPECT_EQ(network.routing.routes.size(), 2u);
  // Port 22 at either end, to each prefix of the other, from wherever.
  EXPECT_EQ(network.routing.past.size(), 2u * 2);
  for (const auto& rule : network.routing.past) {
    EXPECT_EQ(rule.protocol, 6);
    EXPECT_EQ(rule.from.length, 0u);
    EXPECT_TRUE((rule.from_first == 22) != (rule.to_first == 22));
  }
  // The ESP of the pair alone has the mark.
  for (const policy::Connection& connection : plan.connections) {
    EXPECT_EQ(connection.device ? true : false, connection.peer == "b");
    const auto& outer = connection.children.front().outer;
    EXPECT_EQ(outer && outer->set_mark == policy::Mark{policy::kOwnMark}, connection.peer == "b");
  }
}

// Of some sources alone: from others it must not leave in the clear.
TEST(DeviceNetwork, AnExceptionOfSomeSourcesNamesThem) {
  const DeviceNetwork network = make_device_network(
      plan_of("interface: x0, if_id: 9, except: [{proto: udp, net: 10.1.0.0/24}]",
              "  a: {address: 192.0.2.1, subnets: [10.1.0.0/16]}\n  b: 192.0.2.2\n"));
  ASSERT_EQ(network.routing.past.size(), 1u);
  EXPECT_EQ(network.routing.past[0].from, Prefix::parse("10.1.0.0/24").value());
  EXPECT_EQ(network.routing.past[0].to, Prefix::parse("192.0.2.2/32").value());
}

TEST(DeviceNetwork, AVtiDeviceIsBetweenTwoAddresses) {
  const DeviceNetwork network = make_device_network(plan_of(
      "", std::string(kThree) + "pairs:\n  a-c: {mark: 0x2a, interface: {name: v0, type: vti}}\n"));
  ASSERT_EQ(network.devices.size(), 1u);
  EXPECT_EQ(network.devices[0].kind, DeviceKind::kVti);
  EXPECT_EQ(network.devices[0].number, 0x2au);
  EXPECT_EQ(network.devices[0].local, IpAddress::parse("192.0.2.1").value());
  EXPECT_EQ(network.devices[0].remote, IpAddress::parse("192.0.2.3").value());
}

}  // namespace
}  // namespace espalier::daemon
