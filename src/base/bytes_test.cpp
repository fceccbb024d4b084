#include "base/bytes.hpp"

#include <gtest/gtest.h>

namespace espalier {
namespace {

TEST(Reader, ReadsBigEndianAndStopsAtTheEnd) {
  const Bytes bytes = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17};
  Reader reader(bytes);
  EXPECT_EQ(*reader.u8(), 0x01);
  EXPECT_EQ(*reader.u16(), 0x0203);
  EXPECT_EQ(*reader.u32(), 0x04050607u);
  EXPECT_EQ(*reader.u64(), 0x08090a0b0c0d0e0fu);
  EXPECT_EQ(reader.offset(), 15u);
  EXPECT_EQ(reader.remaining(), 2u);
  EXPECT_FALSE(reader.empty());
  EXPECT_EQ(*reader.u16(), 0x1011);
  EXPECT_TRUE(reader.empty());
  EXPECT_EQ(reader.u8().error().code, ErrorCode::kTruncated);
}

TEST(Reader, StaysWhereItWasAfterAnError) {
  const Bytes bytes = {1, 2, 3};
  Reader reader(bytes);
  ASSERT_TRUE(reader.skip(1).ok());
  EXPECT_FALSE(reader.u32().ok());
  EXPECT_FALSE(reader.u64().ok());
  EXPECT_FALSE(reader.take(3).ok());
  EXPECT_FALSE(reader.skip(3).ok());
  EXPECT_FALSE(reader.take(static_cast<std::size_t>(-1)).ok());
  EXPECT_FALSE(reader.skip(static_cast<std::size_t>(-1)).ok());
  EXPECT_EQ(reader.offset(), 1u);
  EXPECT_EQ(*reader.u16(), 0x0203);
  EXPECT_EQ(reader.take(1).error().message, "at offset 3: needs 1 octets, has 0");
}

TEST(Reader, TakesViewsOfTheSameOctets) {
  const Bytes bytes = {1, 2, 3, 4};
  Reader reader(bytes);
  const auto first = reader.take(2);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->data(), bytes.data());
  EXPECT_EQ(first->size(), 2u);
  EXPECT_EQ(reader.take(0)->size(), 0u);
  EXPECT_TRUE(equal(reader.take_rest(), ByteView(bytes).subspan(2)));
  EXPECT_TRUE(reader.empty());
  EXPECT_EQ(reader.take_rest().size(), 0u);
  EXPECT_TRUE(Reader({}).empty());
  EXPECT_FALSE(Reader({}).u8().ok());
}

TEST(Writer, WritesBigEndianAndPatches) {
  Writer writer;
  writer.u8(0xaa);
  writer.u16(0);
  writer.u32(0);
  writer.u64(0x0102030405060708u);
  writer.zeros(2);
  writer.bytes(as_bytes("xy"));
  EXPECT_EQ(writer.size(), 19u);
  writer.patch_u16(1, 0xbbcc);
  writer.patch_u32(3, 0xddeeff01u);
  writer.patch_u8(18, 0x7a);
  EXPECT_EQ(to_hex(writer.view()), "aabbccddeeff0101020304050607080000787a");
  EXPECT_EQ(writer.take().size(), 19u);
}

TEST(WriterDeathTest, PatchingPastTheEndIsOurBug) {
  Writer writer;
  writer.u16(0);
  EXPECT_DEATH(writer.patch_u8(2, 1), "");
  EXPECT_DEATH(writer.patch_u16(1, 1), "");
  EXPECT_DEATH(writer.patch_u32(0, 1), "");
}

TEST(Writer, WhatItWritesTheReaderReads) {
  Writer writer;
  writer.u64(0xfedcba9876543210u);
  writer.u32(0xffffffffu);
  writer.u16(0xffff);
  writer.u8(0xff);
  const Bytes bytes = writer.take();
  Reader reader(bytes);
  EXPECT_EQ(*reader.u64(), 0xfedcba9876543210u);
  EXPECT_EQ(*reader.u32(), 0xffffffffu);
  EXPECT_EQ(*reader.u16(), 0xffff);
  EXPECT_EQ(*reader.u8(), 0xff);
}

TEST(Hex, RoundTripAndErrors) {
  EXPECT_EQ(to_hex({}), "");
  EXPECT_EQ(to_hex(Bytes{0x00, 0x0f, 0xf0, 0xff}), "000ff0ff");
  EXPECT_EQ(*from_hex("000ff0ff"), (Bytes{0x00, 0x0f, 0xf0, 0xff}));
  EXPECT_EQ(*from_hex("aBcD"), (Bytes{0xab, 0xcd}));
  EXPECT_TRUE(from_hex("")->empty());
  for (const std::string_view bad : {"0", "abc", "0x12", "0g", " 00", "0 0", "-1", "zz"}) {
    const auto result = from_hex(bad);
    ASSERT_FALSE(result.ok()) << bad;
    EXPECT_EQ(result.error().code, ErrorCode::kMalformed);
  }
  EXPECT_FALSE(from_hex(std::string_view("00\0\0", 4)).ok());
}

// RFC 4648 section 10.
TEST(Base64, Rfc4648) {
  const std::pair<std::string_view, std::string_view> cases[] = {{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : cases) {
    EXPECT_EQ(to_base64(as_bytes(plain)), encoded);
    ASSERT_TRUE(from_base64(encoded).ok()) << encoded;
    EXPECT_EQ(to_text(*from_base64(encoded)), plain);
  }
  EXPECT_EQ(to_base64(Bytes{0xfb, 0xff, 0xbf}), "+/+/");
  EXPECT_EQ(*from_base64("+/+/"), (Bytes{0xfb, 0xff, 0xbf}));
}

TEST(Base64, EveryOctetRoundTrips) {
  Bytes all;
  for (int i = 0; i < 256; ++i) {
    all.push_back(static_cast<std::uint8_t>(i));
    ASSERT_EQ(*from_base64(to_base64(all)), all);
  }
}

TEST(Base64, Padding) {
  // All of it or none of it.
  EXPECT_EQ(to_text(*from_base64("Zg")), "f");
  EXPECT_EQ(to_text(*from_base64("Zm8")), "fo");
  for (const std::string_view bad :
       {"=", "==", "===", "====", "Zg=", "Zg===", "Zm8==", "Zm9v=", "Zm9v==", "Zm9v====", "Z",
        "Z===", "Zg==Zg==", "Z=g=", "Zm9vY"}) {
    const auto result = from_base64(bad);
    ASSERT_FALSE(result.ok()) << bad;
    EXPECT_EQ(result.error().code, ErrorCode::kMalformed);
  }
}

TEST(Base64, ForeignCharactersAndLeftOverBits) {
  for (const std::string_view bad : {"Zm9v\n", " Zm9v", "Zm-_", "Zm9,", "Zm\xc3\xa9v"}) {
    EXPECT_FALSE(from_base64(bad).ok()) << bad;
  }
  EXPECT_FALSE(from_base64(std::string_view("Zm9\0", 4)).ok());
  EXPECT_FALSE(from_base64("Zh==").ok());  // would mean the same as Zg==
  EXPECT_FALSE(from_base64("Zm9=").ok());  // would mean the same as Zm8=
}

TEST(Bytes, Helpers) {
  EXPECT_TRUE(equal(as_bytes("abc"), as_bytes("abc")));
  EXPECT_FALSE(equal(as_bytes("abc"), as_bytes("abd")));
  EXPECT_FALSE(equal(as_bytes("abc"), as_bytes("ab")));
  EXPECT_TRUE(equal({}, {}));
  EXPECT_EQ(to_vector(as_bytes("ab")), (Bytes{'a', 'b'}));
  EXPECT_EQ(to_text(Bytes{'a', 0, 'b'}), std::string("a\0b", 3));
}

}  // namespace
}  // namespace espalier
