#include "policy/identity.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/distinguished_name.hpp"

namespace espalier::policy {
namespace {

using ::testing::HasSubstr;
using wire::ike::IdType;

Bytes bytes(std::string_view text) { return to_vector(as_bytes(text)); }

// C=CH, O=strongSwan, CN=moon.example.net
const Bytes kMoonDn = from_hex(
                          "303d310b3009060355040613024348"
                          "31133011060355040a0c0a7374726f6e675377616e"
                          "311930170603550403"
                          "0c106d6f6f6e2e6578616d706c652e6e6574")
                          .value();

TEST(Identity, TextToValue) {
  EXPECT_EQ(parse_identity("192.0.2.1").value(), (Identity{IdType::kIpv4, {192, 0, 2, 1}}));
  EXPECT_EQ(parse_identity("2001:db8::1").value().type, IdType::kIpv6);
  EXPECT_EQ(parse_identity("2001:db8::1").value().data.size(), 16u);
  EXPECT_EQ(parse_identity("a@b.c").value(), (Identity{IdType::kRfc822, bytes("a@b.c")}));
  EXPECT_EQ(parse_identity("@bender").value(), (Identity{IdType::kFqdn, bytes("bender")}));
  EXPECT_EQ(parse_identity("attic.example.net").value(),
            (Identity{IdType::kFqdn, bytes("attic.example.net")}));
}

TEST(Identity, Refusals) {
  EXPECT_EQ(parse_identity("CN=moon, O=strongSwan").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(parse_identity("%any").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(parse_identity("*.example.net").error().code, ErrorCode::kUnsupported);
  for (const char* bad : {"", "@", "a@", "@@b", "a@b@c", "two words", "new\nline", "fqdn:bender",
                          "caf\xc3\xa9", "10.0.0.0/8"}) {
    EXPECT_EQ(parse_identity(bad).error().code, ErrorCode::kInvalidArgument) << bad;
  }
  EXPECT_EQ(parse_identity(std::string(255, 'a')).error().code, ErrorCode::kLimit);
  EXPECT_THAT(parse_identity("new\nline").error().message, HasSubstr("new\\x0aline"));
}

TEST(Identity, ValueToText) {
  for (const char* text : {"192.0.2.1", "2001:db8::1", "a@b.c", "bender", "attic.example.net"}) {
    EXPECT_EQ(to_string(parse_identity(text).value()), text);
  }
  EXPECT_EQ(to_string(Identity{IdType::kFqdn, bytes("a\nb\x1b[0m")}), "a\\x0ab\\x1b[0m");
  EXPECT_EQ(to_string(Identity{IdType::kIpv4, {1, 2, 3}}), "010203");
  EXPECT_EQ(to_string(Identity{IdType::kKeyId, {0xab}}), "ab");
  EXPECT_EQ(to_string(Identity{IdType::kDerDn, {0x30, 0x05}}), "3005");
  EXPECT_EQ(to_string(Identity{IdType::kDerDn, kMoonDn}),
            "C=CH, O=strongSwan, CN=moon.example.net");
}

TEST(Identity, DistinguishedNamesThatAreNone) {
  for (std::size_t size = 0; size < kMoonDn.size(); ++size) {
    EXPECT_FALSE(parse_distinguished_name(ByteView(kMoonDn).first(size)).ok()) << size;
  }
  Bytes longer = kMoonDn;
  longer.push_back(0);
  EXPECT_FALSE(parse_distinguished_name(longer).ok());
}

crypto::CertificateInfo certificate() {
  crypto::CertificateInfo info;
  info.subject_dn = kMoonDn;
  return info;
}

TEST(CertificateIdentity, SubjectAltNames) {
  crypto::CertificateInfo info = certificate();
  info.dns_names = {"moon", "Moon.Example.NET"};
  info.emails = {"Root@moon.example.net"};
  info.ip_addresses = {{192, 0, 2, 1}};
  EXPECT_TRUE(certificate_has_identity(info, parse_identity("moon.example.net").value()));
  EXPECT_TRUE(certificate_has_identity(info, parse_identity("MOON").value()));
  EXPECT_FALSE(certificate_has_identity(info, parse_identity("sun").value()));
  EXPECT_TRUE(certificate_has_identity(info, parse_identity("Root@MOON.example.net").value()));
  EXPECT_FALSE(certificate_has_identity(info, parse_identity("root@moon.example.net").value()));
  EXPECT_TRUE(certificate_has_identity(info, parse_identity("192.0.2.1").value()));
  EXPECT_FALSE(certificate_has_identity(info, parse_identity("192.0.2.2").value()));
  // A name of another type is no match, whatever it says.
  EXPECT_FALSE(certificate_has_identity(info, Identity{IdType::kFqdn, {192, 0, 2, 1}}));
  EXPECT_FALSE(certificate_has_identity(info, Identity{IdType::kRfc822, bytes("moon")}));
  EXPECT_FALSE(certificate_has_identity(info, Identity{IdType::kKeyId, bytes("moon")}));
}

TEST(CertificateIdentity, SubjectAndCommonName) {
  crypto::CertificateInfo info = certificate();
  EXPECT_TRUE(certificate_has_identity(info, Identity{IdType::kDerDn, kMoonDn}));
  Bytes other = kMoonDn;
  other.back() ^= 1;
  EXPECT_FALSE(certificate_has_identity(info, Identity{IdType::kDerDn, other}));
  EXPECT_FALSE(certificate_has_identity(crypto::CertificateInfo{}, Identity{IdType::kDerDn, {}}));
  EXPECT_TRUE(certificate_has_identity(info, parse_identity("moon.example.net").value()));
  EXPECT_FALSE(certificate_has_identity(info, parse_identity("strongSwan").value()));
  info.dns_names = {"sun.example.net"};
  EXPECT_FALSE(certificate_has_identity(info, parse_identity("moon.example.net").value()))
      << "a certificate with a dNSName is known by that alone";
}

TEST(CertificateIdentity, NothingMatchesAnEmptyName) {
  const crypto::CertificateInfo info = certificate();
  EXPECT_FALSE(certificate_has_identity(info, Identity{IdType::kFqdn, {}}));
  EXPECT_FALSE(certificate_has_identity(info, Identity{IdType::kIpv4, {}}));
}

TEST(ModeName, Names) {
  EXPECT_EQ(name(Mode::kTunnel), "tunnel");
  EXPECT_EQ(name(Mode::kTransport), "transport");
}

}  // namespace
}  // namespace espalier::policy
