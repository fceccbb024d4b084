#include "wire/esp/header.hpp"

#include <gtest/gtest.h>

#include "wire/testing/hex.hpp"

namespace espalier::wire::esp {
namespace {

using testing::hex;

TEST(EspHeader, KnownBytes) {
  const Bytes bytes = hex("c0ffee01 00000102 99");
  const Header header{Spi(0xc0ffee01), 0x102};
  EXPECT_EQ(parse_header(bytes), header);
  Bytes out(9, 0x99);
  write_header(header, out);
  EXPECT_EQ(out, bytes);
  EXPECT_EQ(parse_header(ByteView(bytes).first(7)), std::nullopt);
  EXPECT_EQ(parse_header({}), std::nullopt);
}

TEST(EspClassify, Port4500) {
  const auto kind = [](std::string_view text) { return name(classify(hex(text))); };
  EXPECT_EQ(kind("ff"), "keepalive");
  EXPECT_EQ(kind("ffff"), "malformed");
  EXPECT_EQ(kind("fe"), "malformed");
  EXPECT_EQ(kind("00"), "malformed");
  EXPECT_EQ(kind(""), "malformed");
  EXPECT_EQ(kind("000000"), "malformed");
  EXPECT_EQ(kind("00000000"), "ike");
  EXPECT_EQ(kind("00000000 0102"), "ike");
  EXPECT_EQ(kind("00000001 0102"), "malformed");
  EXPECT_EQ(kind("00000100 00000001"), "esp");
  EXPECT_EQ(kind("ffffffff ffffffff"), "esp");
}

}  // namespace
}  // namespace espalier::wire::esp
