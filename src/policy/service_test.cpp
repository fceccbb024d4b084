#include "policy/service_selectors.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/selectors.hpp"

namespace espalier::policy {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TrafficSelector net(std::string_view prefix) { return from_prefix(Prefix::parse(prefix).value()); }

std::vector<std::string> texts(const std::vector<SelectorPair>& pairs) {
  std::vector<std::string> list;
  for (const SelectorPair& pair : pairs) {
    list.push_back(to_string(pair.local) + " " + to_string(pair.remote));
  }
  return list;
}

TEST(ServiceSelectors, APortAtEitherEndIsTwo) {
  const Service ssh = find_service_word("ssh")->services.front();
  EXPECT_THAT(texts(between(ssh, net("192.0.2.1/32"), net("192.0.2.2/32"))),
              ElementsAre("192.0.2.1/32[tcp/22] 192.0.2.2/32[tcp]",
                          "192.0.2.1/32[tcp] 192.0.2.2/32[tcp/22]"));
  EXPECT_THAT(between(ssh, net("192.0.2.1/32"), net("2001:db8::1/128")), IsEmpty());
}

TEST(ServiceSelectors, IcmpIsOfTheFamily) {
  const Service icmp{kProtocolIcmp};
  EXPECT_THAT(texts(between(icmp, net("10.0.0.1/32"), net("10.0.0.2/32"))),
              ElementsAre("10.0.0.1/32[icmp] 10.0.0.2/32[icmp]"));
  EXPECT_THAT(texts(between(icmp, net("fd00::1/128"), net("fd00::2/128"))),
              ElementsAre("fd00::1/128[ipv6-icmp] fd00::2/128[ipv6-icmp]"));
  EXPECT_THAT(between(Service{kProtocolIcmp6}, net("10.0.0.1/32"), net("10.0.0.2/32")), IsEmpty());
}

TEST(ServiceSelectors, ANetworkIsOfOneEnd) {
  Service any;
  any.net = Prefix::parse("10.9.0.0/16").value();
  EXPECT_THAT(texts(between(any, net("10.0.0.0/8"), net("192.0.2.2/32"))),
              ElementsAre("10.9.0.0/16 192.0.2.2/32"));
  EXPECT_THAT(texts(between(any, net("192.0.2.2/32"), net("10.9.3.0/24"))),
              ElementsAre("192.0.2.2/32 10.9.3.0/24"));
  EXPECT_THAT(between(any, net("192.0.2.1/32"), net("192.0.2.2/32")), IsEmpty());
}

TEST(ServiceSelectors, BothEndsMeanTheSame) {
  for (const ServiceWord& word : service_words()) {
    for (const Side side : {Side::kEither, Side::kLocal, Side::kRemote}) {
      for (Service service : word.services) {
        service.side = side;
        const auto here = between(service, net("10.0.0.0/8"), net("192.0.2.2/32"));
        auto there = between(flipped(service), net("192.0.2.2/32"), net("10.0.0.0/8"));
        EXPECT_EQ(here.size(), there.size());
        for (const SelectorPair& pair : there) {
          const SelectorPair mirrored{pair.remote, pair.local};
          EXPECT_NE(std::find(here.begin(), here.end(), mirrored), here.end()) << word.word;
        }
      }
    }
  }
}

TEST(Services, ProtocolsByNameAndNumber) {
  EXPECT_EQ(parse_protocol("tcp"), 6);
  EXPECT_EQ(parse_protocol("any"), 0);
  EXPECT_EQ(parse_protocol("255"), 255);
  for (const char* wrong : {"", "0", "256", "-1", "6x", "tpc"}) {
    EXPECT_FALSE(parse_protocol(wrong)) << wrong;
  }
  EXPECT_EQ(protocol_word(47), "gre");
  EXPECT_EQ(protocol_word(200), "200");
}

}  // namespace
}  // namespace espalier::policy
