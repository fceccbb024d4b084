#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "wire/vici/limits.hpp"
#include "wire/vici/message.hpp"
#include "wire/vici/samples.hpp"

namespace espalier::wire::vici {
namespace {

using ::testing::HasSubstr;
using testing::Random;

Bytes length_prefix(std::uint32_t length) {
  Writer writer;
  writer.u32(length);
  return writer.take();
}

TEST(ViciFramer, PacketsComeOutHoweverTheOctetsGoIn) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Random random(seed);
    std::vector<Packet> packets;
    Bytes stream;
    for (std::size_t i = random.below(8); i > 0; --i) {
      packets.push_back(samples::any_packet(random));
      const Bytes frame = encode_frame(packets.back()).value();
      stream.insert(stream.end(), frame.begin(), frame.end());
    }
    Framer framer;
    std::vector<Packet> received;
    ByteView rest = stream;
    while (!rest.empty()) {
      const std::size_t count =
          std::min<std::size_t>(rest.size(), 1 + random.below(seed % 2 ? 3 : 400));
      framer.push(rest.first(count));
      rest = rest.subspan(count);
      while (true) {
        auto packet = framer.next();
        ASSERT_TRUE(packet.ok()) << "seed " << seed << ": " << packet.error().message;
        if (!packet->has_value()) break;
        received.push_back(parse_packet(**packet).value());
      }
    }
    ASSERT_EQ(received, packets) << "seed " << seed;
    ASSERT_EQ(framer.pending(), 0u) << "seed " << seed;
  }
}

TEST(ViciFramer, NothingBeforeThePacketIsWhole) {
  const Bytes frame = encode_frame(samples::event()).value();
  Framer framer;
  EXPECT_FALSE(framer.next().value().has_value());
  framer.push(ByteView(frame).first(frame.size() - 1));
  EXPECT_FALSE(framer.next().value().has_value());
  EXPECT_EQ(framer.pending(), frame.size() - 1);
  framer.push(ByteView(frame).last(1));
  EXPECT_EQ(framer.next().value(), encode_packet(samples::event()).value());
  EXPECT_FALSE(framer.next().value().has_value());
}

TEST(ViciFramer, TheLargestPacket) {
  Framer framer;
  framer.push(length_prefix(kMaxPacketOctets));
  framer.push(Bytes(kMaxPacketOctets, 5));
  const auto packet = framer.next();
  ASSERT_TRUE(packet.ok());
  EXPECT_EQ((*packet)->size(), kMaxPacketOctets);
}

TEST(ViciFramer, AnImpossibleLengthEndsTheStream) {
  for (const std::uint32_t length :
       {0u, static_cast<std::uint32_t>(kMaxPacketOctets + 1), 0xffffffffu}) {
    Framer framer;
    framer.push(encode_frame({PacketType::kEventConfirm, "", {}}).value());
    framer.push(length_prefix(length));
    EXPECT_TRUE(framer.next().value().has_value());
    const auto error = framer.next();
    ASSERT_FALSE(error.ok()) << length;
    EXPECT_EQ(error.error().code, length == 0 ? ErrorCode::kMalformed : ErrorCode::kLimit);
    EXPECT_THAT(error.error().message, HasSubstr("VICI stream"));
    framer.push(encode_frame({PacketType::kEventConfirm, "", {}}).value());
    EXPECT_EQ(framer.next().error(), error.error());
    EXPECT_EQ(framer.pending(), 0u);
  }
}

}  // namespace
}  // namespace espalier::wire::vici
