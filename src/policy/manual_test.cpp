#include "policy/manual.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "crypto/rng.hpp"

namespace espalier::policy {
namespace {

using crypto::EncrId;
using crypto::IntegId;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const crypto::CipherSuite kSuite{EncrId::kAesCbc, 128, IntegId::kHmacSha2_256_128};

Bytes hex(std::string_view text) { return from_hex(text).value(); }

TEST(ManualTunnel, the_other_end_and_its_traffic) {
  ManualTunnel tunnel;
  tunnel.name = "a-b";
  tunnel.mode = Mode::kTransport;
  tunnel.local = IpAddress::parse("192.0.2.1").value();
  tunnel.remote = IpAddress::parse("192.0.2.2").value();
  tunnel.except = std::vector<Service>{{kProtocolTcp, 22, 22, Side::kLocal, {}}};
  const ManualTunnel other = mirrored(tunnel);
  EXPECT_EQ(other.local, tunnel.remote);
  EXPECT_EQ(other.except.begin()->side, Side::kRemote);
  EXPECT_EQ(mirrored(other), tunnel);
  const Connection traffic = traffic_of(tunnel);
  EXPECT_EQ(traffic.protect, Protect::kRequire);
  EXPECT_EQ(traffic.remote_addresses, std::vector<IpAddress>{tunnel.remote});
  ASSERT_EQ(traffic.children.size(), 1u);
  EXPECT_EQ(traffic.children[0].mode, Mode::kTransport);
  EXPECT_EQ(traffic.except, tunnel.except);
}

TEST(ManualSpi, decimal_and_hex) {
  EXPECT_EQ(parse_manual_spi("256").value(), Spi(0x100));
  EXPECT_EQ(parse_manual_spi("0x100").value(), Spi(256));
  EXPECT_EQ(parse_manual_spi("0xffffffff").value(), Spi(0xffffffff));
  EXPECT_EQ(parse_manual_spi("4294967295").value(), Spi(0xffffffff));
  EXPECT_EQ(spi_words(Spi(4096)), "4096 (0x1000)");
}

TEST(ManualSpi, reserved_and_no_numbers_are_refused) {
  EXPECT_THAT(parse_manual_spi("0").error().message, HasSubstr("local use"));
  for (const char* text : {"1", "255", "0xff", "0x1"}) {
    EXPECT_THAT(parse_manual_spi(text).error().message, HasSubstr("reserved by IANA")) << text;
  }
  // What a SonicWALL, a Juniper or an old Halon calls 100.
  EXPECT_THAT(parse_manual_spi("100").error().message, HasSubstr("means 0x100"));
  for (const char* text : {"", "0x", "-1", "0x-1", "12a", "1 2", "0100", "4294967296",
                           "0x100000000", "99999999999999999999999", "0xfffffffffffffffffffff"}) {
    EXPECT_EQ(parse_manual_spi(text).error().code, ErrorCode::kBadInput) << text;
  }
}

TEST(ManualSuite, cbc_with_an_hmac) {
  EXPECT_EQ(parse_manual_suite("aes128-sha256").value(), kSuite);
  EXPECT_EQ(suite_words(kSuite), "aes128-sha256");
  EXPECT_EQ(key_octets(parse_manual_suite("aes256-sha512").value(), KeyUse::kEncryption), 32u);
  EXPECT_EQ(key_octets(parse_manual_suite("aes256-sha512").value(), KeyUse::kAuthentication), 64u);
  EXPECT_EQ(key_octets(parse_manual_suite("aes192-sha1").value(), KeyUse::kEncryption), 24u);
}

TEST(ManualSuite, what_counts_is_refused_with_the_reason) {
  for (const char* words : {"aes256gcm16", "aes128gcm8", "aes128ccm16", "aes128ctr-sha256",
                            "chacha20poly1305", "aes128gmac"}) {
    EXPECT_THAT(parse_manual_suite(words).error().message,
                HasSubstr("manual keys outlive a restart"))
        << words;
  }
  for (const char* words : {"null-sha256", "aes128", "sha256", "aes128-aes256-sha256",
                            "aes128-sha256-x25519", "aes128-sha256-esn", "frob"}) {
    EXPECT_EQ(parse_manual_suite(words).error().code, ErrorCode::kBadInput) << words;
  }
}

TEST(ManualKey, weak_keys_are_refused) {
  const std::pair<const char*, const char*> kWeak[] = {
      {"6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b6b", "pattern"},
      {"deadbeefdeadbeefdeadbeefdeadbeef", "pattern"},
      {"00000000000000000000000000000000", "pattern"},
      {"000102030405060708090a0b0c0d0e0f", "sequence"},
      {"0123456789abcdeffedcba9876543210", "published"},
      {"0f0e0d0c0b0a09080706050403020100", "sequence"},
      {"2b7e151628aed2a6abf7158809cf4f3c", "published"},
      {"06a9214036b8a15b512e03d534120006", "published"},
      {"0a0a0b0b0c0c0a0b0c0a0b0a0c0b0a0c", "few different"},
      {"6d79736563726574212d4b6579395a7e", "word"},     // "mysecret!-Key9Z~"
      {"78716b7a7a6d61776662726a75746f70", "guessed"},  // lower case only
      {"38343039353731363236343837333135", "guessed"},  // digits only
  };
  for (const auto& [text, why] : kWeak) {
    const Status status = check_manual_key(kSuite, KeyUse::kEncryption, hex(text));
    ASSERT_FALSE(status.ok()) << text;
    EXPECT_THAT(status.error().message, HasSubstr(why)) << text;
    EXPECT_EQ(status.error().message.find(text), std::string::npos) << "the key is in the message";
  }
}

TEST(ManualKey, keys_of_chance_pass) {
  crypto::SystemRng rng;
  for (int i = 0; i < 2000; ++i) {
    for (const std::size_t size : {16u, 20u, 24u, 32u, 48u, 64u}) {
      Bytes key(size);
      rng.fill(key);
      EXPECT_EQ(weakness(key), "") << to_hex(key);
    }
  }
}

TEST(ManualKey, lengths) {
  crypto::SystemRng rng;
  Bytes key(15);
  rng.fill(key);
  EXPECT_THAT(check_manual_key(kSuite, KeyUse::kEncryption, key).error().message,
              HasSubstr("has 15 octets, and the encryption key of aes128-sha256 has 16"));
  EXPECT_THAT(check_manual_key(kSuite, KeyUse::kAuthentication, key).error().message,
              HasSubstr("64 hex digits"));
}

ManualTunnel with_starts(std::vector<std::optional<std::int64_t>> starts) {
  ManualTunnel tunnel;
  tunnel.overlap = 100s;
  std::uint32_t spi = 256;
  for (const auto& start : starts) {
    ManualKeys keys;
    keys.spi_in = Spi(spi++);
    keys.spi_out = Spi(spi++);
    keys.from = start;
    tunnel.keys.push_back(keys);
  }
  return tunnel;
}

TEST(ManualUse, one_period_never_changes) {
  const ManualUse use = manual_use(with_starts({std::nullopt}), 5000);
  EXPECT_EQ(use.outbound, 0u);
  EXPECT_THAT(use.inbound, ElementsAre(0u));
  EXPECT_FALSE(use.next_change);
}

TEST(ManualUse, the_change_overlaps) {
  const ManualTunnel tunnel = with_starts({std::nullopt, 1000, 2000});
  const auto at = [&](std::int64_t now) { return manual_use(tunnel, now); };
  EXPECT_EQ(at(999), (ManualUse{0, {0, 1, 2}, 1000}));
  EXPECT_EQ(at(1000), (ManualUse{1, {0, 1, 2}, 1100}));
  EXPECT_EQ(at(1099), (ManualUse{1, {0, 1, 2}, 1100}));
  EXPECT_EQ(at(1100), (ManualUse{1, {1, 2}, 2000}));
  EXPECT_EQ(at(2000), (ManualUse{2, {1, 2}, 2100}));
  EXPECT_EQ(at(2100), (ManualUse{2, {2}, std::nullopt}));
  // Before the first: the first.
  EXPECT_EQ(manual_use(with_starts({500}), 10).outbound, 0u);
}

// Whatever the periods: what one end sends with the other receives with, as long as the receiver's
// clock is less than `overlap` ahead and however far it is behind; and a daemon that looks at
// next_change alone misses nothing.
TEST(ManualUse, both_ends_agree_while_their_clocks_differ_by_less_than_the_overlap) {
  std::mt19937 random(7);
  const auto below = [&](std::int64_t n) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint32_t>(n));
  };
  for (int round = 0; round < 300; ++round) {
    std::vector<std::optional<std::int64_t>> starts{std::nullopt};
    std::int64_t at = below(200);
    for (std::int64_t i = below(6); i > 0; --i) starts.push_back(at += 1 + below(400));
    ManualTunnel tunnel = with_starts(starts);
    tunnel.overlap = std::chrono::seconds(1 + below(300));
    const std::int64_t overlap = whole_seconds(tunnel.overlap);
    const std::int64_t ahead = below(overlap + 500) - 500;  // of the receiver, -500 to overlap - 1
    ManualUse last = manual_use(tunnel, -1000);
    for (std::int64_t now = -1000; now < at + 1000; ++now) {
      const ManualUse sender = manual_use(tunnel, now);
      const ManualUse receiver = manual_use(tunnel, now + ahead);
      ASSERT_EQ(std::count(receiver.inbound.begin(), receiver.inbound.end(), sender.outbound), 1)
          << "round " << round << ", at " << now << ", the receiver " << ahead << " s ahead";
      ASSERT_EQ(sender != last, last.next_change == now) << "round " << round << ", at " << now;
      last = sender;
    }
  }
}

TEST(ManualTunnel, mirrored_twice_is_itself) {
  ManualTunnel tunnel = with_starts({std::nullopt, 1000});
  tunnel.local = IpAddress::parse("192.0.2.1").value();
  tunnel.remote = IpAddress::parse("192.0.2.2").value();
  tunnel.keys[0].encr_in = SecretBytes(hex("01"));
  tunnel.keys[0].encr_out = SecretBytes(hex("02"));
  const ManualTunnel other = mirrored(tunnel);
  EXPECT_EQ(other.keys[0].spi_in, tunnel.keys[0].spi_out);
  EXPECT_EQ(other.keys[0].encr_in, tunnel.keys[0].encr_out);
  EXPECT_EQ(other.local, tunnel.remote);
  EXPECT_NE(other, tunnel);
  EXPECT_EQ(mirrored(other), tunnel);
}

}  // namespace
}  // namespace espalier::policy
