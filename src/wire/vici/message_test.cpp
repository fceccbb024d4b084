#include "wire/vici/message.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/testing/hex.hpp"
#include "wire/vici/limits.hpp"
#include "wire/vici/samples.hpp"

namespace espalier::wire::vici {
namespace {

using ::testing::HasSubstr;
using testing::hex;
using testing::Random;

// What swanctl 5.9.8 sends for `swanctl --load-conns` (recorded from its socket, without the length
// prefix).
constexpr std::string_view kSwanctlLoadConn =
    "00 09 6c6f61642d636f6e6e"                               // CMD_REQUEST load-conn
    "01 01 61"                                               // section a
    "04 0c 72656d6f74655f6164647273"                         // list remote_addrs
    "05 0009 3139322e302e322e31 05 0009 3139322e302e322e32"  // 192.0.2.1, 192.0.2.2
    "06"
    "01 05 6c6f63616c 03 04 61757468 0003 70736b 03 02 6964 0001 78 02"  // local: auth, id
    "01 06 72656d6f7465 03 04 61757468 0003 70736b 02"                   // remote: auth
    "02";

TEST(ViciPacket, SwanctlsLoadConn) {
  const Bytes bytes = hex(kSwanctlLoadConn);
  const auto packet = parse_packet(bytes);
  ASSERT_TRUE(packet.ok()) << packet.error().message;
  EXPECT_EQ(packet->type, PacketType::kCmdRequest);
  EXPECT_EQ(packet->name, "load-conn");
  Section expected;
  Section& a = expected.section("a");
  a.list("remote_addrs", {"192.0.2.1", "192.0.2.2"});
  a.section("local").set("auth", "psk").set("id", "x");
  a.section("remote").set("auth", "psk");
  EXPECT_EQ(packet->message, expected);
  EXPECT_EQ(encode_packet(*packet).value(), bytes);
}

TEST(ViciPacket, KnownBytesOfEachType) {
  const auto expect = [](const Packet& packet, std::string_view text) {
    EXPECT_EQ(to_hex(encode_packet(packet).value()), to_hex(hex(text)));
    const auto parsed = parse_packet(hex(text));
    ASSERT_TRUE(parsed.ok()) << parsed.error().message;
    EXPECT_EQ(*parsed, packet);
  };
  Section message;
  message.set("a", "b");
  expect({PacketType::kCmdRequest, "stats", {}}, "00 05 7374617473");
  expect({PacketType::kCmdResponse, "", message}, "01 03 01 61 0001 62");
  expect({PacketType::kCmdUnknown, "", {}}, "02");
  expect({PacketType::kEventRegister, "log", {}}, "03 03 6c6f67");
  expect({PacketType::kEventUnregister, "log", {}}, "04 03 6c6f67");
  expect({PacketType::kEventConfirm, "", {}}, "05");
  expect({PacketType::kEventUnknown, "", {}}, "06");
  expect({PacketType::kEvent, "log", message}, "07 03 6c6f67 03 01 61 0001 62");
  EXPECT_EQ(to_hex(encode_frame({PacketType::kEventConfirm, "", {}}).value()), "0000000105");
}

TEST(ViciPacket, Refused) {
  const auto expect = [](std::string_view text, ErrorCode code, std::string_view why) {
    const auto packet = parse_packet(hex(text));
    ASSERT_FALSE(packet.ok()) << text;
    EXPECT_EQ(packet.error().code, code) << text;
    EXPECT_THAT(packet.error().message, HasSubstr(std::string(why)));
  };
  expect("", ErrorCode::kTruncated, "without octets");
  expect("08", ErrorCode::kMalformed, "no packet of type 8");
  expect("00", ErrorCode::kTruncated, "is cut off");
  expect("00 05 7374", ErrorCode::kTruncated, "of 5 octets, and 2 remain");
  expect("00 02 7300", ErrorCode::kMalformed, "not printable");
  expect("05 00", ErrorCode::kMalformed, "1 octets follow a packet of type EVENT_CONFIRM");
  expect("01 03 01 61 0002 62", ErrorCode::kTruncated, "a value of 2 octets, and 1 remain");
  expect("01 03 01 61 00", ErrorCode::kTruncated, "a value's length");
  expect("01 03 01 ff 0000", ErrorCode::kMalformed, "a key is not printable ASCII");
  expect("01 00", ErrorCode::kMalformed, "no element of type 0");
  expect("01 07", ErrorCode::kMalformed, "no element of type 7");
  expect("01 02", ErrorCode::kMalformed, "VICI at offset 0: a section's end outside of any");
  expect("01 01 01 61", ErrorCode::kTruncated, "ends within a section or a list");
  expect("01 04 01 61", ErrorCode::kTruncated, "ends within a section or a list");
  expect("01 05 0000", ErrorCode::kMalformed, "a list item outside");
  expect("01 06", ErrorCode::kMalformed, "a list's end outside");
  expect("01 04 01 61 03 01 61 0000 06", ErrorCode::kMalformed, "other than an item within a list");
  expect("01 04 01 61 02", ErrorCode::kMalformed, "other than an item within a list");
  EXPECT_EQ(parse_packet(Bytes(kMaxPacketOctets + 1)).error().code, ErrorCode::kLimit);
}

TEST(ViciMessage, Limits) {
  Bytes deep;
  for (std::size_t i = 0; i <= kMaxDepth; ++i) deep.insert(deep.end(), {1, 1, 'a'});
  for (std::size_t i = 0; i <= kMaxDepth; ++i) deep.push_back(2);
  EXPECT_EQ(parse_message(deep).error().code, ErrorCode::kLimit);
  EXPECT_TRUE(parse_message(ByteView(deep).subspan(3).first(deep.size() - 4)).ok());

  Bytes many;  // a list start and end per entry
  for (std::size_t i = 0; i <= kMaxElements / 2; ++i) many.insert(many.end(), {4, 0, 6});
  EXPECT_EQ(parse_message(many).error().code, ErrorCode::kLimit);
  many.resize(many.size() - 3);
  EXPECT_TRUE(parse_message(many).ok());
}

TEST(ViciMessage, WhatCannotBeSent) {
  const auto code = [](const Section& message) { return encode_message(message).error().code; };
  Section value;
  value.set("a", std::string(65536, 'x'));
  EXPECT_EQ(code(value), ErrorCode::kLimit);
  Section item;
  item.list("a", {std::string(65536, 'x')});
  EXPECT_EQ(code(item), ErrorCode::kLimit);
  Section name;
  name.set(std::string(256, 'x'), "");
  EXPECT_EQ(code(name), ErrorCode::kLimit);
  Section unprintable;
  unprintable.section("a\nb");
  EXPECT_EQ(code(unprintable), ErrorCode::kInvalidArgument);
  Section deep;
  Section* inner = &deep;
  for (std::size_t i = 0; i <= kMaxDepth; ++i) inner = &inner->section("a");
  EXPECT_EQ(code(deep), ErrorCode::kLimit);
  Packet large{PacketType::kCmdResponse, "", {}};
  for (int i = 0; i < 9; ++i) large.message.set(std::to_string(i), std::string(65535, 'x'));
  EXPECT_EQ(encode_packet(large).error().code, ErrorCode::kLimit);
  EXPECT_EQ(encode_frame(large).error().code, ErrorCode::kLimit);
}

TEST(ViciSection, Lookups) {
  Section message;
  Section& a = message.section("a");
  a.set("b", "1").list("c", {"x", "y"}).section("10.0.0.1").set("d.e", "2");
  EXPECT_EQ(message.get("a.b"), "1");
  EXPECT_EQ(message.get("a.10.0.0.1.d.e"), "2");
  EXPECT_EQ(message.get("a"), std::nullopt);
  EXPECT_EQ(message.get("a.c"), std::nullopt);
  EXPECT_EQ(message.get("a.b.c"), std::nullopt);
  EXPECT_EQ(message.get(""), std::nullopt);
  ASSERT_NE(message.get_list("a.c"), nullptr);
  EXPECT_EQ(*message.get_list("a.c"), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(message.get_list("a.b"), nullptr);
  ASSERT_NE(message.get_section("a.10.0.0.1"), nullptr);
  EXPECT_EQ(message.get_section("a.10.0.0.1")->entries().size(), 1u);
  EXPECT_EQ(message.get_section("a.b"), nullptr);
}

TEST(ViciSection, BuildersReplaceAndKeepTheOrder) {
  Section message;
  message.set("x", "1").set("y", "2").set("x", "3");
  message.section("s").set("in", "1");
  message.section("s").set("more", "2");
  ASSERT_EQ(message.entries().size(), 3u);
  EXPECT_EQ(message.entries()[0].name, "x");
  EXPECT_EQ(message.get("x"), "3");
  EXPECT_EQ(message.entries()[1].name, "y");
  EXPECT_EQ(message.get("s.in"), "1");
  EXPECT_EQ(message.get("s.more"), "2");
  message.list("x", {});
  ASSERT_NE(message.get_list("x"), nullptr);
  message.section("x").set("z", "4");
  EXPECT_EQ(message.get("x.z"), "4");
  EXPECT_EQ(message.entries().size(), 3u);
}

TEST(ViciRoundTrip, AnyPacket) {
  for (std::uint64_t seed = 0; seed < 2000; ++seed) {
    Random random(seed);
    const Packet packet = samples::any_packet(random);
    const auto bytes = encode_packet(packet);
    ASSERT_TRUE(bytes.ok()) << "seed " << seed << ": " << bytes.error().message;
    const auto parsed = parse_packet(*bytes);
    ASSERT_TRUE(parsed.ok()) << "seed " << seed << ": " << parsed.error().message;
    ASSERT_EQ(*parsed, packet) << "seed " << seed;
  }
}

TEST(ViciRoundTrip, TruncationAndDamage) {
  const Bytes whole = encode_packet(samples::load_conn()).value();
  const std::size_t message = 2 + samples::load_conn().name.size();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A message without entries is one, too.
    EXPECT_EQ(parse_packet(ByteView(whole).first(size)).ok(), size == message) << size;
  }
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (unsigned value = 0; value < 256; ++value) {
      Bytes damaged = whole;
      damaged[i] = static_cast<std::uint8_t>(value);
      const auto packet = parse_packet(damaged);
      if (packet.ok()) {
        EXPECT_EQ(encode_packet(*packet).value(), damaged);
      }
    }
  }
}

}  // namespace
}  // namespace espalier::wire::vici
