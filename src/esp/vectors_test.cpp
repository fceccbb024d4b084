// Packets made by others: tests/data/esp/README.md.
#include <gtest/gtest.h>

#include <fstream>
#include <map>

#include "esp/inbound_sa.hpp"
#include "esp/outbound_sa.hpp"

namespace espalier::esp {
namespace {

using Row = std::map<std::string, std::string>;

std::vector<Row> rows() {
  std::ifstream file(ESPALIER_TEST_DATA "/esp/vectors.txt");
  std::vector<Row> out;
  Row row;
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with('#')) continue;
    if (line.empty()) {
      if (!row.empty()) out.push_back(std::exchange(row, {}));
      continue;
    }
    const std::size_t space = line.find(' ');
    row[line.substr(0, space)] = line.substr(space + 1);
  }
  if (!row.empty()) out.push_back(row);
  return out;
}

crypto::CipherSuite suite_of(const std::string& words) {
  static const std::map<std::string, crypto::CipherSuite> kSuites{
      {"gcm16-128", {crypto::EncrId::kAesGcm16, 128, crypto::IntegId::kNone}},
      {"gcm16-192", {crypto::EncrId::kAesGcm16, 192, crypto::IntegId::kNone}},
      {"gcm16-256", {crypto::EncrId::kAesGcm16, 256, crypto::IntegId::kNone}},
      {"chacha20poly1305-256", {crypto::EncrId::kChaCha20Poly1305, 0, crypto::IntegId::kNone}},
      {"cbc-128-sha256", {crypto::EncrId::kAesCbc, 128, crypto::IntegId::kHmacSha2_256_128}},
      {"cbc-128-sha384", {crypto::EncrId::kAesCbc, 128, crypto::IntegId::kHmacSha2_384_192}},
  };
  return kSuites.at(words);
}

// Gives the IV that a vector used.
class FixedRng final : public crypto::Rng {
 public:
  explicit FixedRng(ByteView octets) : octets_(octets) {}
  void fill(MutableByteView out) override { std::copy_n(octets_.begin(), out.size(), out.begin()); }

 private:
  ByteView octets_;
};

void check_row(const Row& row) {
  const Bytes encr_key = from_hex(row.at("encr_key")).value();
  const Bytes integ_key = row.count("integ_key") ? from_hex(row.at("integ_key")).value() : Bytes{};
  const Bytes expected = row.count("plain") ? from_hex(row.at("plain")).value() : Bytes{};
  const Bytes packet = from_hex(row.at("packet")).value();
  SaParameters parameters;
  parameters.spi =
      Spi(static_cast<std::uint32_t>(std::stoul(row.at("packet").substr(0, 8), nullptr, 16)));
  parameters.suite = suite_of(row.at("suite"));
  parameters.encr_key = encr_key;
  parameters.integ_key = integ_key;
  parameters.esn = row.at("esn") == "1";
  parameters.first_sequence = std::stoull(row.at("sequence"), nullptr, 16);
  const bool raw = row.at("mode") == "raw";
  if (raw) parameters.mode = policy::Mode::kTransport;
  InboundSa in = InboundSa::make(parameters).value();
  Bytes copy = packet;
  OpenPacket opened{copy};
  in.open({&opened, 1});
  if (row.at("mode") == "dummy") {
    EXPECT_EQ(opened.result, OpenResult::kDummy);
    return;
  }
  ASSERT_EQ(opened.result, OpenResult::kOpened) << name(opened.result);
  EXPECT_EQ(opened.sequence, parameters.first_sequence);
  const std::size_t trailer = raw ? 2 + std::size_t{expected[expected.size() - 2]} : 0;
  EXPECT_EQ(to_hex(opened.payload), to_hex(ByteView(expected).first(expected.size() - trailer)));
  if (raw) {
    EXPECT_EQ(opened.next_header, expected.back());
  }

  // And back, octet for octet, where the IV is ours to choose.
  if (integ_key.empty()) return;
  OutboundSa out = OutboundSa::make(parameters).value();
  Bytes again(out.shape().esp_size(expected.size()));
  std::copy(expected.begin(), expected.end(),
            again.begin() + static_cast<std::ptrdiff_t>(out.shape().headroom()));
  SealPacket seal{again, expected.size(), opened.next_header};
  FixedRng rng(ByteView(packet).subspan(kHeaderOctets, out.shape().iv));
  ASSERT_EQ(out.seal({&seal, 1}, rng), 1u);
  EXPECT_EQ(to_hex(again), to_hex(packet));
}

TEST(EspVectors, openAsTheirMakersSay) {
  const std::vector<Row> all = rows();
  ASSERT_GE(all.size(), 21u);
  for (const Row& row : all) {
    SCOPED_TRACE(row.at("name"));
    check_row(row);
  }
}

}  // namespace
}  // namespace espalier::esp
