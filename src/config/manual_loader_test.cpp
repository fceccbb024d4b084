#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/inventory.hpp"
#include "config/scalars.hpp"

namespace espalier::config {
namespace {

using ::testing::HasSubstr;

const std::string kHosts =
    "mesh: m\nhosts:\n  a: 192.0.2.1\n  b: {address: 192.0.2.2, subnets: [10.2.0.0/16]}\n";

LoadOutcome load(const std::string& manual, Features accepts = kKernelPlane) {
  return load_inventory(kHosts + "manual:\n" + manual, "mesh.yaml", accepts);
}

std::string faults(const std::string& manual, Features accepts = kKernelPlane) {
  const LoadOutcome outcome = load(manual, accepts);
  EXPECT_FALSE(outcome.ok()) << manual;
  return to_error(outcome.diagnostics).message;
}

TEST(Manual, a_tunnel_with_a_box_outside) {
  const LoadOutcome outcome = load(
      "  a-attic:\n    address: 198.51.100.7\n    subnets: [10.9.0.0/24]\n"
      "    local_subnets: 10.1.0.0/16\n    suite: aes128-sha1\n    spi: {in: 0x1000, out: 4097}\n"
      "    secret: \"file:attic.keys\"\n    replay_window: 64\n    encap: always\n");
  ASSERT_TRUE(outcome.ok()) << to_error(outcome.diagnostics).message;
  const Manual& tunnel = outcome.inventory->manual.front();
  EXPECT_EQ(tunnel.host, "a");
  EXPECT_EQ(tunnel.peer, "attic");
  EXPECT_FALSE(tunnel.between_hosts);
  EXPECT_EQ(tunnel.keys.front().spi_in, Spi(4096));
  EXPECT_EQ(tunnel.keys.front().spi_out, Spi(0x1001));
  EXPECT_EQ(tunnel.keys.front().secret_file, "attic.keys");
  EXPECT_EQ(tunnel.replay_window, 64u);
  EXPECT_TRUE(tunnel.udp_encap);
  EXPECT_EQ(policy::suite_words(tunnel.suite), "aes128-sha1");
}

TEST(Manual, between_two_hosts_with_periods) {
  const LoadOutcome outcome = load(
      "  a-b:\n    overlap: 10m\n    keys:\n      - {spi: 256, secret: \"file:one\"}\n"
      "      - {from: \"2026-12-01T00:00:00Z\", spi: 0x101, secret: \"file:two\"}\n");
  ASSERT_TRUE(outcome.ok()) << to_error(outcome.diagnostics).message;
  const Manual& tunnel = outcome.inventory->manual.front();
  EXPECT_TRUE(tunnel.between_hosts);
  ASSERT_EQ(tunnel.keys.size(), 2u);
  EXPECT_EQ(tunnel.keys[0].spi_in, tunnel.keys[0].spi_out);
  EXPECT_FALSE(tunnel.keys[0].from);
  EXPECT_EQ(tunnel.keys[1].from, 1796083200);
  EXPECT_EQ(tunnel.overlap, 10min);
  EXPECT_TRUE(outcome.inventory->is_manual("b", "a"));
  EXPECT_FALSE(outcome.inventory->is_manual("b", "attic"));
}

// A fault, and where it is: the first line of `manual` is 6.
struct Fault {
  const char* text;
  const char* message;
};

TEST(Manual, faults_have_their_place) {
  const Fault kFaults[] = {
      {"  a-b: {spi: 100, secret: \"file:k\"}\n",
       "mesh.yaml:6:14: 'spi' is 100, which is reserved"},
      {"  a-b: {spi: 0, secret: \"file:k\"}\n", "mesh.yaml:6:14: 'spi' is 0, which is reserved"},
      {"  a-b: {spi: 1o1, secret: \"file:k\"}\n", "mesh.yaml:6:14: 'spi' is '1o1'"},
      {"  a-b: {spi: {in: 256}, secret: \"file:k\"}\n", "6:14: 'spi' is one number"},
      {"  a-b: {spi: {in: 256, out: 1}, secret: \"file:k\"}\n", "6:29: 'out' is 1"},
      {"  a-b: {secret: \"file:k\"}\n", "6:3: 'a-b' needs 'spi' and 'secret'"},
      {"  a-b: {spi: 256}\n", "6:3: 'a-b' needs 'spi' and 'secret'"},
      {"  a-b: {spi: 256, secret: 0x6b6b}\n", "6:27: 'secret' has to be file:NAME"},
      {"  a-b: {spi: 256, secret: \"file:k\", suite: aes256gcm16}\n",
       "6:44: 'suite' is 'aes256gcm16': a cipher that counts"},
      {"  a-b: {spi: 256, secret: \"file:k\", address: 192.0.2.9}\n", "6:37: 'b' is a host"},
      {"  a-attic: {spi: 256, secret: \"file:k\"}\n",
       "6:3: 'attic' is no host, and has no 'address'"},
      {"  x-b: {spi: 256, secret: \"file:k\"}\n", "6:3: 'x-b' names no host of ours"},
      {"  a-a: {spi: 256, secret: \"file:k\"}\n", "6:3: 'a-a' pairs a host with itself"},
      {"  a-b: {spi: 256, secret: \"file:k\"}\n  b-a: {spi: 257, secret: \"file:k\"}\n",
       "7:3: the pair of 'b' and 'a' stands here a second time; it is first at 6:3"},
      {"  a-b: {spi: 256, secret: \"file:k\", replay_window: 8}\n", "6:52: 'replay_window'"},
      {"  a-b: {spi: 256, secret: \"file:k\", overlap: 0s}\n", "6:46: 'overlap'"},
      {"  a-b: {spi: 256, secret: \"file:k\", speed: 3}\n", "6:37: the key 'speed' is unknown"},
      {"  a-b: {keys: [{spi: 256, secret: \"file:k\"}, {spi: 257, secret: \"file:l\"}]}\n",
       "6:46: keys after the first need 'from'"},
      {"  a-b: {keys: [{spi: 256, secret: \"file:k\", from: \"2026-12-01T00:00:00Z\"}, {spi: 257, "
       "secret: \"file:l\", from: \"2026-12-01T00:00:00Z\"}]}\n",
       "not from later"},
      {"  a-b: {keys: [{spi: 256, secret: \"file:k\", from: tomorrow}]}\n", "write a time in UTC"},
      {"  a-b: {spi: 256, keys: [{spi: 256, secret: \"file:k\"}]}\n", "'spi' stands beside 'keys'"},
      {"  a-b: {keys: []}\n", "'keys' is a list where"},
      {"  a-attic: {address: 10.2.0.9, spi: 256, secret: \"file:k\"}\n",
       "is inside the network 10.2.0.0/16"},
      {"  a-attic: {address: 198.51.100.7, mode: transport, subnets: [10.9.0.0/24], spi: 256, "
       "secret: \"file:k\"}\n",
       "'subnets' needs mode: tunnel"},
  };
  for (const Fault& fault : kFaults) EXPECT_THAT(faults(fault.text), HasSubstr(fault.message));
}

TEST(Manual, clashing_spis_name_both) {
  EXPECT_THAT(
      faults("  a-x: {address: 198.51.100.7, spi: 256, secret: \"file:k\"}\n"
             "  a-y: {address: 198.51.100.8, spi: {in: 0x100, out: 900}, secret: \"file:l\"}\n"),
      HasSubstr("mesh.yaml:7:3: SPI 256 (0x100) of 'a-y' is taken: 'a' receives with it for "
                "'a-x' at 6:3"));
  // At the other end too, and within one tunnel's periods.
  EXPECT_THAT(
      faults("  a-x: {address: 198.51.100.7, spi: {in: 300, out: 400}, secret: \"file:k\"}\n"
             "  b-x: {address: 198.51.100.7, spi: {in: 301, out: 400}, secret: \"file:l\"}\n"),
      HasSubstr("'x' receives with it"));
  EXPECT_THAT(
      faults("  a-b: {keys: [{spi: 256, secret: \"file:k\"}, {spi: 256, secret: \"file:l\", "
             "from: \"2026-12-01T00:00:00Z\"}]}\n"),
      HasSubstr("is taken"));
}

TEST(Manual, what_the_userspace_plane_cannot_carry_is_refused_by_name) {
  const std::string plain = "  a-b: {spi: 256, secret: \"file:k\"}\n";
  EXPECT_THAT(faults(plain, {}), HasSubstr("ESP without UDP is not supported yet"));
  EXPECT_THAT(faults("  a-b: {spi: 256, secret: \"file:k\", encap: always, mode: transport}\n", {}),
              HasSubstr("--dataplane kernel"));
  EXPECT_TRUE(load("  a-b: {spi: 256, secret: \"file:k\", encap: always}\n", {}).ok());
}

// RFC 4303 section 3.3.3: the sender has to keep its numbers over a reboot, and our hosts do not.
TEST(Manual, a_replay_window_needs_a_sender_that_keeps_its_numbers) {
  EXPECT_THAT(faults("  a-b: {spi: 256, secret: \"file:k\", replay_window: 64}\n"),
              HasSubstr("'replay_window' between two hosts with manual keys is not supported yet"));
  EXPECT_TRUE(load("  a-b: {spi: 256, secret: \"file:k\", replay_window: off}\n").ok());
}

TEST(UtcTime, there_and_back) {
  EXPECT_EQ(parse_utc_time("1970-01-01T00:00:00Z").value(), 0);
  EXPECT_EQ(parse_utc_time("2024-02-29T23:59:59Z").value(), 1709251199);
  for (const std::int64_t time : {0ll, 951782399ll, 951782400ll, 1796083200ll, 4102444799ll}) {
    EXPECT_EQ(parse_utc_time(utc_text(time)).value(), time);
  }
  for (const char* text :
       {"", "2026-12-01", "2026-12-01T00:00:00", "2026-13-01T00:00:00Z", "2025-02-29T00:00:00Z",
        "2026-12-01T24:00:00Z", "2026-12-01 00:00:00Z"}) {
    EXPECT_FALSE(parse_utc_time(text).ok()) << text;
  }
}

}  // namespace
}  // namespace espalier::config
