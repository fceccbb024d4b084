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
  for (const char* bad : {"",
                          "@",
                          "a@",
                          "@@b",
                          "a@b@c",
                          "two words",
                          "new\nline",
                          "caf\xc3\xa9",
                          "10.0.0.0/8",
                          "%any",
                          "*",
                          "*.example.net",
                          "*@example.net",
                          "CN=*",
                          "a.*.net",
                          "*a.net",
                          "%any6",
                          "@#",
                          "@#abc",
                          "@#xy",
                          "ipv4:2001:db8::1",
                          "ipv6:10.0.0.1",
                          "ipv4:#0102",
                          "keyid:",
                          "email:gw",
                          "fqdn:a@b",
                          "CN=",
                          "CN=a, =b",
                          "XX=a",
                          "CN=a, b",
                          "CN=a+O=b",
                          "3.1=x",
                          "1.40=x",
                          "CN=a\\"}) {
    EXPECT_EQ(parse_identity(bad).error().code, ErrorCode::kInvalidArgument) << bad;
  }
  for (const char* bad : {"a.*.net", "*a.net", "*", "*..net", "*@*.net", "a*@b.net", "%any6"}) {
    if (std::string_view(bad) == "*") continue;
    EXPECT_FALSE(parse_identity_pattern(bad).ok()) << bad;
  }
  for (const char* later : {"asn1gn:#30", "ipv4range:10.0.0.1-10.0.0.9", "uri:urn:x"}) {
    EXPECT_EQ(parse_identity(later).error().code, ErrorCode::kUnsupported) << later;
  }
  EXPECT_EQ(parse_identity(std::string(255, 'a')).error().code, ErrorCode::kLimit);
  EXPECT_EQ(parse_identity("CN=" + std::string(1024, 'a')).error().code, ErrorCode::kLimit);
  EXPECT_THAT(parse_identity("new\nline").error().message, HasSubstr("new\\x0aline"));
}

TEST(Identity, Prefixes) {
  EXPECT_EQ(parse_identity("ipv4:192.0.2.1").value(), parse_identity("192.0.2.1").value());
  EXPECT_EQ(parse_identity("ipv6:2001:db8::1").value(), parse_identity("2001:db8::1").value());
  EXPECT_EQ(parse_identity("fqdn:192.0.2.1").value(),
            (Identity{IdType::kFqdn, bytes("192.0.2.1")}));
  EXPECT_EQ(parse_identity("dns:gw").value(), parse_identity("gw").value());
  EXPECT_EQ(parse_identity("@@a@b.c").value(), parse_identity("email:a@b.c").value());
  EXPECT_EQ(parse_identity("asn1dn:CN=moon").value(), parse_identity("CN=moon").value());
  EXPECT_EQ(parse_identity("keyid:moon").value(), (Identity{IdType::kKeyId, bytes("moon")}));
  EXPECT_EQ(parse_identity("keyid:#0aFF").value(), (Identity{IdType::kKeyId, {0x0a, 0xff}}));
  EXPECT_EQ(parse_identity("@#0aff").value(), (Identity{IdType::kKeyId, {0x0a, 0xff}}));
  EXPECT_EQ(parse_identity("asn1dn:#" + to_hex(kMoonDn)).value(),
            (Identity{IdType::kDerDn, kMoonDn}));
}

// As pki --dn of strongSwan 5.9.8 writes them: the RDNs in the order of the text.
TEST(Identity, DistinguishedNames) {
  EXPECT_EQ(to_hex(parse_identity("C=CH, O=strongSwan, CN=moon").value().data),
            "3031310b3009060355040613024348311330110603550"
            "40a130a7374726f6e675377616e310d300b060355040313046d6f6f6e");
  for (const char* text :
       {"C=CH, O=strongSwan, CN=moon.example.net", "CN=a\\,b", "CN=a\\\\b", "CN=a\\+b",
        "UID=x, DC=net", "E=a@b.c, CN=x", "CN=J\\c3\\bcrgen", "1.2.3.4=x", "serialNumber=12"}) {
    const auto identity = parse_identity(text);
    ASSERT_TRUE(identity.ok()) << text << ": " << identity.error().message;
    EXPECT_EQ(to_string(*identity), text);
  }
  EXPECT_EQ(parse_identity("/C=CH/O=x, y/CN=moon").value(),
            parse_identity("C=CH, O=x\\, y, CN=moon").value());
  EXPECT_EQ(parse_identity(" emailAddress=a@b.c ,CN=x").value(),
            parse_identity("E=a@b.c, CN=x").value());
  const std::string long_value(200, 'a');
  EXPECT_EQ(to_string(parse_identity("CN=" + long_value).value()), "CN=" + long_value);
}

TEST(Identity, SameAndNotTheSame) {
  const auto same = [](const char* a, const char* b) {
    return same_identity(parse_identity(a).value(), parse_identity(b).value());
  };
  EXPECT_TRUE(same("Gw.Example.NET", "gw.example.net"));
  EXPECT_FALSE(same("gw.example.net", "gw.example.org"));
  EXPECT_TRUE(same("a@Example.NET", "a@example.net"));
  EXPECT_FALSE(same("A@example.net", "a@example.net"));
  EXPECT_FALSE(same("keyid:Moon", "keyid:moon"));
  EXPECT_FALSE(same("keyid:moon", "fqdn:moon"));
  EXPECT_TRUE(same("CN=Moon, O=Two  Words", "CN=moon, O=two words"));
  EXPECT_FALSE(same("CN=moon, O=x", "O=x, CN=moon")) << "the order of RDNs counts";
  EXPECT_FALSE(same("CN=moon", "CN=moon, O=x"));
  EXPECT_FALSE(same("CN=moon", "O=moon"));
  // kMoonDn has UTF8Strings where the text gives PrintableStrings.
  EXPECT_NE(parse_identity("C=CH, O=strongSwan, CN=moon.example.net").value().data, kMoonDn);
  EXPECT_TRUE(same_identity(parse_identity("C=CH, O=strongSwan, CN=moon.example.net").value(),
                            Identity{IdType::kDerDn, kMoonDn}));
  EXPECT_EQ(canonical_name(Bytes{1, 2, 3}), (Bytes{1, 2, 3}));
}

TEST(Identity, Wildcards) {
  const auto covered = [](const char* pattern, const char* text) {
    return covers(parse_identity_pattern(pattern).value(), parse_identity(text).value());
  };
  EXPECT_TRUE(covered("*.example.net", "gw.Example.net"));
  EXPECT_TRUE(covered("*.Example.net", "a.b.example.net"));
  EXPECT_FALSE(covered("*.example.net", "example.net"));
  EXPECT_FALSE(covered("*.example.net", "gw.badexample.net"));
  EXPECT_FALSE(covered("*.example.net", "email:a@gw.example.net"));
  EXPECT_TRUE(covered("*@example.net", "amy@example.net"));
  EXPECT_FALSE(covered("*@example.net", "amy@gw.example.net"));
  EXPECT_FALSE(covered("*@example.net", "fqdn:example.net"));
  EXPECT_TRUE(covered("CN=*, O=Example", "CN=moon, O=example"));
  EXPECT_FALSE(covered("CN=*, O=Example", "CN=moon, O=other"));
  EXPECT_FALSE(covered("CN=*, O=Example", "CN=moon, O=Example, C=DE"));
  EXPECT_FALSE(covered("CN=*, O=Example", "O=moon, O=Example"));
  for (const char* text : {"moon", "a@b.c", "CN=moon", "192.0.2.1", "@#00"}) {
    EXPECT_TRUE(covered("%any", text)) << text;
    EXPECT_TRUE(covered("*", text)) << text;
  }
  EXPECT_TRUE(covered("moon", "MOON"));
  EXPECT_FALSE(covers(parse_identity_pattern("*.example.net").value(),
                      parse_identity_pattern("*.example.net").value()));
  for (const char* text : {"%any", "*.example.net", "*@example.net", "CN=*, O=Example"}) {
    EXPECT_EQ(to_string(parse_identity_pattern(text).value()), text);
  }
}

TEST(Identity, LookupKeysComeMostSpecificFirst) {
  const auto keys = [](const char* text, const std::vector<std::uint32_t>& masks) {
    std::vector<std::string> out;
    for (const Identity& key : lookup_keys(parse_identity(text).value(), masks))
      out.push_back(to_string(key));
    return out;
  };
  using ::testing::ElementsAre;
  EXPECT_THAT(keys("a.B.net", {1}), ElementsAre("a.b.net", "*.b.net", "*.net", "%any"));
  EXPECT_THAT(keys("Amy@B.net", {1}), ElementsAre("Amy@b.net", "*@b.net", "%any"));
  EXPECT_THAT(keys("CN=Moon, O=X", {1, 2, 3, 4}),
              ElementsAre("CN=moon, O=x", "CN=*, O=x", "CN=moon, O=*", "CN=*, O=*", "%any"));
  EXPECT_TRUE(more_specific_mask(4, 3));
  EXPECT_FALSE(more_specific_mask(3, 4));
  EXPECT_FALSE(more_specific_mask(4, 4));
}

TEST(Identity, ValueToText) {
  for (const char* text : {"192.0.2.1", "2001:db8::1", "a@b.c", "bender", "attic.example.net"}) {
    EXPECT_EQ(to_string(parse_identity(text).value()), text);
  }
  EXPECT_EQ(to_string(Identity{IdType::kFqdn, bytes("a\nb\x1b[0m")}), "a\\x0ab\\x1b[0m");
  EXPECT_EQ(to_string(Identity{IdType::kIpv4, {1, 2, 3}}), "010203");
  EXPECT_EQ(to_string(Identity{IdType::kKeyId, {0xab}}), "@#ab");
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
  EXPECT_TRUE(certificate_has_identity(
      info, parse_identity("C=ch, O=strongswan, CN=moon.example.net").value()));
  EXPECT_FALSE(certificate_has_identity(info, Identity{IdType::kKeyId, {}}));
  info.key_id = {1, 2, 3};
  EXPECT_TRUE(certificate_has_identity(info, parse_identity("@#010203").value()));
  EXPECT_FALSE(certificate_has_identity(info, parse_identity("@#010204").value()));
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

// RFC 7619 section 2.4: who does not say who it is meets only those who expect that.
TEST(Identity, NobodyIsCoveredByNoWildcard) {
  const Identity nobody{wire::ike::IdType::kNull, {}};
  EXPECT_EQ(to_string(nobody), "%null");
  EXPECT_FALSE(is_wildcard(nobody));
  EXPECT_FALSE(covers({kAnyIdType, {}}, nobody));
  EXPECT_FALSE(covers(nobody, {wire::ike::IdType::kFqdn, to_vector(as_bytes("a"))}));
  EXPECT_TRUE(covers(nobody, nobody));
  EXPECT_EQ(lookup_keys(nobody, {}), std::vector<Identity>{nobody});
}

}  // namespace
}  // namespace espalier::policy
