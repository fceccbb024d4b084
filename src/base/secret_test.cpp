#include "base/secret.hpp"

#include <gtest/gtest.h>

#include <ostream>
#include <type_traits>

namespace espalier {
namespace {

TEST(Wipe, OverwritesEveryOctet) {
  Bytes bytes = {1, 2, 3};
  wipe(bytes);
  EXPECT_EQ(bytes, Bytes(3));
  wipe({});
}

TEST(ConstantTimeEqual, Compares) {
  EXPECT_TRUE(constant_time_equal({}, {}));
  EXPECT_TRUE(constant_time_equal(as_bytes("abc"), as_bytes("abc")));
  EXPECT_FALSE(constant_time_equal(as_bytes("abc"), as_bytes("abd")));
  EXPECT_FALSE(constant_time_equal(as_bytes("abc"), as_bytes("bbc")));
  EXPECT_FALSE(constant_time_equal(as_bytes("abc"), as_bytes("ab")));
  // Every single bit counts.
  for (unsigned bit = 0; bit < 8; ++bit) {
    const Bytes a = {0x5a};
    const Bytes b = {static_cast<std::uint8_t>(0x5a ^ (1u << bit))};
    EXPECT_FALSE(constant_time_equal(a, b));
  }
}

TEST(SecretBytes, IsAValue) {
  const SecretBytes a(Bytes{1, 2, 3});
  SecretBytes b = a;
  EXPECT_TRUE(a == b);
  EXPECT_EQ(b.size(), 3u);
  EXPECT_FALSE(b.empty());
  EXPECT_TRUE(SecretBytes().empty());
  b = SecretBytes(as_bytes("xyz"));
  EXPECT_FALSE(a == b);
  EXPECT_EQ(to_hex(b.reveal()), "78797a");
  SecretBytes moved = std::move(b);
  EXPECT_EQ(moved.size(), 3u);
  const SecretBytes& self = moved;
  moved = self;  // assigning to itself must not wipe it
  EXPECT_EQ(to_hex(moved.reveal()), "78797a");
  moved = SecretBytes(Bytes{7});
  EXPECT_EQ(to_hex(moved.reveal()), "07");
  moved = a;
  EXPECT_TRUE(moved == a);
}

template <class T>
concept Printable = requires(std::ostream& out, const T& value) {
  out << value;
};

TEST(SecretBytes, CannotBePrintedOrTurnIntoBytesByItself) {
  EXPECT_FALSE(Printable<SecretBytes>);
  EXPECT_FALSE((std::is_convertible_v<SecretBytes, ByteView>));
  EXPECT_FALSE((std::is_convertible_v<SecretBytes, std::string>));
  EXPECT_FALSE((std::is_convertible_v<Bytes, SecretBytes>));
}

}  // namespace
}  // namespace espalier
