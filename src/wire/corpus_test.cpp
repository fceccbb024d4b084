// The seed corpora of the fuzz targets are made from the samples of the tests, and this test
// compares them with what is committed. After a change: ESPALIER_WRITE_CORPUS=1 wire_test
// --gtest_filter='Corpus.*' writes them anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "wire/ike/samples.hpp"
#include "wire/ip/samples.hpp"
#include "wire/vici/samples.hpp"

namespace espalier::wire {
namespace {

using Corpus = std::map<std::string, Bytes>;

Corpus ike_corpus() {
  using namespace ike;
  using E = ExchangeType;
  const Header init = samples::header(E::kIkeSaInit, kFlagInitiator, 0);
  const Header auth = samples::header(E::kIkeAuth, kFlagInitiator, 1);
  Corpus corpus;
  corpus["sa_init"] = encode_message(init, samples::sa_init_request());
  corpus["auth"] = encode_message(auth, samples::auth_request());
  corpus["rekey"] = encode_message(samples::header(E::kCreateChildSa, kFlagResponse, 7),
                                   samples::rekey_request());
  corpus["deletes"] = encode_message(samples::header(E::kInformational, 0, 9), samples::deletes());
  corpus["multiple_ke"] = encode_message(init, samples::multiple_ke_request());
  corpus["ppk_auth"] = encode_message(auth, samples::ppk_auth_request());
  corpus["resume"] = encode_message(samples::header(E::kIkeSessionResume, kFlagInitiator, 0),
                                    samples::resume_request());
  corpus["empty"] = encode_message(samples::header(E::kInformational, kFlagResponse, 4), {});
  corpus["sk"] = encode_sk_prefix(auth, PayloadType::kIdi, 32);
  corpus["skf"] = encode_skf_prefix(auth, PayloadType::kIdi, 1, 3, 32);
  for (const char* name : {"sk", "skf"}) corpus[name].insert(corpus[name].end(), 32, 0xee);
  // Chains for parse_payloads: the type, then the chain.
  const std::map<std::string, std::vector<Payload>> chains{
      {"chain_auth", samples::auth_request()},
      {"chain_rekey", samples::rekey_request()},
      {"chain_intermediate", samples::intermediate()},
      {"chain_followup", samples::followup()},
      {"chain_deletes", samples::deletes()}};
  for (const auto& [name, payloads] : chains) {
    PayloadType first{};
    Bytes chain = encode_payloads(payloads, first);
    chain.insert(chain.begin(), static_cast<std::uint8_t>(first));
    corpus[name] = std::move(chain);
  }
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    testing::Random random(seed);
    corpus["random_" + std::to_string(seed)] =
        encode_message(auth, samples::any_payloads(random, 6));
  }
  return corpus;
}

Corpus vici_corpus() {
  using namespace vici;
  Corpus corpus;
  corpus["packet_load_conn"] = encode_packet(samples::load_conn()).value();
  Bytes stream;
  for (const Packet& packet :
       {samples::load_conn(), samples::event(), Packet{PacketType::kEventRegister, "list-sa", {}},
        Packet{PacketType::kEventConfirm, "", {}}}) {
    const Bytes frame = encode_frame(packet).value();
    stream.insert(stream.end(), frame.begin(), frame.end());
  }
  corpus["stream"] = stream;
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    testing::Random random(seed);
    const Packet packet{PacketType::kEvent, "list-sa", samples::any_section(random, 3)};
    const Bytes frame = encode_frame(packet).value();
    if (frame.size() < 2000) corpus["random_" + std::to_string(seed)] = frame;
  }
  return corpus;
}

Corpus ip_corpus() {
  Corpus corpus;
  corpus["ipv4_udp"] = ip::samples::ipv4_udp();
  corpus["ipv4_icmp_options"] = ip::samples::ipv4_icmp_options();
  corpus["ipv6_tcp"] = ip::samples::ipv6_tcp();
  corpus["ipv6_extensions"] = ip::samples::ipv6_extensions();
  corpus["udp"] = testing::hex("1194 1194 000c 0000 00000000");
  corpus["esp"] = testing::hex("c0ffee01 00000001 0000000000000001");
  corpus["keepalive"] = testing::hex("ff");
  return corpus;
}

void compare_or_write(const std::string& target, const Corpus& corpus) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(ESPALIER_SOURCE) / "tests/fuzz/corpus" / target;
  const bool write = std::getenv("ESPALIER_WRITE_CORPUS") != nullptr;
  if (write) fs::create_directories(folder);
  for (const auto& [name, bytes] : corpus) {
    if (write) {
      std::ofstream file(folder / name, std::ios::binary);
      file.write(reinterpret_cast<const char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()));
    }
    std::ifstream file(folder / name, std::ios::binary);
    const Bytes committed{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    EXPECT_EQ(to_hex(committed), to_hex(bytes))
        << (folder / name) << " is stale; see corpus_test.cpp";
  }
}

TEST(Corpus, Ike) { compare_or_write("wire_ike_fuzz", ike_corpus()); }
TEST(Corpus, Vici) { compare_or_write("wire_vici_fuzz", vici_corpus()); }
TEST(Corpus, Ip) { compare_or_write("wire_ip_fuzz", ip_corpus()); }

}  // namespace
}  // namespace espalier::wire
